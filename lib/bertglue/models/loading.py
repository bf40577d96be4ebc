"""Load an encoder by name: the bundled one, one that was pre-trained here, or a SavedModel of TF Hub."""

from __future__ import annotations

import keras

from bertglue.models.bert import build_encoder
from bertglue.models.bundled import BUNDLED_FOLDER, BUNDLED_RANDOM
from bertglue.models.encoder_files import load_saved_encoder, read_sizes, saved_encoder


def load_encoder(source: str, *, dropout: float = 0.1, seed: int = 0) -> keras.Model:
    """Load an encoder as a Keras model.

    Takes a dict of int32 `input_word_ids`, `input_mask`, `input_type_ids` [batch, length] and gives a dict
    `pooled_output` [batch, hidden] and `sequence_output` [batch, length, hidden]. `source` is `bundled`, the
    folder of an encoder from `notebooks/pretrain.ipynb`, or a SavedModel of TF Hub (folder, tar or address).
    `bundled` is the small one that the library brings along, and `bundled-random` the same with randomly initialized weights,
    drawn from `seed`: what pre-training is worth is the difference between the two.
    """
    if source == BUNDLED_RANDOM:
        return build_encoder(read_sizes(BUNDLED_FOLDER, dropout), seed)
    if folder := saved_encoder(source):
        return load_saved_encoder(folder, dropout)
    from bertglue.models.tfhub import load_savedmodel_encoder

    return load_savedmodel_encoder(source, dropout)

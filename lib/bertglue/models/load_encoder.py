"""Load an encoder by name: the bundled one, one that was pre-trained here, or a SavedModel of TF Hub."""

from __future__ import annotations

import keras

from bertglue.models.bert import build_encoder
from bertglue.models.bundled import BUNDLED_FOLDER, BUNDLED_RANDOM
from bertglue.models.encoder_files import find_saved_encoder, load_saved_encoder, read_encoder_config


def load_encoder(source: str, *, dropout: float = 0.1, seed: int = 0) -> keras.Model:
    """Load an encoder as a Keras model.

    Args:
        source: `bundled`, the small encoder that the library brings along; `bundled-random`, the same one randomly
            initialized from `seed`; the folder of an encoder from `notebooks/pretrain.ipynb`; or a SavedModel of TF Hub
            (folder, `.tar.gz` or address), whose weights are read and whose graph is never run.
        dropout: the rate inside the encoder, 0 or more and below 1.
        seed: of the random initialization; encoders that were pre-trained do not depend on it.

    Returns:
        A model that takes a dict of int32 `input_word_ids`, `input_mask` and `input_type_ids` [batch, length], and
        returns a dict of float `pooled_output` [batch, hidden] and `sequence_output` [batch, length, hidden].

    Raises:
        InputError: `source` is none of these, cannot be read or fetched, or holds another model than BERT.

    Source:
        Devlin et al., 2019, arXiv:1810.04805; the signature is that of TF Hub's `bert_en_uncased_L-12_H-768_A-12/4`.

    Example:
        >>> from bertglue import load_encoder, load_preprocessor
        >>> encoder, preprocess = load_encoder("bundled"), load_preprocessor("bundled", seq_length=16)
        >>> outputs = encoder(preprocess([["anna bought the violin ."]]))
        >>> tuple(outputs["pooled_output"].shape), tuple(outputs["sequence_output"].shape)
        ((1, 128), (1, 16, 128))
    """
    if source == BUNDLED_RANDOM:
        return build_encoder(read_encoder_config(BUNDLED_FOLDER, dropout), seed)
    if folder := find_saved_encoder(source):
        return load_saved_encoder(folder, dropout)
    from bertglue.models.tfhub import load_savedmodel_encoder

    return load_savedmodel_encoder(source, dropout)

"""Load an encoder by name: the embedded one, one that was pre-trained here, or a SavedModel of TF Hub."""

from __future__ import annotations

import keras

from bertglue.encoder import EncoderConfig, build_encoder
from bertglue.encoder_files import is_saved_encoder, load_saved_encoder


def load_encoder(source: str, *, dropout: float = 0.1, seed: int = 0) -> keras.Model:
    """Load an encoder as a Keras model.

    Takes a dict of int32 `input_word_ids`, `input_mask`, `input_type_ids` [batch, length] and gives a dict
    `pooled_output` [batch, hidden] and `sequence_output` [batch, length, hidden]. `source` is `embedded`, the
    folder of an encoder from `notebooks/pretrain.ipynb`, or a SavedModel of TF Hub (folder, tar or address).
    `embedded` is small and has fresh weights, drawn from `seed`.
    """
    if source == "embedded":
        return attend_to_like(build_encoder(embedded_config(dropout), seed))
    if is_saved_encoder(source):
        return load_saved_encoder(source, dropout)
    from bertglue.hub import load_savedmodel_encoder

    return load_savedmodel_encoder(source, dropout)


def embedded_config(dropout: float) -> EncoderConfig:
    """Size the small encoder that learns the small world from nothing on two cores."""
    from bertglue.sources.embedded import vocabulary

    return EncoderConfig(
        vocabulary_size=len(vocabulary()),
        hidden_size=128,
        intermediate_size=512,
        heads=(4, 4),
        head_size=32,
        max_positions=128,
        dropout=dropout,
    )


def attend_to_like(encoder: keras.Model, strength: float = 5.0) -> keras.Model:
    """Let every token start attending to its like: equal, strong keys and queries, faint positions.

    Fresh weights spread attention evenly, and need far more than the small world's examples to find out that
    comparing two segments means looking for the same word in both. All else starts as BERT does.
    """
    for layer in encoder.layers:
        if isinstance(layer, keras.layers.MultiHeadAttention):
            kernel = strength * keras.ops.convert_to_numpy(layer.query_dense.kernel)
            layer.query_dense.kernel.assign(kernel)
            layer.key_dense.kernel.assign(kernel)
    positions = encoder.get_layer("position_embedding").embeddings
    positions.assign(0.3 * keras.ops.convert_to_numpy(positions))
    return encoder

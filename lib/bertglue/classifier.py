"""The classifier of the report: dropout on the pooled output, then one linear layer."""

from __future__ import annotations

import keras
from keras import layers


def build_classifier(encoder: keras.Model, outputs: int, dropout: float = 0.1) -> keras.Model:
    """Put a fresh head on an encoder.

    Takes the encoder's inputs and gives float32 logits [batch, outputs]; one output is a score.
    """
    x = encoder(encoder.input)["pooled_output"]
    x = layers.Dropout(dropout, name="pooled_dropout")(x)
    initializer = keras.initializers.TruncatedNormal(stddev=0.02)
    head = layers.Dense(outputs, kernel_initializer=initializer, dtype="float32", name="head")
    return keras.Model(encoder.input, head(x), name="classifier")

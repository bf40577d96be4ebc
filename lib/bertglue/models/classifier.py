"""The classifier of the report: dropout on the pooled output, then one linear layer."""

from __future__ import annotations

import keras
from keras import layers

from bertglue.models.fast_layers import Dropout


def build_classifier(encoder: keras.Model, outputs: int, dropout: float = 0.1) -> keras.Model:
    """Build a classifier: a new, randomly initialized head on an encoder.

    Takes the encoder's inputs and gives float32 logits [batch, outputs]; one output is a score.
    """
    x = encoder(encoder.input)["pooled_output"]
    x = Dropout(dropout, name="pooled_dropout")(x)
    # Keras's default initializer, as in the tutorial that the report grew from; at BERT's 0.02 too little
    # of the gradient reaches a randomly initialized encoder for it to learn anything in three epochs
    head = layers.Dense(outputs, dtype="float32", name="head")
    return keras.Model(encoder.input, head(x), name="classifier")

"""The classifier of the report: dropout on a pooled output, then one linear layer."""

from __future__ import annotations

from typing import Literal

import keras
from keras import layers, ops

from bertglue.errors import InputError
from bertglue.models.fast_layers import Dropout

MEAN_POOLING = "mean_pooling"  # the layer by which a classifier is known that pools so


@keras.saving.register_keras_serializable("bertglue")
class MeanPooling(layers.Layer):
    """Average vectors [batch, length, hidden] over the tokens whose mask [batch, length] is 1: [batch, hidden].

    Summed and divided in float32, as a long row's sum has more digits than 16 bits hold.
    """

    def call(self, sequence, input_mask):
        counted = ops.expand_dims(ops.cast(input_mask, "float32"), -1)
        total = ops.sum(ops.cast(sequence, "float32") * counted, axis=1)
        return ops.cast(total / ops.maximum(ops.sum(counted, axis=1), 1.0), self.compute_dtype)


def build_classifier(
    encoder: keras.Model, outputs: int, dropout: float = 0.1, pooling: Literal["cls", "mean"] = "cls"
) -> keras.Model:
    """Build a classifier: a new, randomly initialized head on an encoder.

    Takes the encoder's inputs and gives float32 logits [batch, outputs]; one output is a score. The head reads the
    pooled output of [CLS], as in BERT, or the mean of the last layer over the tokens that are no padding. The former
    classifier computes the last layer for [CLS] alone; the latter has no pooler: the loss would give its weights no
    gradient.

    Raises:
        InputError: pooling is neither `cls` nor `mean`, or the encoder lacks the output that it takes.

    Source:
        Devlin et al., 2019, arXiv:1810.04805, section 3; the mean: Reimers and Gurevych, 2019, arXiv:1908.10084.
    """
    if pooling == "cls":
        encoder = for_first_token(encoder)
        x = encoder(encoder.input)["pooled_output"]
    elif pooling == "mean":
        encoder = output_alone(encoder, "sequence_output")
        sequence = encoder(encoder.input)["sequence_output"]
        x = MeanPooling(name=MEAN_POOLING)(sequence, encoder.input["input_mask"])
    else:
        raise InputError(f"pooling is {pooling!r}; give cls or mean")
    x = Dropout(dropout, name="pooled_dropout")(x)
    # Keras's default initializer, as in the tutorial that the report grew from; at BERT's 0.02 too little
    # of the gradient reaches a randomly initialized encoder for it to learn anything in three epochs
    head = layers.Dense(outputs, dtype="float32", name="head")
    return keras.Model(encoder.input, head(x), name="classifier")


def for_first_token(encoder: keras.Model) -> keras.Model:
    """Return the encoder with its last layer computed for [CLS] alone, with its origin; all layers are shared.

    Only keys and values of the other tokens are asked for there: of a layer's products a sixth. What is left out
    has no part in the pooled output, so that it and every gradient are the same.
    """
    last = [layer for layer in encoder.layers if layer.name.endswith("_self_attention")][-1]
    whole = first = None

    def call(layer, *inputs, **options):
        nonlocal whole, first
        if layer is last:
            whole = inputs[0]
            first = ops.expand_dims(whole[:, 0], 1)  # whose length is known where that of the whole is not
            return layer(first, *inputs[1:], **options)
        return layer(*keras.tree.map_structure(lambda x: first if x is whole else x, inputs), **options)

    pooled = output_alone(encoder, "pooled_output")
    shorter = keras.models.clone_model(pooled, clone_function=lambda layer: layer, call_function=call)
    shorter.origin = pooled.origin
    return shorter


def output_alone(encoder: keras.Model, output: str) -> keras.Model:
    """Return the encoder as far as one of its outputs needs it, with its origin; all layers are shared."""
    if output not in encoder.output:
        raise InputError(f"the encoder has no {output}, as a classifier's has not; give one that load_encoder returns")
    shorter = keras.Model(encoder.input, {output: encoder.output[output]}, name=encoder.name)
    shorter.origin = getattr(encoder, "origin", None)
    return shorter


def pooling_of(classifier: keras.Model) -> Literal["cls", "mean"]:
    """Return what the head of a classifier reads, as `build_classifier` takes it."""
    return "mean" if any(layer.name == MEAN_POOLING for layer in classifier.layers) else "cls"

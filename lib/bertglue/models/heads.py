"""The attention heads of a classifier: counted, and the classifier rebuilt with some of them or in another type."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

import keras
import numpy as np

from bertglue.devices import auto_precision
from bertglue.errors import InputError
from bertglue.models.bert import build_encoder, compute_dtype, encoder_config
from bertglue.models.classifier import build_classifier, pooling_of

OUTPUT_KERNEL = "attention_output/kernel"
Heads = Sequence[Sequence[int]]  # numbers of heads, for each layer


def count_heads(classifier: keras.Model) -> list[int]:
    """Count the heads of each layer."""
    return list(encoder_config(classifier.get_layer("encoder")).heads)


def keep_heads(classifier: keras.Model, kept: Heads) -> keras.Model:
    """Build the classifier with the given heads of each layer alone; a layer may keep none."""
    there = count_heads(classifier)
    if len(kept) != len(there):
        raise InputError(
            f"heads are given for {len(kept)} layers, and the encoder has {len(there)}; name those of each"
        )
    for layer, (heads, number) in enumerate(zip(kept, there, strict=True)):
        wrong = [head for head in heads if not 0 <= head < number]
        if wrong or len(set(heads)) < len(heads):
            left = f"has {number}, counted from 0" if number else "has none left"
            raise InputError(f"layer {layer} {left}; heads {list(heads)} cannot be kept")
    return rebuild(classifier, kept)


def rebuild(classifier: keras.Model, kept: Heads, dropout: float | None = None) -> keras.Model:
    if has_8_bits(classifier):
        raise InputError("the classifier's weights are 8-bit integers already; take the one that was trained")
    encoder = classifier.get_layer("encoder")
    config = replace(encoder_config(encoder), heads=tuple(len(list(heads)) for heads in kept))
    rate = classifier.get_layer("pooled_dropout").rate
    if dropout is not None:
        config, rate = replace(config, dropout=dropout), dropout
    outputs, pooling = classifier.get_layer("head").units, pooling_of(classifier)
    smaller = build_classifier(build_encoder(config), outputs, rate, pooling)
    copy_kept(encoder, smaller.get_layer("encoder"), kept)
    smaller.get_layer("head").set_weights(classifier.get_layer("head").get_weights())
    return smaller


def has_8_bits(classifier: keras.Model) -> bool:
    """Return whether weights are 8-bit integers."""
    return any(variable.dtype == "int8" for variable in classifier.variables)


def in_type(classifier: keras.Model, dtype: str) -> keras.Model:
    """Build the classifier with weights and arithmetic of a type."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(dtype)
    try:
        return rebuild(classifier, [range(heads) for heads in count_heads(classifier)])
    finally:
        keras.config.set_dtype_policy(before)


def widen(classifier: keras.Model) -> keras.Model:
    """Convert a classifier stored in 16 bits to float32, in which processors are fast; return any other as it is."""
    stored = classifier.get_layer("encoder").get_layer("word_embeddings").variable_dtype
    return in_type(classifier, "float32") if stored in ("float16", "bfloat16") else classifier


def in_precision(classifier: keras.Model, precision: str) -> keras.Model:
    """Convert a classifier, weights and arithmetic, to one of `PredictionPrecision`; one of 8 bits stays under auto."""
    short = has_8_bits(classifier)
    if precision == "auto":
        if short:
            return classifier
        precision = auto_precision().removeprefix("mixed_")
    # of 8 bits none is made another, and what is in float32 as loaded needs not be built again
    return in_float32(classifier) if precision == "float32" and not short else in_type(classifier, precision)


def in_float32(classifier: keras.Model) -> keras.Model:
    """Convert a classifier that computes in 16 bits, as after mixed precision; return any other as it is."""
    return classifier if compute_dtype(classifier) == "float32" else in_type(classifier, "float32")


def copy_kept(source: keras.Model, target: keras.Model, kept: Heads) -> None:
    """Copy an encoder's weights into a smaller one, of each attention only the heads that are kept."""
    values = {variable.path: variable for variable in source.trainable_variables}
    for variable in target.trainable_variables:
        path = variable.path
        if path not in values:  # the last heads of a layer are gone, and its output's bias is left
            path = path.replace("/bias", "/attention_output/bias")
        value = np.array(values[path])  # a copy: JAX gives the memory of what it trains away
        if (layer := attention_of(path)) is not None and (axis := heads_axis(path)) is not None:
            value = np.take(value, list(kept[layer]), axis=axis)
        variable.assign(value)


def attention_of(path: str) -> int | None:
    """Return the layer whose attention a weight belongs to; None where it belongs to none."""
    found = re.search(r"layer_(\d+)_self_attention/", path)
    return int(found[1]) if found else None


def heads_axis(path: str) -> int | None:
    """Return the axis of an attention's weight along which its heads lie; None where it has none."""
    if path.endswith("_self_attention/bias"):  # of a layer without heads
        return None
    if "attention_output" in path:
        return 0 if path.endswith("kernel") else None
    return 1 if path.endswith("kernel") else 0

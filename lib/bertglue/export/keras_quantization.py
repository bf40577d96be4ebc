"""Quantize a classifier as Keras stores and runs it; `bertglue.export.litert` writes LiteRT files.

`float16` and `bfloat16` are storage: half the file, widened again when it is loaded. `int8` is Keras's quantization:
8-bit weights with a scale for each output, and activations whose range is measured as it runs. It serves embeddings and
dense layers; a model file does not say that an attention's parts are quantized, so these stay as they are.
"""

from __future__ import annotations

import warnings
from pathlib import Path

import keras
import numpy as np
from keras import layers, ops

from bertglue.data.token_ids import Tokens
from bertglue.errors import InputError
from bertglue.export.litert_runtime import LATENCY_BATCH_SIZES, median_seconds
from bertglue.models.heads import in_type, widen
from bertglue.models.logits import graph_of, predict

STORED_TYPES = ("float16", "bfloat16", "int8")
QUANTIZED_LAYERS = (layers.Dense, layers.Embedding)


def store_in_type(classifier: keras.Model, kind: str) -> keras.Model:
    """Build the classifier with its weights in 16 or 8 bits; the given one stays as it is."""
    if kind not in STORED_TYPES:
        raise InputError(f"kind is {kind!r}; choose from {', '.join(STORED_TYPES)}")
    if kind != "int8":
        return in_type(classifier, kind)
    smaller = in_type(classifier, "float32")
    with warnings.catch_warnings(action="ignore"):  # one for each layer that has nothing to quantize
        smaller.quantize("int8", filters=lambda layer: isinstance(layer, QUANTIZED_LAYERS))
    return smaller


def measure(path: Path, tokens: Tokens) -> tuple[dict, np.ndarray]:
    """Load a Keras file and run it: its size [bytes], latency [s] by batch; and the logits of all rows of `tokens`.

    Its memory is TensorFlow's, and is not measured.
    """
    classifier = widen(keras.saving.load_model(path, safe_mode=True))
    logits = predict(classifier, tokens, LATENCY_BATCH_SIZES[-1])
    return {"bytes": path.stat().st_size, "peak_memory_mb": None, "latency": latencies(classifier, tokens)}, logits


def latencies(classifier: keras.Model, tokens: Tokens) -> dict[str, float]:
    """Measure the seconds of a batch of full length, for each size."""
    serve, found = graph_of(classifier), {}
    for size in LATENCY_BATCH_SIZES:
        inputs = tokens.batch(np.arange(size) % len(tokens), tokens.seq_length)
        found[str(size)] = median_seconds(lambda inputs=inputs: ops.convert_to_numpy(serve(inputs)))
    return found

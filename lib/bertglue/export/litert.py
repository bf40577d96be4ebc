"""Write a classifier as a LiteRT file, its weights in 32, 16 or 8 bits; `litert_runtime` runs and measures it."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np

from bertglue.atomic_files import write_atomically
from bertglue.data.token_ids import ENCODER_INPUTS, Tokens
from bertglue.environment import silence_stderr
from bertglue.errors import InputError
from bertglue.models.attention import PADDING_SCORE, PADDING_SCORE_8_BIT, MultiHeadAttention

LITERT_KINDS = ("float32", "float16", "int8 dynamic", "int8 static")
MIN_CALIBRATION_ROWS = 32  # rows that the ranges of static activations are at least taken from


def convert_to_litert(
    classifier: keras.Model, path: Path, kind: str, length: int, calibration: Tokens | None = None
) -> Path:
    """Write a classifier as a LiteRT file for rows of `length` tokens; it appears whole or not at all.

    `int8 dynamic` measures the range of activations as it runs; `int8 static` takes it from the rows of `calibration`.
    """
    import tensorflow as tf

    if kind not in LITERT_KINDS:
        raise InputError(f"kind is {kind!r}; choose from {', '.join(LITERT_KINDS)}")
    if keras.backend.backend() != "tensorflow":
        raise InputError(
            f"Keras runs on {keras.backend.backend()}, and LiteRT files are made with TensorFlow; save the classifier, "
            "and load and convert it in a process with KERAS_BACKEND=tensorflow"
        )
    with padding_score(PADDING_SCORE_8_BIT if kind == "int8 static" else PADDING_SCORE):
        traced = freeze(classifier, length)
    converter = tf.lite.TFLiteConverter.from_concrete_functions([traced], tf.Module())
    if kind != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if kind == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if kind == "int8 static":
        converter.representative_dataset = lambda: calibration_rows(calibration, length)
    with silence_stderr(), warnings.catch_warnings(action="ignore"):  # of C++ and Python, on what is as it should be
        content = converter.convert()
    with write_atomically(path) as partial:
        partial.write_bytes(content)
    return path


@contextlib.contextmanager
def padding_score(score: float):
    """Set the score that attention adds to padded keys while it is traced."""
    before = MultiHeadAttention.padded
    MultiHeadAttention.padded = score
    try:
        yield
    finally:
        MultiHeadAttention.padded = before


def freeze(classifier: keras.Model, length: int):
    """Trace a classifier, its weights as constants, for rows of one length in batches of any size."""
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    inputs = {name: tf.TensorSpec((None, length), "int32", name=name) for name in ENCODER_INPUTS}
    serve = tf.function(lambda rows: classifier(rows, training=False)).get_concrete_function(inputs)
    return convert_variables_to_constants_v2(serve)


def calibration_rows(tokens: Tokens | None, length: int) -> Iterator[list[np.ndarray]]:
    """Yield rows one by one, as the converter asks for them."""
    if tokens is None or len(tokens) < MIN_CALIBRATION_ROWS:
        raise InputError(f"calibration has {len(tokens or ())} rows; give {MIN_CALIBRATION_ROWS} or more")
    for row in range(len(tokens)):
        rows = tokens.batch(np.array([row]), length)
        yield [rows[name] for name in sorted(rows)]  # as the traced function takes them

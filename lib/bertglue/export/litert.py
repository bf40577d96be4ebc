"""Write a classifier as a LiteRT file, its weights in 32, 16 or 8 bits; `litert_runtime` runs and measures it."""

from __future__ import annotations

import argparse
import contextlib
import os
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np

from bertglue.atomic_files import write_atomically
from bertglue.data.token_ids import ENCODER_INPUTS, Tokens
from bertglue.errors import InputError, exit_status, one_line
from bertglue.export.litert_runtime import load_rows, save_rows
from bertglue.models.attention import PADDING_SCORE, PADDING_SCORE_8_BIT, MultiHeadAttention
from bertglue.models.fast_layers import plain_gelu
from bertglue.models.heads import in_float32
from bertglue.quiet_tensorflow import silence_stderr

STATIC = "int8 static"
LITERT_KINDS = ("float32", "float16", "int8 dynamic", STATIC)
MIN_CALIBRATION_ROWS = 32  # rows that the ranges of static activations are at least taken from


def convert_to_litert(
    classifier: keras.Model, path: Path, kind: str, length: int, calibration: Tokens | None = None
) -> Path:
    """Write a classifier as a LiteRT file for rows of `length` tokens; it appears whole or not at all.

    `int8 dynamic` measures the range of activations as it runs; `int8 static` takes it from the rows of `calibration`.
    TensorFlow converts; where Keras runs on another backend, a process of its own does it.
    """
    if kind not in LITERT_KINDS:
        raise InputError(f"kind is {kind!r}; choose from {', '.join(LITERT_KINDS)}")
    if kind == STATIC and len(calibration or ()) < MIN_CALIBRATION_ROWS:
        raise InputError(f"calibration has {len(calibration or ())} rows; give {MIN_CALIBRATION_ROWS} or more")
    if keras.backend.backend() != "tensorflow":
        return convert_in_process(classifier, path, kind, length, calibration)
    import tensorflow as tf

    with padding_score(PADDING_SCORE_8_BIT if kind == STATIC else PADDING_SCORE), plain_gelu():
        traced = freeze(in_float32(classifier), length)  # LiteRT has no operations in 16 bits
    converter = tf.lite.TFLiteConverter.from_concrete_functions([traced], tf.Module())
    if kind != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if kind == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if kind == STATIC:
        converter.representative_dataset = lambda: calibration_rows(calibration, length)
    with silence_stderr(), warnings.catch_warnings(action="ignore"):  # of C++ and Python, on what is as it should be
        content = converter.convert()
    with write_atomically(path) as partial:
        partial.write_bytes(content)
    return path


def convert_in_process(classifier: keras.Model, path: Path, kind: str, length: int, calibration: Tokens | None) -> Path:
    """Convert in a process whose Keras runs on TensorFlow, on the CPU; the model goes there as a file."""
    with tempfile.TemporaryDirectory() as folder:
        model, rows = Path(folder, "model.keras"), Path(folder, "rows.npz")
        classifier.save(model)
        command = [sys.executable, "-m", "bertglue.export.litert", str(model), str(path.absolute()), kind, str(length)]
        if calibration:
            save_rows(rows, calibration)
            command.append(str(rows))
        environment = {**os.environ, "KERAS_BACKEND": "tensorflow", "CUDA_VISIBLE_DEVICES": "-1"}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise InputError(f"{path.name} could not be converted ({one_line(Exception(done.stderr[-200:]))})")
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


def calibration_rows(tokens: Tokens, length: int) -> Iterator[list[np.ndarray]]:
    """Yield rows one by one, as the converter asks for them."""
    for row in range(len(tokens)):
        rows = tokens.batch(np.array([row]), length)
        yield [rows[name] for name in sorted(rows)]  # as the traced function takes them


def main(arguments: list[str] | None = None) -> int:
    """Convert a saved classifier; `convert_in_process` calls it where Keras runs on another backend."""
    import bertglue.models.bert
    import bertglue.models.classifier  # noqa: F401  (both register the layers that the file names)

    parser = argparse.ArgumentParser(prog="python -m bertglue.export.litert", description=main.__doc__)
    parser.add_argument("model", type=Path, help="the classifier, as Keras saves it")
    parser.add_argument("file", type=Path, help="the LiteRT file to write")
    parser.add_argument("kind", choices=LITERT_KINDS)
    parser.add_argument("length", type=int, help="tokens of a row")
    parser.add_argument("calibration", type=Path, nargs="?", help="packed rows, as `save_rows` writes them")
    options = parser.parse_args(arguments)
    classifier = keras.saving.load_model(options.model, safe_mode=True)
    rows = load_rows(options.calibration) if options.calibration else None
    return exit_status(lambda: convert_to_litert(classifier, options.file, options.kind, options.length, rows))


if __name__ == "__main__":
    sys.exit(main())

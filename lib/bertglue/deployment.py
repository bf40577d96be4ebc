"""Files to deploy: a classifier as LiteRT runs it, its weights in 32, 16 or 8 bits; each is measured by running it."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np

from bertglue.encoder import INPUTS
from bertglue.errors import InputError
from bertglue.tokens import Tokens

KINDS = ("float32", "float16", "int8 dynamic", "int8 static")
CALIBRATION = 32  # rows that the ranges of static activations are at least taken from


def convert(classifier: keras.Model, path: Path, kind: str, length: int, calibration: Tokens | None = None) -> Path:
    """Write a classifier as a LiteRT file for rows of `length` tokens; it appears whole or not at all.

    `int8 dynamic` measures the range of activations as it runs; `int8 static` takes it from the rows of `calibration`.
    """
    import tensorflow as tf

    if kind not in KINDS:
        raise InputError(f"kind is {kind!r}; choose from {', '.join(KINDS)}")
    if keras.backend.backend() != "tensorflow":
        raise InputError(
            f"Keras runs on {keras.backend.backend()}, and LiteRT files are made with TensorFlow; save the classifier, "
            "and load and convert it in a process with KERAS_BACKEND=tensorflow"
        )
    converter = tf.lite.TFLiteConverter.from_concrete_functions([frozen(classifier, length)])
    if kind != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if kind == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if kind == "int8 static":
        converter.representative_dataset = lambda: calibration_rows(calibration, length)
    content = converter.convert()
    partial = path.with_name("partial." + path.name)
    partial.write_bytes(content)
    os.replace(partial, path)
    return path


def frozen(classifier: keras.Model, length: int):
    """Trace a classifier, its weights as constants, for rows of one length in batches of any size."""
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    inputs = {name: tf.TensorSpec((None, length), "int32", name=name) for name in INPUTS}
    serve = tf.function(lambda rows: classifier(rows, training=False)).get_concrete_function(inputs)
    return convert_variables_to_constants_v2(serve)


def calibration_rows(tokens: Tokens | None, length: int) -> Iterator[list[np.ndarray]]:
    """Give rows one by one, as the converter asks for them."""
    if tokens is None or len(tokens) < CALIBRATION:
        raise InputError(f"calibration has {len(tokens or ())} rows; give {CALIBRATION} or more")
    for row in range(len(tokens)):
        rows = tokens.batch(np.array([row]), length)
        yield [rows[name] for name in sorted(rows)]  # as the traced function takes them


class Deployed:
    """A LiteRT file, run on the CPU."""

    def __init__(self, path: Path, threads: int | None = None):
        from ai_edge_litert.interpreter import Interpreter

        self.interpreter = Interpreter(str(path), num_threads=threads or os.cpu_count())
        self.inputs = {
            next(name for name in INPUTS if name in detail["name"]): detail
            for detail in self.interpreter.get_input_details()
        }
        self.length = int(next(iter(self.inputs.values()))["shape"][1])
        self.rows = 0

    def __call__(self, inputs: dict[str, np.ndarray]) -> np.ndarray:
        """Give the logits [rows, outputs] of a batch of `length` tokens."""
        rows = len(inputs[INPUTS[0]])
        if rows != self.rows:
            for detail in self.inputs.values():
                self.interpreter.resize_tensor_input(detail["index"], (rows, self.length))
            self.interpreter.allocate_tensors()
            self.rows = rows
        for name, detail in self.inputs.items():
            self.interpreter.set_tensor(detail["index"], inputs[name])
        self.interpreter.invoke()
        return self.interpreter.get_tensor(self.interpreter.get_output_details()[0]["index"])

    def predict(self, tokens: Tokens, batch_size: int = 32) -> np.ndarray:
        """Give the logits of every row of a split, in order."""
        rows = np.arange(len(tokens))
        parts = [rows[start : start + batch_size] for start in range(0, len(rows), batch_size)]
        return np.concatenate([self(tokens.batch(part, self.length)) for part in parts])

    def latency(self, tokens: Tokens, batch_size: int, repeats: int = 20) -> float:
        """Measure the seconds of a batch: the median of several."""
        inputs = tokens.batch(np.arange(batch_size) % len(tokens), self.length)
        self(inputs)
        seconds = []
        for _ in range(repeats):
            started = time.perf_counter()
            self(inputs)
            seconds.append(time.perf_counter() - started)
        return statistics.median(seconds)

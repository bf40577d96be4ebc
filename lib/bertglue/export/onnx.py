"""Write a classifier as an ONNX file for ONNX Runtime, its weights in 32 or 8 bits; inputs and output have the names
that Hugging Face gives them."""

from __future__ import annotations

import contextlib
import logging
from pathlib import Path

import keras

from bertglue.atomic_files import write_atomically
from bertglue.data.token_ids import ENCODER_INPUTS
from bertglue.errors import InputError
from bertglue.models.heads import in_float32
from bertglue.quiet_tensorflow import silence_stderr

ONNX_FILE = "model.onnx"
ONNX_KINDS = ("onnx", "onnx-int8")
OPSET = 17  # of 2022, which runtimes of today all know
HUGGINGFACE_INPUTS = dict(zip(ENCODER_INPUTS, ("input_ids", "attention_mask", "token_type_ids"), strict=True))


def convert_to_onnx(classifier: keras.Model, path: Path, kind: str = "onnx") -> Path:
    """Write a classifier as an ONNX file for batches and lengths of any size; it appears whole or not at all.

    `onnx-int8` stores weights in 8 bits, with a scale for each column; the range of activations is measured as it runs.
    """
    if kind not in ONNX_KINDS:
        raise InputError(f"kind is {kind!r}; choose from {', '.join(ONNX_KINDS)}")
    try:
        import onnx
        import tf2onnx
        from onnxruntime import quantization
    except ImportError as error:
        raise InputError(f"{error.name} is not installed; pip install onnx onnxruntime tf2onnx") from None
    with silence_stderr(), quiet_logging():
        model = trace(in_float32(classifier), tf2onnx.convert.from_function)
        with write_atomically(path) as partial:
            if kind == "onnx":
                onnx.save(model, partial)
            else:  # in 7 bits a sum of two products fits where a processor has no VNNI
                quantization.quantize_dynamic(
                    model, partial, weight_type=quantization.QuantType.QInt8, per_channel=True, reduce_range=True
                )
    return path


def trace(classifier: keras.Model, convert):
    """Trace a classifier under Hugging Face's names, int64 as its tokenizers give them, and convert the graph."""
    import tensorflow as tf

    signature = [tf.TensorSpec((None, None), "int64", name=name) for name in HUGGINGFACE_INPUTS.values()]

    @tf.function(input_signature=signature, autograph=False)
    def serve(*inputs):
        rows = {name: tf.cast(value, "int32") for name, value in zip(HUGGINGFACE_INPUTS, inputs, strict=True)}
        return {"logits": classifier(rows, training=False)}

    model, _ = convert(serve, input_signature=signature, opset=OPSET)
    return model


@contextlib.contextmanager
def quiet_logging():
    """Leave out what converters log of graphs that are as they should be."""
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)

"""Load a SavedModel into the native encoder; give its outputs, those after a save and reload, and its gradients.

Run as a script, on the backend that KERAS_BACKEND names: native_step.py SAVEDMODEL INPUTS.npz RESULT.npz
"""

import sys
import tempfile
from pathlib import Path

import keras
import numpy as np

from bertglue import load_encoder
from bertglue.data.token_ids import ENCODER_INPUTS


def native_step(folder, values):
    inputs = {name: values[name] for name in ENCODER_INPUTS}
    encoder = load_encoder(str(folder), dropout=0.0)
    with tempfile.TemporaryDirectory() as saved:
        encoder.save(Path(saved) / "encoder.keras")
        loaded = keras.saving.load_model(Path(saved) / "encoder.keras", safe_mode=True)
    result = {name: keras.ops.convert_to_numpy(value) for name, value in encoder(inputs).items()}
    result |= {f"loaded {name}": keras.ops.convert_to_numpy(value) for name, value in loaded(inputs).items()}
    before = [keras.ops.convert_to_numpy(v).copy() for v in encoder.trainable_variables]
    targets = {name: values[name] for name in ("pooled_output", "sequence_output")}
    encoder.compile(keras.optimizers.SGD(1.0), loss=dict.fromkeys(targets, "mean_squared_error"))
    encoder.train_on_batch(inputs, targets)
    for variable, old in zip(encoder.trainable_variables, before, strict=True):
        result[f"gradient {variable.path.removeprefix('encoder/')}"] = old - keras.ops.convert_to_numpy(variable)
    return result


if __name__ == "__main__":
    np.savez(sys.argv[3], **native_step(sys.argv[1], np.load(sys.argv[2])))

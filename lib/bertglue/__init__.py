"""Fine-tuning BERT on GLUE, one step to a module; importing it loads neither Keras nor TensorFlow."""

import importlib
import os

from bertglue import quiet_tensorflow
from bertglue.backend import ignore_other_backends

__version__ = "0.1.0"

# TensorFlow's faster kernels for CPUs, its default on AVX-512 processors only; read when it is loaded.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
# What it calls errors: that there is no GPU, or that a kernel is another one.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
quiet_tensorflow.install()
ignore_other_backends()

# Public names and the modules that hold them, imported when first asked for: a page that shows finished runs
# must not wait for TensorFlow, and a machine that has only JAX must not miss it.
_HOMES = {
    "InputError": "errors",
    "Parameters": "parameters",
    "Preprocessor": "models.preprocessor",
    "evaluate": "evaluation.evaluate",
    "finetune": "runs.execute",
    "get_task": "tasks",
    "load_data": "data.load_data",
    "load_data_for": "data.load_data",
    "load_encoder": "models.load_encoder",
    "load_preprocessor": "models.preprocessor",
    "train": "training.finetune",
}
__all__ = list(_HOMES)


def __getattr__(name):
    if name not in _HOMES:
        raise AttributeError(f"module 'bertglue' has no attribute {name!r}")
    return getattr(importlib.import_module(f"bertglue.{_HOMES[name]}"), name)

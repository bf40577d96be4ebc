"""The backend of Keras, chosen before Keras is imported; nothing but the standard library is needed here."""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from pathlib import Path

BACKENDS = ("tensorflow", "jax")


def choose_backend(backend: str | None = None) -> None:
    """Choose the backend that Keras loads: the one that is given, or else JAX where a TPU's library is installed."""
    if backend:
        os.environ["KERAS_BACKEND"] = backend
    elif importlib.util.find_spec("libtpu"):
        os.environ.setdefault("KERAS_BACKEND", "jax")


def ignore_other_backends() -> None:
    """Choose TensorFlow where the variable or Keras's own file names a backend that this project has no code for."""
    place, named = "KERAS_BACKEND", os.environ.get("KERAS_BACKEND")
    if named is None:
        path = Path(os.environ.get("KERAS_HOME") or Path("~/.keras").expanduser()) / "keras.json"
        try:
            place, named = str(path), json.loads(path.read_text(encoding="utf-8"))["backend"]
        except (OSError, ValueError, KeyError, TypeError, RuntimeError):
            return
    if named not in BACKENDS:
        print(f"{place} names the backend {named}; this project has tensorflow and jax: tensorflow", file=sys.stderr)
        os.environ["KERAS_BACKEND"] = BACKENDS[0]

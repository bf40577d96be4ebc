"""Tests on the other backend, in a process of its own."""

import os
import subprocess
import sys
from pathlib import Path

import keras


def quick_jax(cache: Path | None = None) -> dict[str, str]:
    """Return the variables with which JAX compiles without care, and once what lies in a cache: else it takes minutes.

    Processes that train together must share no cache, since one alone writes it.
    """
    quick = {"JAX_DISABLE_MOST_OPTIMIZATIONS": "1"}
    if cache:
        quick["JAX_COMPILATION_CACHE_DIR"] = str(cache)
        quick |= {"JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0", "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1"}
    return quick


def passes_on_the_other_backend(file: str, chosen: str, cache: Path, count: int) -> None:
    """Run the `count` tests of a file that `chosen` selects (pytest's -k) on the other backend than this process's."""
    other = {"tensorflow": "jax", "jax": "tensorflow"}[keras.backend.backend()]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", chosen, file]
    environment = {**os.environ, "KERAS_BACKEND": other, **quick_jax(cache)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stdout
    assert f"{count} passed" in done.stdout, done.stdout

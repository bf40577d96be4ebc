"""Import TensorFlow without its greeting: lines of C++ about its build, which no setting of its own leaves out."""

from __future__ import annotations

import contextlib
import importlib.abc
import importlib.machinery
import os
import sys


@contextlib.contextmanager
def silence_stderr():
    """Drop what C++ writes to standard error; what Python raises comes through."""
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


class QuietFinder(importlib.abc.MetaPathFinder):
    """Finds TensorFlow where it is, and has it loaded with standard error closed; finds nothing else."""

    def find_spec(self, fullname, path=None, target=None):
        if fullname != "tensorflow":
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if spec and spec.loader:
            load = spec.loader.exec_module

            def exec_module(module):
                with silence_stderr():
                    load(module)

            spec.loader.exec_module = exec_module
        return spec


def install() -> None:
    """Have TensorFlow imported quietly from now on, whoever imports it."""
    if not any(isinstance(finder, QuietFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, QuietFinder())

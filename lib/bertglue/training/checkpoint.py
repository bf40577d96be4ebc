"""The state of a training in one file: variables, and what is known about them. Written whole or not at all."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from keras import ops

from bertglue.atomic_files import READ_ERRORS, write_atomically
from bertglue.errors import InputError, one_line


def save_checkpoint(path: Path, about: dict, **groups: list) -> None:
    """Write groups of variables (or arrays) with a dict that JSON can hold."""
    arrays = {f"{name}{i}": ops.convert_to_numpy(v) for name, values in groups.items() for i, v in enumerate(values)}
    with write_atomically(path) as partial:
        np.savez(partial, about=json.dumps(about), **arrays)


def load_checkpoint(path: Path, *names: str) -> tuple[dict, dict[str, list[np.ndarray]]]:
    """Read what `save_checkpoint` wrote: the dict, and the arrays of each group. Runs no code from the file."""
    try:
        with np.load(path, allow_pickle=False) as saved:
            groups = {name: [] for name in names}
            for name, values in groups.items():
                while f"{name}{len(values)}" in saved.files:
                    values.append(saved[f"{name}{len(values)}"])
            return json.loads(str(saved["about"])), groups
    except READ_ERRORS as error:
        raise InputError(f"{path} cannot be read ({one_line(error)}); remove it to start anew") from None


def assign(variables: list, values: list[np.ndarray]) -> None:
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)

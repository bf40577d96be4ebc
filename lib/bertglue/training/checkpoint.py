"""The state of a training in one file: variables, and what is known about them. Written whole or not at all."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from keras import ops

from bertglue.atomic_files import write_atomically
from bertglue.checked_files import read_npz
from bertglue.errors import InputError, one_line


def save_checkpoint(path: Path, about: dict, **groups: list) -> None:
    """Write groups of variables (or arrays) with a dict that JSON can hold."""
    arrays = {f"{name}{i}": ops.convert_to_numpy(v) for name, values in groups.items() for i, v in enumerate(values)}
    with write_atomically(path) as partial:
        np.savez(partial, about=json.dumps(about), **arrays)


def load_checkpoint(path: Path, *names: str) -> tuple[dict, dict[str, list[np.ndarray]]]:
    """Read what `save_checkpoint` wrote: the dict, and the arrays of each group. Runs no code from the file."""
    advice = "remove it to start anew"
    saved = read_npz(path, advice)
    try:
        about = json.loads(str(saved["about"]))
    except (KeyError, ValueError, RecursionError) as error:
        raise InputError(f"{path} says nothing of its state ({one_line(error)}); {advice}") from None
    if not isinstance(about, dict):
        raise InputError(f"{path} says nothing of its state (it holds no object); {advice}")
    groups = {name: [] for name in names}
    for name, values in groups.items():
        while f"{name}{len(values)}" in saved:
            values.append(saved[f"{name}{len(values)}"])
    return about, groups


def fits(variables: list, values: list[np.ndarray]) -> bool:
    """Return whether there is a value of the right shape and kind, all finite, for each variable."""
    return len(variables) == len(values) and all(
        value.shape == tuple(variable.shape)
        and value.dtype.kind in "biufV"  # V: bfloat16, which numpy has no name for
        and (value.dtype.kind != "f" or bool(np.isfinite(value).all()))
        for variable, value in zip(variables, values, strict=True)
    )


def assign(variables: list, values: list[np.ndarray]) -> None:
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)

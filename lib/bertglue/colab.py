"""Colab: install what an image lacks, without replacing what it brings.

The TPU image has JAX and Keras, and no TensorFlow; the GPU and the CPU image have both. Text is read with
TensorFlow in all of them, and the TPU is left to JAX.
"""

from __future__ import annotations

import importlib.metadata
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from bertglue.errors import InputError

TEXT_EXTRA = "tensorflow"  # what reads text and TF Hub; the images have Jupyter


def set_up() -> list[str]:
    """Install what is missing, and choose JAX on a TPU; say so, and give what was installed.

    Call it before Keras or TensorFlow is imported.
    """
    installed = installed_versions()
    wanted = missing(importlib.metadata.requires("bertglue") or [], installed)
    if wanted:
        print(f"installing {', '.join(wanted)} (about a minute) ...", flush=True)
        install(wanted, installed)
    if has_tpu(installed):
        os.environ["KERAS_BACKEND"] = "jax"  # in each process: a kernel that restarts finds everything installed
    print(f"bertglue {importlib.metadata.version('bertglue')} is ready{', on the TPU' if has_tpu(installed) else ''}")
    return wanted


def installed_versions() -> dict[str, str]:
    """Return name and version of every installed package."""
    return {
        canonicalize_name(distribution.name): distribution.version
        for distribution in importlib.metadata.distributions()
    }


def has_tpu(installed: dict[str, str]) -> bool:
    """Return whether this is Colab's TPU image, which alone brings the TPU's library."""
    return "libtpu" in installed


def missing(requirements: list[str], installed: dict[str, str]) -> list[str]:
    """Return the requirements that are not installed; one that is there in too old a version is an InputError."""
    wanted, old = [], []
    for line in requirements:
        requirement = Requirement(line)
        if requirement.marker and not any(requirement.marker.evaluate({"extra": extra}) for extra in ("", TEXT_EXTRA)):
            continue
        version = installed.get(canonicalize_name(requirement.name))
        plain = f"{requirement.name}{requirement.specifier}"
        if version is None:
            wanted.append(plain)
        elif not requirement.specifier.contains(version, prereleases=True):
            old.append(f"{requirement.name} {version} (needed: {requirement.specifier})")
    if old:
        raise InputError(f"this image has {', '.join(old)}; choose another runtime version, or install it by hand")
    return wanted


def install(requirements: list[str], installed: dict[str, str]) -> None:
    """Install requirements with pip, and hold every package that is there at its version."""
    with tempfile.TemporaryDirectory() as folder:
        constraints = Path(folder) / "constraints.txt"
        constraints.write_text("\n".join(f"{name}=={version}" for name, version in sorted(installed.items())))
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--constraint", str(constraints), *requirements]
        done = subprocess.run(command, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        complaint = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or [done.stderr]
        raise InputError(f"pip could not install {', '.join(requirements)}: {complaint[0].strip()}")

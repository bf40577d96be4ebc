"""Describe what a run would find on this machine: device, backend, versions, folders."""

from __future__ import annotations

import os
from pathlib import Path

from bertglue.environment import configure, nvidia_gpus, processor, versions
from bertglue.models.bundled import BUNDLED_FOLDER
from bertglue.models.encoder_files import WEIGHTS_FILE
from bertglue.models.encoder_places import hub_cache_dir
from bertglue.parameters import Parameters
from bertglue.places import NOTEBOOK


def describe_machine() -> dict[str, str]:
    """Return what was found, {what: value}."""
    configure(Parameters())
    from huggingface_hub.constants import HF_HUB_CACHE

    from bertglue.devices import auto_precision, select_strategy

    strategy = select_strategy()
    return {
        "device": str(strategy),
        "NVIDIA GPUs": gpus(strategy.backend),
        "precision auto": auto_precision(),
        "processor": processor(),
        "versions": ", ".join(f"{name} {version}" for name, version in versions().items()),
        "bundled encoder": here(BUNDLED_FOLDER / WEIGHTS_FILE),
        "checkout": here(NOTEBOOK.resolve()),
        "GLUE folder (GLUE_DIR)": here(Path(os.environ["GLUE_DIR"])) if "GLUE_DIR" in os.environ else "not set",
        "encoders' downloads": here(hub_cache_dir()),
        "Hugging Face's downloads": here(Path(HF_HUB_CACHE)),
        "tensorflow-datasets": here(Path(os.environ.get("TFDS_DATA_DIR") or Path.home() / "tensorflow_datasets")),
        "token cache": here(Path(Parameters().cache_dir).resolve()),
    }


def gpus(backend: str) -> str:
    """Count the GPUs of the machine and those that the backend sees, with what to do where it sees none."""
    from bertglue.devices import visible_gpus

    found, seen = len(nvidia_gpus()), visible_gpus()
    if not found:
        return "none found by nvidia-smi"
    remedy = "" if seen else "; make GPU=cuda installs the CUDA builds of its packages"
    return f"{found} found by nvidia-smi, {seen} seen by {backend}{remedy}"


def here(path: Path) -> str:
    return f"{path}" if path.exists() else f"{path} (not there yet)"

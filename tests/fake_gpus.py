"""A machine with NVIDIA GPUs, simulated: a command nvidia-smi that lists them, and nothing behind it."""

import os
from pathlib import Path


def fake_gpus(folder: Path, count: int) -> str:
    """Write the command; return the path on which it comes first."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = "".join(f"GPU {number}: NVIDIA H100 80GB HBM3 (UUID: GPU-{number:04d})\\n" for number in range(count))
    (folder / "nvidia-smi").write_text(f"#!/bin/sh\nprintf '{lines}'\n")
    (folder / "nvidia-smi").chmod(0o755)
    return f"{folder}{os.pathsep}{os.environ['PATH']}"

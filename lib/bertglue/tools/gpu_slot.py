"""Run one command on a GPU of its own: `python -m bertglue.tools.gpu_slot FOLDER COMMAND...`.

Each GPU has a file in FOLDER that is locked while a command works on it; where all are taken, the command waits.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from bertglue.environment import nvidia_gpus
from bertglue.tools.lock import hold

GPU_WAIT = 1.0  # seconds from one look at the GPUs to the next


def take_gpu(folder: Path, gpus: list[str]) -> str:
    """Lock a GPU that no other command has, for this process and what it becomes; return its name."""
    folder.mkdir(parents=True, exist_ok=True)
    while True:
        for gpu in gpus:
            if hold(folder / f"gpu-{gpu}") is not None:
                return gpu
        time.sleep(GPU_WAIT)


def main(arguments: list[str]) -> int:
    folder, *command = arguments
    if gpus := nvidia_gpus():
        os.environ["CUDA_VISIBLE_DEVICES"] = take_gpu(Path(folder), gpus)
    os.execvp(command[0], command)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

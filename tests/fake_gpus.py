"""A machine with NVIDIA GPUs, simulated: a command nvidia-smi that lists them, or a backend that reports one."""

import os
from pathlib import Path
from types import SimpleNamespace


def fake_gpus(folder: Path, count: int) -> str:
    """Write the command; return the path on which it comes first."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = "".join(f"GPU {number}: NVIDIA H100 80GB HBM3 (UUID: GPU-{number:04d})\\n" for number in range(count))
    (folder / "nvidia-smi").write_text(f"#!/bin/sh\nprintf '{lines}'\n")
    (folder / "nvidia-smi").chmod(0o755)
    return f"{folder}{os.pathsep}{os.environ['PATH']}"


def report_gpu(patch, capability: tuple[int, int]) -> None:
    """Let the backend report one GPU of a compute capability; TensorFlow then compiles for it and runs on the CPU."""
    import keras

    if keras.backend.backend() == "jax":
        known = {"platform": "gpu", "device_kind": "Tesla T4", "compute_capability": "{}.{}".format(*capability)}
        patch.setattr("jax.devices", lambda *_: [SimpleNamespace(**known)])
        return
    import tensorflow as tf

    physical, logical = tf.config.list_physical_devices("CPU"), tf.config.list_logical_devices("CPU")
    details = {"device_name": "Tesla T4", "compute_capability": capability}
    patch.setattr(tf.config, "list_physical_devices", lambda *_: physical)
    patch.setattr(tf.config, "list_logical_devices", lambda *_: logical)
    patch.setattr(tf.config.experimental, "get_device_details", lambda _: details)

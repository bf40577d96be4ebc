"""Pick the device to train on: TPU, one or several GPUs, or the CPU."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import Any

import keras


@dataclass(frozen=True)
class Strategy:
    """Where a run trains. Weights, optimizer and model are made inside `scope()`; text is read outside."""

    backend: str
    device: str
    count: int
    distribute: Any = None

    def scope(self):
        return self.distribute.scope() if self.distribute else contextlib.nullcontext()

    def __str__(self) -> str:
        count = f"{self.count} x " if self.count > 1 else ""
        return f"{count}{self.device}, {keras.backend.backend()} backend"


def select_strategy() -> Strategy:
    """Pick what this machine has: on JAX a TPU or GPUs, on TensorFlow GPUs, else the CPU."""
    if keras.backend.backend() == "jax":
        return select_jax()
    return select_tensorflow()


def select_jax() -> Strategy:
    import jax

    keep_tensorflow_off_the_accelerator()
    devices = jax.devices()
    distribute = None
    if len(devices) > 1:
        distribute = keras.distribution.DataParallel(devices=[str(device) for device in devices])
    return Strategy("jax", device_name(devices[0]), len(devices), distribute)


def device_name(device) -> str:
    return "CPU" if device.platform == "cpu" else f"{device.platform.upper()} ({device.device_kind})"


def keep_tensorflow_off_the_accelerator():
    """Leave the accelerator to JAX; TensorFlow, where it is installed, only reads text."""
    with contextlib.suppress(ImportError):
        import tensorflow as tf

        tf.config.set_visible_devices([], "GPU")
        tf.config.set_visible_devices([], "TPU")


def select_tensorflow() -> Strategy:
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    if not gpus:
        return Strategy("tensorflow", "CPU", 1)
    name = tf.config.experimental.get_device_details(gpus[0]).get("device_name", "GPU")
    distribute = tf.distribute.MirroredStrategy() if len(gpus) > 1 else None
    return Strategy("tensorflow", f"GPU ({name})", len(gpus), distribute)

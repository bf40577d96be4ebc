"""Pick the devices to train on: TPU, GPUs, several machines, or the CPU."""

from __future__ import annotations

import contextlib
import functools
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from bertglue.atomic_files import write_atomically
from bertglue.environment import bfloat16_units, nvidia_gpus
from bertglue.errors import InputError, one_line
from bertglue.quiet_tensorflow import silence_stderr


@dataclass(frozen=True)
class Strategy:
    """The devices of a run. Weights, optimizer and model are made inside `scope()`; text is read outside."""

    backend: str
    device: str
    count: int
    distribute: Any = None
    machines: int = 1

    def scope(self):
        return self.distribute.scope() if self.distribute else contextlib.nullcontext()

    def __str__(self) -> str:
        count = f"{self.count} x " if self.count > 1 else ""
        machines = f" on {self.machines} machines" if self.machines > 1 else ""
        return f"{count}{self.device}{machines}, {self.backend} backend"


def select_strategy(parameters=None) -> Strategy:
    """Pick what is there: on JAX a TPU or GPUs, of one or several machines; on TensorFlow GPUs; else the CPU.

    A batch is shared by all devices; its size must be a multiple of their number. Where `precision` is auto, Keras is
    told to compute as `auto_precision` finds best. Where `device` is cpu, accelerators are left alone.
    """
    machines = getattr(parameters, "machines", 1)  # a pre-training has neither
    device = getattr(parameters, "device", "auto")
    if device == "cpu":
        leave_accelerators_alone()
    if keras.backend.backend() == "jax":
        strategy = select_jax(machines)
    elif machines > 1:
        raise InputError(f"machines is {machines}, and TensorFlow under Keras 3 trains on one; set backend to jax")
    else:
        strategy = select_tensorflow()
    if strategy.device == "CPU" and device != "cpu":
        check_unused_gpus(strategy.backend, must_be_used=device == "gpu")
    for name in ("batch_size", "evaluation_batch_size"):
        size = getattr(parameters, name, 0)
        if size % strategy.count:
            raise InputError(f"{name} is {size}; give a multiple of the {strategy.count} devices that share a batch")
    if parameters and parameters.precision == "auto":
        keras.config.set_dtype_policy(auto_precision())
    return strategy


def leave_accelerators_alone() -> None:
    """Keep this process on the CPU; it has to be called before the devices are first used."""
    keep_tensorflow_off_the_accelerator()
    if keras.backend.backend() == "jax":
        import jax

        jax.config.update("jax_platforms", "cpu")


def check_unused_gpus(backend: str, must_be_used: bool) -> None:
    """Print one line where the backend cannot use a GPU of this machine; an InputError where it must be used."""
    gpus = len(nvidia_gpus())
    if not gpus:
        return
    line = (
        f"this machine has {gpus} NVIDIA GPU{'s' if gpus > 1 else ''}, and {backend} sees none: its packages are those "
        "for processors, or the driver is too old; `make GPU=cuda` installs the CUDA builds, and device: cpu "
        "(make DEVICE=cpu) trains on the processor"
    )
    if must_be_used:
        raise InputError(line)
    print(line, flush=True)


def visible_gpus() -> int:
    """Count the GPUs that the backend can use."""
    if keras.backend.backend() == "jax":
        import jax

        return sum(device.platform == "gpu" for device in jax.local_devices())
    import tensorflow as tf

    return len(tf.config.list_logical_devices("GPU"))


def auto_precision() -> str:
    """Return the precision that the device multiplies in fastest, of those that BERT trains well in.

    That is bfloat16 on TPUs, on NVIDIA's GPUs from compute capability 8 (A100) and on some CPUs; float16, with loss
    scaling, on GPUs from 7 (V100, T4), whose tensor cores know no other; float32 elsewhere.
    """
    kind, capability = accelerator()
    if kind == "tpu" or capability >= (8, 0) or (kind == "cpu" and bfloat16_units()):
        return "mixed_bfloat16"
    return "mixed_float16" if capability >= (7, 0) else "float32"


def accelerator() -> tuple[str, tuple[int, ...]]:
    """Return the kind of the first device, and its compute capability, which is (0, 0) of all but NVIDIA's GPUs."""
    if keras.backend.backend() == "jax":
        import jax

        device = jax.devices()[0]
        found = re.fullmatch(r"(\d+)\.(\d+)", str(getattr(device, "compute_capability", "")))
        return device.platform, tuple(map(int, found.groups())) if found else (0, 0)
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    details = tf.config.experimental.get_device_details(gpus[0]) if gpus else {}
    return "gpu" if gpus else "cpu", details.get("compute_capability", (0, 0))


def select_jax(machines: int = 1) -> Strategy:
    import jax

    keep_tensorflow_off_the_accelerator()
    if machines > 1:
        join(machines)
    with silence_stderr():  # a TPU's library writes about a TPU that is not there
        devices = jax.devices()
    distribute = None
    if len(devices) > 1:
        distribute = keras.distribution.DataParallel(
            devices=keras.distribution.list_devices(), auto_shard_dataset=False
        )
        keras.distribution.set_distribution(distribute)  # what is computed outside the scope lies there too
    return Strategy("jax", device_name(devices[0]), len(devices), distribute, machines)


def join(machines: int) -> None:
    """Join the processes of a run, one on each machine; JAX finds the others on SLURM, Kubernetes and TPU pods.

    Elsewhere `JAX_COORDINATOR_ADDRESS` (host:port of the first) and `JAX_PROCESS_ID` (0, 1, ...) say where they are.
    """
    import jax

    jax.config.update("jax_cpu_collectives_implementation", "gloo")  # used where there is no accelerator
    index = os.environ.get("JAX_PROCESS_ID")
    try:
        if index is None:
            jax.distributed.initialize(local_device_ids=gpus_of_process())
        else:
            jax.distributed.initialize(num_processes=machines, process_id=int(index))
    except (ValueError, RuntimeError) as error:
        raise InputError(
            f"machines is {machines}, and they did not find each other ({one_line(error)}); "
            "set JAX_COORDINATOR_ADDRESS=host:port and JAX_PROCESS_ID=0, 1, ... on each"
        ) from error
    if jax.process_count() != machines:
        raise InputError(f"machines is {machines}, and {jax.process_count()} joined; start one process on each")


def gpus_of_process() -> list[int] | None:
    """Return the GPUs that this process of a SLURM step uses: all of the machine's, where it is the only one there.

    JAX alone would take as many as the step has processes on the machine. None leaves it to JAX.
    """
    alone = re.match(r"1(\(|$)", os.environ.get("SLURM_STEP_TASKS_PER_NODE", ""))
    return list(range(len(nvidia_gpus()))) or None if alone else None


def device_name(device) -> str:
    return "CPU" if device.platform == "cpu" else f"{device.platform.upper()} ({device.device_kind})"


def keep_tensorflow_off_the_accelerator():
    """Hide the accelerator from TensorFlow and leave it to JAX; TensorFlow, where it is installed, only reads text."""
    with contextlib.suppress(ImportError):
        import tensorflow as tf

        tf.config.set_visible_devices([], "GPU")
        tf.config.set_visible_devices([], "TPU")


def select_tensorflow() -> Strategy:
    import tensorflow as tf

    kind = "GPU" if tf.config.list_physical_devices("GPU") else "CPU"
    devices = [device.name for device in tf.config.list_logical_devices(kind)]
    distribute = tf.distribute.MirroredStrategy(devices) if len(devices) > 1 else None
    return Strategy("tensorflow", tensorflow_name(kind), len(devices), distribute)


def current_device() -> str:
    """Name the device that the backend computes on, the first of several."""
    if keras.backend.backend() == "jax":
        import jax

        return device_name(jax.devices()[0])
    return tensorflow_name("GPU" if visible_gpus() else "CPU")


def tensorflow_name(kind: str) -> str:
    import tensorflow as tf

    if kind == "CPU":
        return kind
    details = tf.config.experimental.get_device_details(tf.config.list_physical_devices(kind)[0])
    return f"GPU ({details.get('device_name', 'unknown')})"


def jit_compile() -> bool | str:
    """Return whether Keras shall compile with XLA: not on TensorFlow's CPU, whose own kernels are as fast at once.

    XLA takes seconds to compile each length of a batch there.
    """
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return "auto" if tf.config.list_logical_devices("GPU") else False
    return "auto"


def process() -> tuple[int, int]:
    """Return the index of this process and the number of processes of a run: (0, 1) on one machine."""
    if keras.backend.backend() != "jax":
        return 0, 1
    import jax

    return jax.process_index(), jax.process_count()


def share_file(path: Path) -> None:
    """Copy the first machine's file to all machines of a run; where that has none, none is left on the others."""
    from jax.experimental import multihost_utils

    first = process()[0] == 0
    content = path.read_bytes() if first and path.exists() else b""
    size = np.array(divmod(len(content), 2**24), "int32")  # JAX's integers have 32 bits
    size = int(np.dot(multihost_utils.broadcast_one_to_all(size), [2**24, 1]))
    if size:
        mine = np.frombuffer(content, "uint8") if first else np.zeros(size, "uint8")
        content = np.asarray(multihost_utils.broadcast_one_to_all(mine)).astype("uint8").tobytes()
    if not first:
        with write_atomically(path) as partial:
            partial.write_bytes(content)
        if not size:
            path.unlink()


def predict_together(model: keras.Model, batches) -> np.ndarray:
    """Predict on several machines: each computes its part of a batch, and all get all of the outputs."""
    import jax

    mesh = keras.distribution.distribution().device_mesh.backend_mesh
    parts = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec(mesh.axis_names[0]))
    step = gathering_step(model, jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec()))
    state = [[v.value for v in variables] for variables in (model.trainable_variables, model.non_trainable_variables)]
    outputs = []
    for index in range(len(batches)):
        inputs = batches[index][0]
        inputs = {name: jax.make_array_from_process_local_data(parts, value) for name, value in inputs.items()}
        outputs.append(np.asarray(step(*state, inputs)))
    return np.concatenate(outputs)


@functools.lru_cache(maxsize=4)
def gathering_step(model: keras.Model, everywhere):
    import jax

    def step(trainable, non_trainable, inputs):
        return model.stateless_call(trainable, non_trainable, inputs, training=False)[0]

    return jax.jit(step, out_shardings=everywhere)


def on_one_cpu() -> bool:
    """Return whether TensorFlow computes on one CPU, not on GPUs or with several devices."""
    if keras.backend.backend() != "tensorflow":
        return False
    import tensorflow as tf

    return not tf.config.list_logical_devices("GPU") and not shared_by_tensorflow()


def shared_by_tensorflow() -> bool:
    """Return whether TensorFlow trains on several devices, which Keras synchronizes in no branch of a graph."""
    if keras.backend.backend() != "tensorflow":
        return False
    import tensorflow as tf

    return tf.distribute.has_strategy()

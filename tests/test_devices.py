"""Several devices and several machines train as one does, on virtual CPU devices and on processes of the loopback."""

import functools
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from fake_gpus import fake_gpus
from other_backend import quick_jax

from bertglue import InputError, Parameters
from bertglue.data.batches import batch_lengths
from bertglue.devices import gpus_of_process, keep_tensorflow_off_the_accelerator, select_strategy
from bertglue.parameters import PretrainingParameters

SCRIPT = Path(__file__).with_name("devices_run.py")


def start(result, backend, devices=1, machines=1, *more, **environment):
    command = [sys.executable, str(SCRIPT), str(result), str(devices), str(machines), *more]
    environment = {**os.environ, "KERAS_BACKEND": backend, **quick_jax(), **environment}
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def finish(*processes):
    for process in processes:
        output, _ = process.communicate(timeout=300)
        assert process.returncode == 0, output


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """What one device of one machine gives, on either backend."""
    folder = tmp_path_factory.mktemp("devices")

    @functools.cache
    def run(backend):
        finish(start(folder / f"{backend}.npz", backend))
        return np.load(folder / f"{backend}.npz")

    return run


def assert_equal(left, right):
    for name in ("curve", "accuracy", "logits", "again", "weights"):
        np.testing.assert_allclose(left[name], right[name], atol=2e-6, err_msg=name)


@pytest.mark.parametrize("backend", ["tensorflow", "jax"])
def test_two_devices_are_as_one(alone, tmp_path, backend):
    expected = alone(backend)
    finish(start(tmp_path / "two.npz", backend, devices=2))
    two = np.load(tmp_path / "two.npz")
    assert two["parallel"].all()
    assert not expected["parallel"].any()
    assert two["logits"].shape == (19, 2)
    assert_equal(two, expected)


OVERFLOW = """
import tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
import keras
from bertglue.training.optimizer import LossScaling, build_optimizer
strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
with strategy.scope():
    weight, optimizer = keras.Variable([1.0]), LossScaling(build_optimizer(0.1, 9, weight_decay=0.0))
    optimizer.build([weight])
@tf.function
def step(overflows):
    second = tf.distribute.get_replica_context().replica_id_in_sync_group == 1
    optimizer.apply([tf.where(overflows & second, [float("inf")], [2.0**15])], [weight])
for overflows in (True, False):
    strategy.run(step, args=(tf.constant(overflows),))
    scale, done, now = map(keras.ops.convert_to_numpy, (optimizer.dynamic_scale, optimizer.iterations, weight))
    print(scale, done, now.round(2))"""


def test_a_step_that_overflows_on_the_second_device_alone_is_left_out():
    environment = {**os.environ, "KERAS_BACKEND": "tensorflow"}
    done = subprocess.run([sys.executable, "-c", OVERFLOW], env=environment, capture_output=True, text=True)
    assert done.stdout.splitlines() == ["16384.0 0 [1.]", "16384.0 1 [0.9]"], done.stderr


SHARED = """
import tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
import keras, numpy as np
from bertglue.training.optimizer import build_optimizer

def trained(strategy, gradients):
    with strategy.scope():
        weights = [keras.Variable([3.0], name="layer_0_dense"), keras.Variable([-2.0], name="head")]
        optimizer = build_optimizer(0.1, 9, warmup_fraction=0, weight_decay=0.5, layer_decay=0.5)
        optimizer.build(weights)
    @tf.function
    def step(size):
        device = tf.distribute.get_replica_context().replica_id_in_sync_group
        optimizer.apply([size * one for one in tf.unstack(tf.gather(gradients, device))], weights)
    for size in (1.0, 0.1, 0.3):
        strategy.run(step, args=(tf.constant(size),))
    assert optimizer.weight_decay == 0.5
    return np.array([keras.ops.convert_to_numpy(weight) for weight in weights])

one = trained(tf.distribute.get_strategy(), [[[3.0], [4.0]]])  # clipped to 0.6 and 0.8
two = trained(tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]), [[[3.0], [0.0]], [[0.0], [4.0]]])
np.testing.assert_allclose(two, one, rtol=1e-5)"""


def test_clipping_and_decay_by_layer_on_two_devices_are_those_of_one():
    environment = {**os.environ, "KERAS_BACKEND": "tensorflow"}
    done = subprocess.run([sys.executable, "-c", SHARED], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_tensorflow_trains_on_one_machine():
    with pytest.raises(InputError, match="machines is 2, and TensorFlow under Keras 3 trains on one"):
        select_strategy(Parameters(machines=2))


def start_machines(folder, *more):
    """Start a process for each of two machines, each with a folder of its own."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    return [
        start(
            folder / f"{index}.npz", "jax", 1, 2, str(folder / f"run-{index}"), *more,
            JAX_COORDINATOR_ADDRESS=address, JAX_PROCESS_ID=str(index),
        )
        for index in range(2)
    ]  # fmt: skip


@pytest.fixture(scope="module")
def machines(tmp_path_factory):
    """Two machines that trained to their end; what lay in their folders after an epoch is beside them."""
    folder = tmp_path_factory.mktemp("machines")
    finish(*start_machines(folder, "1"))
    return folder


def test_two_machines_are_as_one(alone, machines):
    for index in range(2):
        assert_equal(np.load(machines / f"{index}.npz"), alone("jax"))


def test_two_machines_that_were_killed_resume(alone, machines, tmp_path):
    for index in range(2):
        shutil.copytree(machines / f"run-{index}.left", tmp_path / f"run-{index}")
    assert (tmp_path / "run-0/resume.npz").exists()
    assert not (tmp_path / "run-1/resume.npz").exists()  # the first machine's is all that is kept
    said = []
    for process in (processes := start_machines(tmp_path)):
        said.append(process.communicate(timeout=300)[0])
    assert [process.returncode for process in processes] == [0, 0], said
    for index in range(2):
        assert "resuming after epoch 1" in said[index]
        assert_equal(np.load(tmp_path / f"{index}.npz"), alone("jax"))


@pytest.mark.parametrize(
    ("tasks", "ids"), [("1(x2)", [0, 1, 2, 3]), ("1", [0, 1, 2, 3]), ("4(x2)", None), (None, None)]
)
def test_one_process_on_a_machine_uses_all_of_its_gpus(tmp_path, monkeypatch, tasks, ids):
    monkeypatch.setenv("PATH", fake_gpus(tmp_path, 4))
    monkeypatch.delenv("JAX_PROCESS_ID", raising=False)
    monkeypatch.delenv("SLURM_STEP_TASKS_PER_NODE", raising=False)
    if tasks:
        monkeypatch.setenv("SLURM_STEP_TASKS_PER_NODE", tasks)
    assert gpus_of_process() == ids


def test_a_batch_that_the_devices_cannot_share(tmp_path):
    process = start(tmp_path / "none.npz", "jax", devices=3)
    output, _ = process.communicate(timeout=300)
    assert process.returncode != 0
    assert "batch_size is 8; give a multiple of the 3 devices that share a batch" in output


def test_tensorflow_is_kept_off_the_accelerator(monkeypatch):
    hidden = []
    monkeypatch.setattr(tf.config, "set_visible_devices", lambda devices, kind: hidden.append((devices, kind)))
    keep_tensorflow_off_the_accelerator()
    assert hidden == [([], "GPU"), ([], "TPU")]


@pytest.mark.parametrize("kind", [Parameters, PretrainingParameters])
@pytest.mark.parametrize(("units", "policy"), [(["amx_bf16"], "mixed_bfloat16"), ([], "float32")])
def test_auto_computes_in_bfloat16_where_the_processor_multiplies_in_it(units, policy, kind, monkeypatch):
    before = keras.config.dtype_policy()
    monkeypatch.setattr("bertglue.devices.bfloat16_units", lambda: units)
    try:
        select_strategy(kind(precision="auto"))
        assert keras.config.dtype_policy().name == policy
    finally:
        keras.config.set_dtype_policy(before)


@pytest.mark.parametrize(
    ("given", "compiled", "lengths"),
    [
        ({}, False, [4, 8, 12, 16, 20]),
        ({}, "auto", [16, 32, 64, 128]),
        ({"bucket_lengths": [6, 20]}, False, [6, 20]),
        ({"bucketing": False}, False, []),
    ],
)
def test_batches_have_many_lengths_only_where_none_is_compiled(given, compiled, lengths, monkeypatch):
    monkeypatch.setattr("bertglue.data.batches.jit_compile", lambda: compiled)
    assert batch_lengths(Parameters(max_length=18, **given)) == lengths

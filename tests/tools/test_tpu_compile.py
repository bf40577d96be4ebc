"""What is compiled for a TPU is what Keras compiles; and what the table says of it."""

import os
import subprocess
import sys
from dataclasses import replace

import pytest
from other_backend import quick_jax

from bertglue import InputError
from bertglue.tools import tpu_compile

SAME = """
import inspect, sys
sys.modules["tensorflow"] = None
import jax, numpy as np
from bertglue.tools import tpu_compile
tpu_compile.ENCODER_SIZES["tiny"] = (8, 16, (2,))
trainer = tpu_compile.build("tiny", 16)
batch = tpu_compile.batch_of(4, 16)
(_, train, arguments), (_, predict, given) = tpu_compile.steps(trainer, batch)
trainer.make_train_function()
jitted = inspect.getclosurevars(trainer.train_function).nonlocals["step_function"]
assert jitted.__wrapped__ == train == trainer.train_step
logs, state = jax.jit(train)(*arguments)
assert {"loss", "running_loss", "confusion"} <= set(logs)
assert [v.shape for v in state[0]] == [v.shape for v in arguments[0][0]]
outputs, _ = jax.jit(predict)(*given)
assert outputs.shape == (4, 2)
"""


def test_the_step_is_the_one_that_keras_compiles():
    done = subprocess.run(
        [sys.executable, "-c", SAME],
        capture_output=True,
        text=True,
        env={**os.environ, "KERAS_BACKEND": "jax", **quick_jax()},
    )
    assert done.returncode == 0, done.stderr


ONE = tpu_compile.Compiled("train", "base", "v5e", 1, 32, 128, "bfloat16", 4 * tpu_compile.GIB, 197e10, 819e8, 1.0)


def test_the_roofline_is_the_longer_of_computing_and_moving():
    assert ONE.roofline_seconds == pytest.approx(0.1)
    assert replace(ONE, bytes=1).roofline_seconds == pytest.approx(0.01)
    assert ONE.examples_per_second == pytest.approx(320)


def test_findings_follow_the_numbers():
    words = tpu_compile.findings([ONE], {"jax": "1.2"})
    assert "10.0 ms for a training step on one chip" in words
    assert "100.0 ms. The compiler counts what every operation reads and writes, also" in words
    assert "takes 25% of the chip's memory" in words
    assert "is bound by arithmetic" in tpu_compile.findings([replace(ONE, bytes=1)], {})


def test_the_recorded_table_is_of_bert_base_on_one_and_eight_chips():
    compiled, versions = tpu_compile.read_compiled_steps()
    assert {(c.step, c.encoder, c.chips) for c in compiled} == {
        (step, "base", chips) for step in ("train", "predict") for chips in (1, 8)
    }
    assert set(versions) == {"jax", "libtpu", "keras"}
    assert all(c.memory < tpu_compile.CHIPS[c.chip].memory for c in compiled)


def test_a_number_of_chips_without_topology():
    with pytest.raises(InputError, match="chips is 3; choose from 1, 4, 8"):
        tpu_compile.find_devices("v5e", 3)


def test_help_says_that_it_is_no_measurement(capsys):
    with pytest.raises(SystemExit):
        tpu_compile.main(["--help"])
    assert "not a measurement" in " ".join(capsys.readouterr().out.split())

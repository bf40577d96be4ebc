"""Gradient accumulation: the updates of a large batch, in steps of a small one, on both backends."""

from dataclasses import replace

import keras
import numpy as np
import pytest
from other_backend import passes_on_the_other_backend
from small_run import Run

from bertglue.errors import InputError
from bertglue.training import finetune
from bertglue.training.optimizer import build_optimizer


def begin(*given, **recipe):
    keras.utils.set_random_seed(0)  # of the head's weights
    return Run(*given, **recipe)


def weights(run):
    return {v.path: keras.ops.convert_to_numpy(v) for v in run.classifier.trainable_variables}


@pytest.mark.parametrize(("batch_size", "accumulate"), [(16, 2), (4, 4)])  # of 37 rows: the last parts have none
def test_an_update_is_that_of_the_whole_batch(tiny_config, tmp_path, batch_size, accumulate):
    recipe = {"head_dropout": 0, "epochs": 2, "learning_rate": 1e-3}
    size, config = batch_size * accumulate, replace(tiny_config, heads=(2, 2), dropout=0.0)
    whole = begin(tmp_path / "whole", config, batch_size=size, **recipe)
    parts = begin(tmp_path / "parts", config, batch_size=batch_size, accumulate=accumulate, **recipe)
    expected, training = whole.train(), parts.train()
    found = weights(parts)
    for path, value in weights(whole).items():
        np.testing.assert_allclose(found[path], value, rtol=0, atol=1e-6, err_msg=path)
    assert len(training.history) == len(expected.history) == 2
    for row, wanted in zip(training.history, expected.history, strict=True):
        for split in ("train", "validation"):
            assert row[split] == pytest.approx(wanted[split], abs=1e-6)
    updates = -(-37 // size)
    assert training.curve[-1]["step"] == 2 * updates * accumulate
    assert [point["step"] for point in training.curve] == sorted({point["step"] for point in training.curve})
    assert all(np.isfinite(point["loss"]) and 0 <= point["accuracy"] <= 1 for point in training.curve)


def test_the_learning_rate_follows_the_updates():
    optimizer = build_optimizer(1.0, steps=4, warmup_fraction=0.5, weight_decay=0.0, accumulate=3)
    variable = keras.Variable(np.ones(2, "float32"))
    optimizer.build([variable])
    rates, moved = [], []
    for _ in range(12):
        rates.append(float(optimizer.learning_rate))
        before = keras.ops.convert_to_numpy(variable)
        optimizer.apply([keras.ops.ones(2)], [variable])
        moved.append(bool((keras.ops.convert_to_numpy(variable) != before).any()))
    np.testing.assert_allclose(rates, np.repeat([0.5, 1.0, 2 / 3, 1 / 3], 3), rtol=1e-6)
    assert moved == [False, False, True] * 4
    assert int(optimizer.iterations) == 4


def test_the_mean_gradient_is_clipped_and_a_weight_decays_once_an_update():
    """Gradients of norm 3 and -3 cancel; clipped one by one, or with a decay at each step, the weight would differ."""
    optimizer = build_optimizer(0.1, steps=2, warmup_fraction=0, weight_decay=0.5, accumulate=2)
    variable = keras.Variable(np.full(1, 8.0, "float32"), name="kernel")
    optimizer.build([variable])
    for gradient in (3.0, -3.0):
        optimizer.apply([keras.ops.full((1,), gradient)], [variable])
    np.testing.assert_allclose(keras.ops.convert_to_numpy(variable), 8 * (1 - 0.1 * 0.5), rtol=1e-6)
    assert optimizer.decay(1, variable) == pytest.approx(0.95)


def test_tensorflow_on_several_devices_says_that_it_does_not_accumulate(tiny_config, tmp_path, monkeypatch):
    monkeypatch.setattr(finetune, "shared_by_tensorflow", lambda: True)
    with pytest.raises(InputError, match="accumulate is 2, and TensorFlow accumulates gradients on one device; set"):
        Run(tmp_path, tiny_config, accumulate=2).train()


def test_the_other_backend_does_the_same(tmp_path):
    passes_on_the_other_backend(__file__, "not backend and not 16-2", tmp_path, count=4)

"""The schedule and the optimizer of the report."""

import keras
import numpy as np
from bertglue.optimization import WarmupLinearDecay, build_optimizer


def rates(schedule, steps):
    return [float(schedule(step)) for step in range(steps)]


def test_schedule_rises_over_a_tenth_and_falls_to_zero():
    values = rates(WarmupLinearDecay(1.0, steps=100, warmup=10), 101)
    np.testing.assert_allclose(values[:10], np.arange(1, 11) / 10, rtol=1e-6)
    np.testing.assert_allclose(np.diff(values[10:]), -1 / 91, rtol=1e-3)
    assert values[100] == 0 < values[99]


def test_schedule_without_warmup_starts_at_the_peak():
    assert rates(WarmupLinearDecay(1.0, steps=4, warmup=0), 4)[0] == 1


def test_layer_norms_and_biases_are_not_decayed():
    inputs = keras.Input((4,))
    x = keras.layers.Dense(4, name="dense")(inputs)
    model = keras.Model(inputs, keras.layers.LayerNormalization(name="some_layer_norm")(x))
    for variable in model.trainable_variables:
        variable.assign(np.ones(variable.shape))
    optimizer = build_optimizer(0.1, steps=1, weight_decay=0.5)
    zeros = [np.zeros(v.shape, "float32") for v in model.trainable_variables]
    optimizer.apply(keras.tree.map_structure(keras.ops.convert_to_tensor, zeros), model.trainable_variables)
    moved = {v.path for v in model.trainable_variables if not np.allclose(v, 1)}
    assert moved == {"dense/kernel"}

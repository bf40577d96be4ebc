"""GELU, dense layers and dropout on TensorFlow, held to Keras's own and to the definitions."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from bertglue.models import fast_layers
from bertglue.models.fast_layers import Dense, Dropout, exact_gelu, fused_dense_layers, gelu


def with_gradient(function, x):
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = function(x)
    return y, tape.gradient(y, x)


def test_gelu_and_its_gradient_equal_keras():
    x = tf.constant([-1e4, 1e4, *np.linspace(-12, 12, 2401)], "float32")
    for ours, theirs in zip(
        with_gradient(gelu, x),
        with_gradient(lambda x: keras.activations.gelu(x, approximate=True), tf.cast(x, "float64")),
        strict=True,
    ):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=2e-6)


def test_gelu_in_bfloat16_is_float32s_rounded():
    x = tf.cast(tf.linspace(-8.0, 8.0, 1001), "bfloat16")
    for short, wide in zip(with_gradient(gelu, x), with_gradient(gelu, tf.cast(x, "float32")), strict=True):
        assert short.dtype == "bfloat16"
        np.testing.assert_array_equal(short, tf.cast(wide, "bfloat16"))


@pytest.mark.parametrize("units", [[], ["amx_bf16"]])
@pytest.mark.parametrize("activation", [gelu, exact_gelu, None, "tanh"])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_dense_layers_that_are_fused_say_the_same(monkeypatch, units, activation, dtype):
    monkeypatch.setattr(fast_layers, "bfloat16_units", lambda: units)
    x = tf.cast(np.random.default_rng(0).normal(0, 2, (3, 5, 8)), dtype)
    layer = Dense(16, activation, dtype=dtype, bias_initializer=keras.initializers.RandomNormal(seed=2))
    plain = layer(x)
    with fused_dense_layers():
        traced = tf.function(layer, input_signature=[tf.TensorSpec((None, None, 8), dtype)]).get_concrete_function()
    last = traced.graph.outputs[0].op.inputs[0].op.type  # nothing between product, bias and GELU, or they are not fused
    assert (last == "Reshape") == (bool(units) and activation != "tanh")
    assert traced(x).dtype == dtype
    wide = [tf.cast(y, "float32") for y in (traced(x), plain)]
    closeness = {"rtol": 1e-5, "atol": 1e-6} if dtype == "float32" else {"rtol": 2e-2, "atol": 2e-2}
    np.testing.assert_allclose(*wide, **closeness)


@pytest.mark.parametrize("rate", [0.1, 0.5])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_dropout_leaves_its_share_and_keeps_the_mean(rate, dtype):
    dropout = Dropout(rate, seed=3, dtype=dtype)
    x = tf.ones((101, 999), dtype)
    y, gradient = with_gradient(lambda x: dropout(x, training=True), x)
    kept = np.mean(np.array(y) != 0)
    assert abs(kept - (1 - rate)) < 4 * (rate * (1 - rate) / np.size(y)) ** 0.5
    np.testing.assert_allclose(np.unique(np.array(y, "float32")), [0, 1 / (1 - rate)], rtol=4e-3)
    np.testing.assert_array_equal(gradient, y)  # of ones: the mask itself
    rows, columns = np.array(y != 0).mean(axis=1), np.array(y != 0).mean(axis=0)
    assert np.std(rows) < 2 * (rate * (1 - rate) / 999) ** 0.5
    assert np.std(columns) < 2 * (rate * (1 - rate) / 101) ** 0.5


def test_dropout_follows_its_seed_and_draws_anew():
    x = tf.ones((32, 8))
    first, second, other = (Dropout(0.5, seed=seed) for seed in (1, 1, 2))
    drawn = [layer(x, training=True).numpy() for layer in (first, second, other)]
    np.testing.assert_array_equal(drawn[0], drawn[1])
    assert (drawn[0] != drawn[2]).any()
    assert (first(x, training=True).numpy() != drawn[0]).any()
    np.testing.assert_array_equal(first(x, training=False), x)

"""The functions for JAX: values and gradients as JAX computes them, from less that is kept."""

import numpy as np
import pytest

jax = pytest.importorskip("jax", reason="these functions are JAX's")
jnp = jax.numpy

from bertglue.models import jax_functions  # noqa: E402  (it imports JAX)

RNG = np.random.default_rng(0)
X, UPSTREAM = (RNG.normal(0, 2, (3, 5, 8)).astype("float32") for _ in range(2))
GAMMA, BETA = RNG.normal(1, 0.5, 8).astype("float32"), RNG.normal(0, 0.5, 8).astype("float32")
PADDING = np.where(RNG.random((3, 1, 8)) < 0.3, -1e9, 0).astype("float32")


def layer_norm(x, gamma=GAMMA, beta=BETA):
    mean, variance = x.mean(-1, keepdims=True), x.var(-1, keepdims=True)
    return (x - mean) / jnp.sqrt(variance + 1e-6) * gamma + beta


FUNCTIONS = {  # this project's, and JAX's own
    "gelu": (jax_functions.gelu, jax.nn.gelu),
    "exact gelu": (jax_functions.exact_gelu, lambda x: jax.nn.gelu(x, approximate=False)),
    "softmax": (lambda x: jax_functions.softmax(x, PADDING), lambda x: jax.nn.softmax(x + PADDING)),
    "layer norm": (lambda x: jax_functions.layer_normalization(x, GAMMA, BETA, 1e-6), layer_norm),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_values_and_gradients_are_those_of_jax(name):
    (found, gradient), (expected, expected_gradient) = (
        (value, back(UPSTREAM)[0]) for value, back in (jax.vjp(function, X) for function in FUNCTIONS[name])
    )
    np.testing.assert_allclose(found, expected, atol=2e-6)
    np.testing.assert_allclose(gradient, expected_gradient, atol=1e-5)


def test_gradients_of_scale_and_shift():
    _, ours = jax.vjp(lambda *weights: jax_functions.layer_normalization(X, *weights, 1e-6), GAMMA, BETA)
    _, theirs = jax.vjp(lambda *weights: layer_norm(X, *weights), GAMMA, BETA)
    for found, expected in zip(ours(UPSTREAM), theirs(UPSTREAM), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_in_bfloat16_nothing_of_that_size_is_kept_in_float32(name):
    ours, _ = FUNCTIONS[name]
    value, back = jax.vjp(ours, jnp.asarray(X, "bfloat16"))
    assert value.dtype == "bfloat16"
    assert back(jnp.asarray(UPSTREAM, "bfloat16"))[0].dtype == "bfloat16"
    assert [str(kept.dtype) for kept in jax.tree.leaves(back) if np.size(kept) == X.size] == ["bfloat16"]


def test_in_float16_a_large_input_does_not_overflow():
    large = jnp.asarray([-60.0, 60.0], "float16")  # whose cubes are beyond float16
    value, back = jax.vjp(jax_functions.gelu, large)
    assert value.tolist() == [0, 60]
    assert back(jnp.ones_like(large))[0].tolist() == [0, 1]

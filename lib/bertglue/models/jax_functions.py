"""GELU, softmax and layer normalization for JAX, which keep nothing in float32 for their gradients.

Without these, XLA keeps what is computed on the way to a result, in float32, until the backward pass reads it. Here the
backward pass computes it again, from the input or the result in the precision of the training.
"""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np

from bertglue.models.fast_layers import CUBE, SLOPE


def wide(x):
    return x.astype("float32")


def again(kept, upstream):
    """Keep XLA from taking the values of the forward pass for those that the backward pass computes again."""
    return jax.lax.optimization_barrier((kept, upstream))


@jax.custom_vjp
def gelu(x):
    """Apply GELU in its tanh form."""
    return gelu_forward(x)[0]


def gelu_forward(x):
    return (wide(x) * jax.nn.sigmoid(wide(x) * (SLOPE + CUBE * wide(x) ** 2))).astype(x.dtype), x


def gelu_backward(x, upstream):
    x, upstream = again(x, upstream)
    value = wide(x)
    share = jax.nn.sigmoid(value * (SLOPE + CUBE * value**2))
    slope = share * (1 - share) * value * (SLOPE + 3 * CUBE * value**2)
    return ((wide(upstream) * (share + slope)).astype(x.dtype),)


gelu.defvjp(gelu_forward, gelu_backward)


@jax.custom_vjp
def exact_gelu(x):
    """Apply GELU in its exact form."""
    return exact_gelu_forward(x)[0]


def exact_gelu_forward(x):
    return (wide(x) * normal_share(wide(x))).astype(x.dtype), x


def exact_gelu_backward(x, upstream):
    x, upstream = again(x, upstream)
    value = wide(x)
    density = np.float32(1 / np.sqrt(2 * np.pi)) * jnp.exp(-0.5 * value**2)
    return ((wide(upstream) * (normal_share(value) + value * density)).astype(x.dtype),)


def normal_share(value):
    return 0.5 + 0.5 * jax.lax.erf(value * np.float32(np.sqrt(0.5)))


exact_gelu.defvjp(exact_gelu_forward, exact_gelu_backward)


@jax.custom_vjp
def softmax(scores, bias):
    """Return the softmax of scores + bias over the last axis, computed in float32, in the type of the scores."""
    return softmax_forward(scores, bias)[0]


def softmax_forward(scores, bias):
    weights = jax.nn.softmax(wide(scores) + bias).astype(scores.dtype)
    return weights, (weights, bias)


def softmax_backward(kept, upstream):
    weights, bias = kept
    product = wide(weights) * wide(upstream)
    gradient = product - wide(weights) * product.sum(-1, keepdims=True)
    return gradient.astype(weights.dtype), jnp.zeros_like(bias)


softmax.defvjp(softmax_forward, softmax_backward)


@functools.partial(jax.custom_vjp, nondiff_argnums=(3,))
def layer_normalization(x, gamma, beta, epsilon):
    """Normalize x over its last axis, in float32, and scale and shift it; the result is in the type of x."""
    return layer_normalization_forward(x, gamma, beta, epsilon)[0]


def layer_normalization_forward(x, gamma, beta, epsilon):
    normal, _ = normalized(x, epsilon)
    return (normal * wide(gamma) + wide(beta)).astype(x.dtype), (x, gamma)


def normalized(x, epsilon):
    mean = wide(x).mean(-1, keepdims=True)
    scale = jax.lax.rsqrt(jnp.square(wide(x) - mean).mean(-1, keepdims=True) + epsilon)
    return (wide(x) - mean) * scale, scale


def layer_normalization_backward(epsilon, kept, upstream):
    (x, gamma), upstream = again(kept, upstream)
    normal, scale = normalized(x, epsilon)
    upstream, axes = wide(upstream), tuple(range(x.ndim - 1))
    inner = upstream * wide(gamma)
    centred = inner - inner.mean(-1, keepdims=True) - normal * (inner * normal).mean(-1, keepdims=True)
    of_gamma, of_beta = ((part.sum(axes)).astype(gamma.dtype) for part in (upstream * normal, upstream))
    return (centred * scale).astype(x.dtype), of_gamma, of_beta


layer_normalization.defvjp(layer_normalization_forward, layer_normalization_backward)

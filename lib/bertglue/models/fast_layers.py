"""GELU in both forms, dense layers, layer normalization and dropout, each with few passes over the memory.

TensorFlow runs every multiplication of these as an operation of its own, and its kernels for bfloat16 are slower than
those for float32. `jax_functions` has what JAX does.
"""

from __future__ import annotations

import contextlib
import contextvars

import keras
import numpy as np
from keras import layers

from bertglue.devices import on_one_cpu
from bertglue.environment import bfloat16_units

SLOPE, CUBE = 2 * np.sqrt(2 / np.pi), 2 * np.sqrt(2 / np.pi) * 0.044715


@keras.saving.register_keras_serializable("bertglue")
def gelu(x):
    """Apply GELU in its tanh form, as the published encoders do (arXiv:1606.08415)."""
    if not keras.ops.is_tensor(x):
        return keras.activations.gelu(x, approximate=True)
    return jax_functions().gelu(x) if keras.backend.backend() == "jax" else tensorflow_gelu(x)


def jax_functions():
    """Load the functions for JAX, which a process on TensorFlow may lack."""
    from bertglue.models import jax_functions

    return jax_functions


def tensorflow_gelu(x):
    """Compute x / (1 + exp(-u)), which is the tanh form, in float32; its gradient reuses what it knows."""
    import tensorflow as tf

    @tf.custom_gradient
    def apply(x):
        wide = tf.cast(x, "float32")
        square = tf.square(wide)
        share = tf.sigmoid(wide * (SLOPE + CUBE * square))

        def gradient(upstream):
            slope = tf.raw_ops.SigmoidGrad(y=share, dy=wide * (SLOPE + 3 * CUBE * square))
            return tf.cast(tf.cast(upstream, "float32") * (share + slope), x.dtype)

        return tf.cast(wide * share, x.dtype), gradient

    return apply(x)


@keras.saving.register_keras_serializable("bertglue")
def exact_gelu(x):
    """Apply GELU in its exact form, x times the normal distribution's share below x (arXiv:1606.08415)."""
    if not keras.ops.is_tensor(x) or PLAIN_GELU.get():
        return keras.activations.gelu(x, approximate=False)
    return jax_functions().exact_gelu(x) if keras.backend.backend() == "jax" else tensorflow_exact_gelu(x)


PLAIN_GELU = contextvars.ContextVar("plain_gelu", default=False)


@contextlib.contextmanager
def plain_gelu():
    """Have the exact form traced as Keras writes it, by which LiteRT's converter knows it; it has no erf of its own."""
    token = PLAIN_GELU.set(True)
    try:
        yield
    finally:
        PLAIN_GELU.reset(token)


def tensorflow_exact_gelu(x):
    """Compute it in float32; its gradient reuses what it knows."""
    import tensorflow as tf

    @tf.custom_gradient
    def apply(x):
        wide = tf.cast(x, "float32")
        share = 0.5 + 0.5 * tf.math.erf(wide * np.float32(np.sqrt(0.5)))

        def gradient(upstream):
            density = np.float32(1 / np.sqrt(2 * np.pi)) * tf.exp(-0.5 * tf.square(wide))
            return tf.cast(tf.cast(upstream, "float32") * (share + wide * density), x.dtype)

        return tf.cast(wide * share, x.dtype), gradient

    return apply(x)


def softmax(scores, padding, dtype):
    """Compute the softmax of scores + padding over the last axis, in float32; the result is of `dtype`."""
    if keras.backend.backend() == "jax" and keras.ops.is_tensor(scores):
        return jax_functions().softmax(scores, padding)
    wide = keras.ops.cast(scores, "float32") + padding
    return keras.ops.cast(keras.ops.softmax(wide), dtype)


GELU, GELU_TANH = "gelu", "gelu_pytorch_tanh"  # as Hugging Face's configurations call them
ACTIVATIONS = {GELU: exact_gelu, GELU_TANH: gelu}


def activation_name(function) -> str:
    """Return what the activation of a layer is called in a configuration."""
    return next((name for name, known in ACTIVATIONS.items() if known is function), GELU_TANH)


FUSED = contextvars.ContextVar("fused", default=False)


@contextlib.contextmanager
def fused_dense_layers():
    """Have dense layers traced so that TensorFlow makes one operation of product, bias and GELU; for prediction alone.

    oneDNN has that operation, and TensorFlow uses it on processors with units for bfloat16; elsewhere nothing changes.
    """
    token = FUSED.set(on_one_cpu() and bool(bfloat16_units()))
    try:
        yield
    finally:
        FUSED.reset(token)


@keras.saving.register_keras_serializable("bertglue")
class Dense(layers.Dense):
    """Keras's dense layer; within `fused_dense_layers` nothing lies between its product, bias and GELU."""

    def call(self, inputs, training=None):
        if not FUSED.get() or self.activation not in (gelu, exact_gelu, keras.activations.linear):
            return super().call(inputs, training=training)
        import tensorflow as tf

        kernel, bias = (keras.ops.cast(weight, self.compute_dtype) for weight in (self.kernel, self.bias))
        rows = tf.nn.bias_add(tf.reshape(inputs, (-1, inputs.shape[-1])) @ kernel, bias)
        if self.activation is not keras.activations.linear:
            rows = tf.nn.gelu(rows, approximate=self.activation is gelu)
        return tf.reshape(rows, (*tf.unstack(tf.shape(inputs)[:-1]), self.units))

    def quantize(self, mode=None, type_check=True, **given):  # which Keras refuses to classes that it does not know
        super().quantize(mode, type_check=False, **given)


@keras.saving.register_keras_serializable("bertglue")
class LayerNormalization(layers.LayerNormalization):
    """Keras's layer normalization over the last axis, computed in float32."""

    def call(self, inputs):
        if keras.backend.backend() != "jax" or not keras.ops.is_tensor(inputs):
            return super().call(inputs)
        gamma, beta = (keras.ops.convert_to_tensor(weight, "float32") for weight in (self.gamma, self.beta))
        return jax_functions().layer_normalization(inputs, gamma, beta, self.epsilon)


@keras.saving.register_keras_serializable("bertglue")
class Dropout(layers.Dropout):
    """Keras's dropout, from 16 random bits for each number where TensorFlow draws 32.

    The rate is met to within 1e-5.
    """

    def call(self, inputs, training=False):
        if not (training and self.rate) or self.noise_shape or keras.backend.backend() != "tensorflow":
            return super().call(inputs, training=training)
        import tensorflow as tf

        shape, size = tf.shape(inputs), tf.size(inputs)
        seed = tf.cast(self.seed_generator.next(), "int32")
        bits = tf.random.stateless_uniform([(size + 1) // 2], seed, minval=None, maxval=None, dtype="int32")
        bits = tf.reshape(tf.reshape(tf.bitcast(bits, "uint16"), [-1])[:size], shape)
        kept = bits >= tf.constant(min(round(self.rate * 2**16), 2**16 - 1), "uint16")
        return tf.where(kept, inputs * (1 / (1 - self.rate)), tf.zeros((), inputs.dtype))

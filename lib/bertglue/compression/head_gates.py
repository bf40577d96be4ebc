"""The number of heads, learned: a gate on each head, trained with the task and pushed to be exactly zero.

Hard-concrete gates with an L0 penalty (Louizos et al., 2018, arXiv:1712.01312; on heads: Voita et al., 2019,
arXiv:1905.09418).
"""

from __future__ import annotations

import keras
import numpy as np
from keras import layers, ops

from bertglue.models.attention import MultiHeadAttention
from bertglue.training.optimizer import GATE_WEIGHT

TEMPERATURE, STRETCH_LOW, STRETCH_HIGH = 2 / 3, -0.1, 1.1  # of the hard-concrete distribution, as in the papers
INITIAL_LOG_ALPHA = 2.0  # log alpha of a gate at the start: open with a probability of 0.97


class HeadGates(layers.Layer):
    """Compute a gate in 0..1 for each head [heads]: sampled in training, deterministic elsewhere.

    Its loss is `strength` times the expected number of gates that are not zero. All is computed in float32: in 16 bits
    the loss, once scaled, could overflow.
    """

    def __init__(self, heads: int, strength: float, **kwargs):
        super().__init__(**kwargs)
        self.heads, self.strength = heads, strength
        self.generator = keras.random.SeedGenerator()  # another one in each layer, as dropout's

    def build(self, shape):
        constant = keras.initializers.Constant
        self.log_alpha = self.add_weight(
            shape=(self.heads,), initializer=constant(INITIAL_LOG_ALPHA), name=GATE_WEIGHT, dtype="float32",
            autocast=False,
        )  # fmt: skip
        self.push = self.add_weight(
            shape=(), initializer=constant(self.strength), trainable=False, name="strength", dtype="float32",
            autocast=False,
        )  # fmt: skip

    def call(self, inputs, training=None):
        self.add_loss(self.push * ops.sum(self.open_probability()))
        if not training:
            return ops.cast(self.settled(), self.compute_dtype)
        uniform = keras.random.uniform((self.heads,), 1e-6, 1 - 1e-6, seed=self.generator)
        noise = ops.log(uniform) - ops.log(1 - uniform)
        return ops.cast(stretch(ops.sigmoid((noise + self.log_alpha) / TEMPERATURE)), self.compute_dtype)

    def settled(self):
        """Return the deterministic gates."""
        return stretch(ops.sigmoid(self.log_alpha))

    def open_probability(self):
        return ops.sigmoid(self.log_alpha - TEMPERATURE * float(np.log(-STRETCH_LOW / STRETCH_HIGH)))


def stretch(sample):
    return ops.clip(sample * (STRETCH_HIGH - STRETCH_LOW) + STRETCH_LOW, 0.0, 1.0)


@keras.saving.register_keras_serializable("bertglue")
class GatedAttention(MultiHeadAttention):
    """Self-attention whose heads are each multiplied by a gate."""

    def __init__(self, *args, strength: float = 0.0, **kwargs):
        super().__init__(*args, **kwargs)
        self.strength = strength
        self.gates = HeadGates(self.num_heads, strength, name="gates", dtype=self.dtype_policy)

    def build(self, query_shape, value_shape):
        self.gates.build(None)
        super().build(query_shape, value_shape)

    def gate(self, context, training):
        return context * ops.reshape(self.gates(context, training=training), (-1, 1))

    def get_config(self):
        return {**super().get_config(), "strength": self.strength}


def add_gates(classifier: keras.Model, strength: float) -> keras.Model:
    """Build the same classifier with a gate on each head; all weights are copied."""

    def gated(layer):
        if isinstance(layer, MultiHeadAttention):
            return GatedAttention.from_config({**layer.get_config(), "strength": strength})
        return layer.__class__.from_config(layer.get_config())

    model = keras.models.clone_model(classifier, clone_function=gated, recursive=True)
    values = {variable.path: variable for variable in classifier.trainable_variables}
    for variable in model.trainable_variables:
        if variable.path in values:
            variable.assign(np.array(values[variable.path]))  # a copy: JAX gives the memory of what it trains away
    return model


def set_strength(model: keras.Model, strength: float) -> None:
    """Change what an open gate costs; nothing is compiled anew."""
    for layer in model.get_layer("encoder").layers:
        if isinstance(layer, GatedAttention):
            layer.gates.push.assign(strength)


def open_heads(model: keras.Model) -> list[list[int]]:
    """Return the heads of each layer whose gate is not zero."""
    return [np.flatnonzero(gate > 0).tolist() for gate in settled_gates(model)]


def settled_gates(model: keras.Model) -> list[np.ndarray]:
    """Return the deterministic gates of each layer; a layer without heads has none."""
    return [
        ops.convert_to_numpy(layer.gates.settled()) if isinstance(layer, GatedAttention) else np.zeros(0, "float32")
        for layer in model.get_layer("encoder").layers
        if layer.name.endswith("_self_attention")
    ]

"""Self-attention of the encoder (Vaswani et al., 2017, arXiv:1706.03762)."""

from __future__ import annotations

import keras
from keras import layers, ops

from bertglue.devices import jit_compile
from bertglue.models.fast_layers import Dropout, softmax

PADDING_SCORE = -1e9  # added to the score of a padded key
PADDING_SCORE_8_BIT = -20.0  # the same in 8 bits, whose range PADDING_SCORE would use up; e^-20 is 2e-9


@keras.saving.register_keras_serializable("bertglue")
class MultiHeadAttention(layers.MultiHeadAttention):
    """Keras's attention, with its name and its weights in files, of a sequence or of its first tokens to the sequence.

    On TensorFlow's CPU queries, keys and values come from one matrix product over all positions, where Keras's
    einsum has one for each row of the batch. The softmax is computed in float32.
    """

    padded = PADDING_SCORE

    def build(self, query_shape, value_shape):  # Keras holds the names of these to those of `call`
        super().build(query_shape, value_shape)

    def _build_attention(self, rank):  # all that is left of what Keras makes for its own `call`
        self._dropout_layer = Dropout(self.dropout, dtype=self.dtype_policy, seed=self.seed)

    def call(self, query, value, attention_mask=None, training=None):
        _, length, hidden = ops.shape(query)
        queries, keys, values = self.project(query, value)
        weights = self.weigh(self.score(queries, keys), attention_mask, training)
        context = self.gate(self.mix(weights, values), training)
        output = self._output_dense
        if jit_compile():
            return ops.einsum("bqhd,hdc->bqc", context, output.kernel) + output.bias
        kernel = ops.reshape(output.kernel, (-1, hidden))
        mixed = ops.matmul(ops.reshape(context, (-1, kernel.shape[0])), kernel)
        return ops.reshape(mixed + output.bias, (-1, length, hidden))

    def gate(self, context, training):
        """Return the heads' contexts [batch, length, heads, size], which a subclass may gate."""
        return context

    def project(self, query, value):
        """Return queries, keys and values, each [batch, heads, length, size]."""
        parts = (self._query_dense, self._key_dense, self._value_dense)
        if query is value:
            return self.project_together(value, parts)
        return [*self.project_together(query, parts[:1]), *self.project_together(value, parts[1:])]

    def project_together(self, x, parts):
        if jit_compile():  # XLA writes each product in the order in which it is read
            return [ops.einsum("blc,chd->bhld", x, part.kernel) + ops.expand_dims(part.bias, 1) for part in parts]
        length, width = ops.shape(x)[1], self.num_heads * self.key_dim
        kernel = ops.concatenate([ops.reshape(part.kernel, (-1, width)) for part in parts], axis=1)
        bias = ops.concatenate([ops.reshape(part.bias, (width,)) for part in parts], axis=0)
        projected = ops.matmul(ops.reshape(x, (-1, kernel.shape[0])), kernel) + bias
        split = ops.reshape(projected, (-1, length, len(parts), self.num_heads, self.key_dim))
        return ops.unstack(ops.transpose(split, (2, 0, 3, 1, 4)))

    def score(self, queries, keys):
        """Return how well each query fits each key, [batch, heads, queries, keys]."""
        queries *= self.key_dim**-0.5
        if queries.shape[2] == 1:
            return ops.expand_dims(sum_of_products(queries, keys, axis=3), 2)
        return ops.einsum("bhqd,bhkd->bhqk", queries, keys)

    def mix(self, weights, values):
        """Return the values summed by their weights for each query, [batch, queries, heads, size]."""
        if weights.shape[2] == 1:
            mixed = sum_of_products(ops.transpose(weights, (0, 1, 3, 2)), values, axis=2)
            return ops.expand_dims(ops.cast(mixed, self.compute_dtype), 1)
        return ops.einsum("bhqk,bhkd->bqhd", weights, values)

    def weigh(self, scores, mask, training):
        padding = 0.0
        if mask is not None:  # [batch, 1, length]
            padding = ops.expand_dims((1.0 - ops.cast(mask, "float32")) * self.padded, 1)
        weights = softmax(scores, padding, self.compute_dtype)
        return self._dropout_layer(weights, training=training) if self.dropout else weights


def sum_of_products(a, b, axis):
    """Sum a * b over an axis in float32: a matrix product with one row, and gradients that are outer products.

    oneDNN's kernels for AVX-512 are suspected of corrupting the heap in training where they multiply such matrices.
    """
    return ops.sum(ops.cast(a, "float32") * ops.cast(b, "float32"), axis=axis)

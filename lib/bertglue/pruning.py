"""Attention heads: scored by what the loss would miss, and taken out of the arrays (Michel et al., arXiv:1905.10650).

The gradient of the loss with respect to a gate on a head equals the inner product of the head's part of the output
kernel and that part's gradient, so no gate need exist in the model.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

import keras
import numpy as np
from keras import ops

from bertglue.batches import Batches, fit
from bertglue.classifier import build_classifier
from bertglue.encoder import build_encoder, config_of
from bertglue.errors import InputError
from bertglue.tasks import Task
from bertglue.tokens import Tokens
from bertglue.training import compile_classifier

OUTPUT = "attention_output/kernel"
Heads = Sequence[Sequence[int]]  # numbers of heads, for each layer


class GateGradients(keras.optimizers.Optimizer):
    """Instead of an update, sum the absolute gradient of a gate on each head over the steps; weights stay."""

    def __init__(self):
        super().__init__(learning_rate=0.0)

    def build(self, variables):
        if not self.built:
            super().build(variables)
            self.outputs = {i: v.path for i, v in enumerate(variables) if v.path.endswith(OUTPUT)}
            heads = {i: (variables[i].shape[0],) for i in self.outputs}
            self.sums = {i: self.add_variable(shape, "zeros", name=f"gates_{i}") for i, shape in heads.items()}

    def update_step(self, gradient, variable, learning_rate):
        index = self._get_variable_index(variable)
        if index in self.sums:
            inner = ops.sum(ops.cast(variable, "float32") * ops.cast(gradient, "float32"), axis=(1, 2))
            self.assign_add(self.sums[index], ops.abs(inner))


def count(classifier: keras.Model) -> list[int]:
    """Count the heads of each layer."""
    return list(config_of(classifier.get_layer("encoder")).heads)


class Silenced:
    """A copy of a classifier, without dropout, whose heads can be silenced and heard again.

    A silenced head has its part of the output kernel at zero, which gives the outputs of a model without that head.
    """

    def __init__(self, classifier: keras.Model, task: Task):
        self.heads = count(classifier)
        self.model = rebuild(classifier, [range(heads) for heads in self.heads], dropout=0.0)
        self.gates = GateGradients()
        self.gates.build(self.model.trainable_variables)
        compile_classifier(self.model, task, self.gates)
        outputs = [v for v in self.model.trainable_variables if v.path.endswith(OUTPUT)]
        self.outputs = {attention_of(v.path): (v, np.array(v)) for v in outputs}

    def keep(self, kept: Heads) -> None:
        """Let the given heads of each layer be heard, and no others."""
        for layer, (variable, value) in self.outputs.items():
            heard = np.isin(np.arange(len(value)), list(kept[layer]))
            variable.assign(value * heard[:, None, None])

    def importance(self, batches: Batches) -> list[np.ndarray]:
        """Score the heads of each layer: the sum over batches of a gate's absolute gradient, each layer's at norm one.

        A silenced head scores zero.
        """
        for total in self.gates.sums.values():
            total.assign(np.zeros(total.shape, "float32"))
        fit(self.model, batches)
        sums = {attention_of(self.gates.outputs[i]): ops.convert_to_numpy(v) for i, v in self.gates.sums.items()}
        layers = [sums.get(layer, np.zeros(0)) for layer in range(len(self.heads))]
        return [layer / max(np.linalg.norm(layer), 1e-12) for layer in layers]


def importance(
    classifier: keras.Model, task: Task, tokens: Tokens, labels, *, batch_size: int = 32, lengths=()
) -> list[np.ndarray]:
    """Score the heads of each layer by the gradient of a gate, over all rows."""
    return Silenced(classifier, task).importance(Batches(tokens, labels, batch_size=batch_size, lengths=lengths))


def magnitude(classifier: keras.Model) -> list[np.ndarray]:
    """Score the heads of each layer by the norm of their weights."""
    encoder = classifier.get_layer("encoder")
    scores = []
    for index, heads in enumerate(count(classifier)):
        squares = np.zeros(heads)
        for variable in encoder.get_layer(f"layer_{index}_self_attention").weights if heads else ():
            if variable.path.endswith("kernel"):
                value = np.square(ops.convert_to_numpy(variable).astype("float64"))
                squares += value.sum(axis=tuple(i for i in range(3) if i != heads_axis(variable.path)))
        scores.append(np.sqrt(squares))
    return scores


def keep(classifier: keras.Model, kept: Heads) -> keras.Model:
    """Build the classifier with the given heads of each layer alone; a layer may keep none."""
    there = count(classifier)
    if len(kept) != len(there):
        raise InputError(
            f"heads are given for {len(kept)} layers, and the encoder has {len(there)}; name those of each"
        )
    for layer, (heads, number) in enumerate(zip(kept, there, strict=True)):
        wrong = [head for head in heads if not 0 <= head < number]
        if wrong or len(set(heads)) < len(heads):
            left = f"has {number}, counted from 0" if number else "has none left"
            raise InputError(f"layer {layer} {left}; heads {list(heads)} cannot be kept")
    return rebuild(classifier, kept)


def weakest(scores: Sequence[np.ndarray], number: int) -> list[list[int]]:
    """Give the heads of each layer that are left when the `number` with the lowest scores are gone."""
    ranked = sorted((score, layer, head) for layer, row in enumerate(scores) for head, score in enumerate(row))
    if not 0 <= number <= len(ranked):
        raise InputError(f"{number} heads cannot be removed; the encoder has {len(ranked)}")
    gone = {(layer, head) for _, layer, head in ranked[:number]}
    return [[head for head in range(len(row)) if (layer, head) not in gone] for layer, row in enumerate(scores)]


def rebuild(classifier: keras.Model, kept: Heads, dropout: float | None = None) -> keras.Model:
    if any(variable.dtype == "int8" for variable in classifier.variables):
        raise InputError("the classifier's weights are 8-bit integers already; take the one that was trained")
    encoder = classifier.get_layer("encoder")
    config = replace(config_of(encoder), heads=tuple(len(list(heads)) for heads in kept))
    rate = classifier.get_layer("pooled_dropout").rate
    if dropout is not None:
        config, rate = replace(config, dropout=dropout), dropout
    smaller = build_classifier(build_encoder(config), classifier.get_layer("head").units, rate)
    copy_kept(encoder, smaller.get_layer("encoder"), kept)
    smaller.get_layer("head").set_weights(classifier.get_layer("head").get_weights())
    return smaller


def copy_kept(source: keras.Model, target: keras.Model, kept: Heads) -> None:
    """Copy an encoder's weights into a smaller one, of each attention only the heads that are kept."""
    values = {variable.path: variable for variable in source.trainable_variables}
    for variable in target.trainable_variables:
        path = variable.path
        if path not in values:  # the last heads of a layer are gone, and its output's bias is left
            path = path.replace("/bias", "/attention_output/bias")
        value = np.array(values[path])  # a copy: JAX gives the memory of what it trains away
        if (layer := attention_of(path)) is not None and (axis := heads_axis(path)) is not None:
            value = np.take(value, list(kept[layer]), axis=axis)
        variable.assign(value)


def attention_of(path: str) -> int | None:
    """Tell in which layer's attention a weight is."""
    found = re.search(r"layer_(\d+)_self_attention/", path)
    return int(found[1]) if found else None


def heads_axis(path: str) -> int | None:
    """Tell along which axis a weight of an attention has its heads."""
    if path.endswith("_self_attention/bias"):  # of a layer without heads
        return None
    if "attention_output" in path:
        return 0 if path.endswith("kernel") else None
    return 1 if path.endswith("kernel") else 0

"""Attention heads: scored by what the loss would miss, and taken out of the arrays (Michel et al., arXiv:1905.10650).

The gradient of the loss with respect to a gate on a head equals the inner product of the head's part of the output
kernel and that part's gradient, so no gate need exist in the model.
"""

from __future__ import annotations

from collections.abc import Sequence

import keras
import numpy as np
from keras import ops

from bertglue.data.batches import Batches
from bertglue.errors import InputError
from bertglue.models.heads import OUTPUT_KERNEL, Heads, attention_of, count_heads, heads_axis, rebuild
from bertglue.tasks import Task
from bertglue.training.finetune import compile_classifier, fit


class GateGradients(keras.optimizers.Optimizer):
    """Instead of an update, sum the absolute gradient of a gate on each head over the steps; weights stay."""

    def __init__(self):
        super().__init__(learning_rate=0.0)

    def build(self, variables):
        if not self.built:
            super().build(variables)
            self.outputs = {i: v.path for i, v in enumerate(variables) if v.path.endswith(OUTPUT_KERNEL)}
            heads = {i: (variables[i].shape[0],) for i in self.outputs}
            self.sums = {i: self.add_variable(shape, "zeros", name=f"gates_{i}") for i, shape in heads.items()}

    def update_step(self, gradient, variable, learning_rate):
        index = self._get_variable_index(variable)
        if index in self.sums:
            inner = ops.sum(ops.cast(variable, "float32") * ops.cast(gradient, "float32"), axis=(1, 2))
            self.assign_add(self.sums[index], ops.abs(inner))


class MaskedHeads:
    """A copy of a classifier, without dropout, whose heads can be masked and unmasked.

    A masked head has its part of the output kernel at zero, so that the outputs are those of a model without it.
    """

    def __init__(self, classifier: keras.Model, task: Task):
        self.heads = count_heads(classifier)
        self.model = rebuild(classifier, [range(heads) for heads in self.heads], dropout=0.0)
        self.gates = GateGradients()
        self.gates.build(self.model.trainable_variables)
        compile_classifier(self.model, task, self.gates)
        outputs = [v for v in self.model.trainable_variables if v.path.endswith(OUTPUT_KERNEL)]
        self.outputs = {attention_of(v.path): (v, np.array(v)) for v in outputs}

    def keep(self, kept: Heads) -> None:
        """Unmask the given heads of each layer, and mask the others."""
        for layer, (variable, value) in self.outputs.items():
            unmasked = np.isin(np.arange(len(value)), list(kept[layer]))
            variable.assign(value * unmasked[:, None, None])

    def importance(self, batches: Batches) -> list[np.ndarray]:
        """Score the heads of each layer: the sum over batches of a gate's absolute gradient, each layer's at norm one.

        A masked head scores zero.
        """
        for total in self.gates.sums.values():
            total.assign(np.zeros(total.shape, "float32"))
        fit(self.model, batches)
        sums = {attention_of(self.gates.outputs[i]): ops.convert_to_numpy(v) for i, v in self.gates.sums.items()}
        layers = [sums.get(layer, np.zeros(0)) for layer in range(len(self.heads))]
        return [layer / max(np.linalg.norm(layer), 1e-12) for layer in layers]


def head_magnitude(classifier: keras.Model) -> list[np.ndarray]:
    """Score the heads of each layer by the norm of their weights."""
    encoder = classifier.get_layer("encoder")
    scores = []
    for index, heads in enumerate(count_heads(classifier)):
        squares = np.zeros(heads)
        for variable in encoder.get_layer(f"layer_{index}_self_attention").weights if heads else ():
            if variable.path.endswith("kernel"):
                value = np.square(ops.convert_to_numpy(variable).astype("float64"))
                squares += value.sum(axis=tuple(i for i in range(3) if i != heads_axis(variable.path)))
        scores.append(np.sqrt(squares))
    return scores


def drop_lowest(scores: Sequence[np.ndarray], number: int) -> list[list[int]]:
    """Return the heads of each layer that are left when the `number` with the lowest scores are dropped."""
    ranked = sorted((score, layer, head) for layer, row in enumerate(scores) for head, score in enumerate(row))
    if not 0 <= number <= len(ranked):
        raise InputError(f"{number} heads cannot be removed; the encoder has {len(ranked)}")
    gone = {(layer, head) for _, layer, head in ranked[:number]}
    return [[head for head in range(len(row)) if (layer, head) not in gone] for layer, row in enumerate(scores)]

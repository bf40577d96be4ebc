"""Metrics over the training steps of an epoch, as they run."""

from __future__ import annotations

import keras
import numpy as np
from keras import ops

from bertglue.evaluation import metrics
from bertglue.tasks import Task


@keras.saving.register_keras_serializable("bertglue")
class ConfusionMatrix(keras.metrics.Metric):
    """Count (label, prediction) pairs over an epoch [classes, classes]; every score follows from them."""

    def __init__(self, classes: int, name="confusion", **kwargs):
        super().__init__(name=name, **kwargs)
        self.counts = self.add_variable((classes, classes), "zeros", name="counts")

    def update_state(self, y_true, y_pred, sample_weight=None):
        classes = self.counts.shape[0]
        labels = ops.one_hot(ops.cast(ops.reshape(y_true, (-1,)), "int32"), classes, dtype="float32")
        predictions = ops.one_hot(ops.argmax(y_pred, axis=-1), classes, dtype="float32")
        if sample_weight is not None:
            labels = labels * ops.reshape(ops.sign(ops.cast(sample_weight, "float32")), (-1, 1))
        self.counts.assign_add(ops.matmul(ops.transpose(labels), predictions))

    def result(self):
        return ops.trace(self.counts) / ops.maximum(ops.sum(self.counts), 1.0)

    def scores(self, task: Task) -> dict[str, float]:
        counts = ops.convert_to_numpy(self.counts).round().astype(int)
        cells = np.nonzero(counts)  # a class that no row has is none
        return {name: metrics.METRIC_FUNCTIONS[name](*cells, counts[cells]) for name in task.metrics}


@keras.saving.register_keras_serializable("bertglue")
class RunningLoss(keras.metrics.MeanMetricWrapper):
    """Average a loss over the rows of an epoch that count."""

    def update_state(self, y_true, y_pred, sample_weight=None):
        super().update_state(y_true, y_pred, None if sample_weight is None else ops.sign(sample_weight))

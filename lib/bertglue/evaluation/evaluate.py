"""Score what a model predicts: every labelled split with its intervals and its baseline."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bertglue.data.dataset import Data
from bertglue.evaluation import metrics
from bertglue.tasks import AX


@dataclass(frozen=True)
class Scores:
    """For each labelled split its metrics, their 95 % intervals and the baseline, {split: {metric: value}}."""

    metrics: dict[str, dict[str, float]]
    interval: dict[str, dict[str, tuple[float, float]]]
    baseline: dict[str, dict[str, float]]


def evaluate(data: Data, logits: dict[str, np.ndarray]) -> Scores:
    """Score every labelled split that has logits."""
    scores = Scores({}, {}, {})
    for split in logits:
        if data[split].labelled:
            task = AX if split == "ax" else data.task
            labels, predictions = data[split].labels, metrics.decide(task, logits[split])
            scores.metrics[split] = metrics.scores(task, labels, predictions)
            scores.interval[split] = metrics.intervals(task, labels, predictions)
            scores.baseline[split] = metrics.baseline(task, data["train"].labels, labels)
    return scores

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
    """Score every labelled split that has logits, over all of its rows at once.

    Args:
        data: the splits of a task, as `load_data` returns them.
        logits: {split: float [rows, outputs]}; one output is a score, more are classes.

    Returns:
        For each labelled split the task's metrics, their 95 % intervals over the rows, and the baseline (train's
        majority class or mean). Accuracy and F1 lie in 0..1, correlations in -1..1.

    Source:
        Wang et al., 2019, arXiv:1804.07461; Wilson, 1927, for the interval of an accuracy; bootstrap for the others.

    Example:
        >>> import numpy as np
        >>> from bertglue import evaluate, get_task, load_data
        >>> data = load_data(get_task("sst2"), "toy")
        >>> perfect = np.eye(2)[data["validation"].labels]
        >>> evaluate(data, {"validation": perfect}).metrics
        {'validation': {'accuracy': 1.0}}
    """
    scores = Scores({}, {}, {})
    for split in logits:
        if data[split].labelled:
            task = AX if split == "ax" else data.task
            labels, predictions = data[split].labels, metrics.predictions_of(task, logits[split])
            scores.metrics[split] = metrics.scores(task, labels, predictions)
            scores.interval[split] = metrics.intervals(task, labels, predictions)
            scores.baseline[split] = metrics.baseline(task, data["train"].labels, labels)
    return scores

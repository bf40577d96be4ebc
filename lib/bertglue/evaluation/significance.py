"""Test whether two classifiers differ by more than chance, on the same rows (paired tests)."""

from __future__ import annotations

import numpy as np
from scipy import stats

from bertglue.evaluation.metrics import BOOTSTRAP_RESAMPLES, CONFUSION_METRICS, MANY_LABELS, METRIC_FUNCTIONS


def mcnemar(labels: np.ndarray, first: np.ndarray, second: np.ndarray) -> float:
    """Compute the two-sided p-value of McNemar's exact test, on the rows that one classifier alone gets right.

    `labels`, `first` and `second` are [rows]; Dietterich (1998), doi:10.1162/089976698300017197.
    """
    only_first = int(((first == labels) & (second != labels)).sum())
    only_second = int(((first != labels) & (second == labels)).sum())
    if not only_first + only_second:
        return 1.0
    return float(stats.binomtest(only_first, only_first + only_second).pvalue)


def paired_bootstrap(
    metric: str, labels: np.ndarray, first: np.ndarray, second: np.ndarray, seed: int = 0
) -> tuple[float, float, float]:
    """Compute the gain of `second` over `first` and its 95 % interval, both scored on the same resampled rows.

    `first` and `second` are predictions [rows], or [seeds, rows] of several runs, whose seeds are resampled as well.
    """
    (means, mean), (others, other) = resampled(metric, labels, [first, second], np.random.default_rng(seed))
    low, high = np.percentile(others - means, (2.5, 97.5))
    return other - mean, float(low), float(high)


def mean_score(metric: str, labels: np.ndarray, predictions: np.ndarray) -> float:
    """Compute the mean of a metric over runs, whose predictions are [rows] or [seeds, rows]."""
    return float(np.mean([METRIC_FUNCTIONS[metric](labels, run) for run in np.atleast_2d(predictions)]))


def resampled(metric: str, labels: np.ndarray, groups: list[np.ndarray], rng) -> list[tuple[np.ndarray, float]]:
    """Resample rows, the same for all, and the seeds of each group of runs.

    Means of n seeds that are drawn from n spread too little, by a factor of n - 1 over n in their variance (Efron and
    Tibshirani, 1993, chapter 6.5): they are moved apart by as much.

    Returns for each group the mean of the metric over its runs, of each resample [draws] and as it is.
    """
    groups = [np.atleast_2d(predictions) for predictions in groups]
    drawn = rng.multinomial(len(labels), np.full(len(labels), 1 / len(labels)), size=BOOTSTRAP_RESAMPLES)
    found = []
    for runs in groups:
        scores = np.stack([weighted(metric, labels, predictions, drawn) for predictions in runs], axis=1)
        seeds, means = rng.integers(len(runs), size=scores.shape), scores.mean(axis=1)
        apart = (len(runs) / max(len(runs) - 1, 1)) ** 0.5
        means += apart * (np.take_along_axis(scores, seeds, axis=1).mean(axis=1) - means)
        found.append((means, mean_score(metric, labels, runs)))
    return found


def weighted(metric: str, labels: np.ndarray, predictions: np.ndarray, drawn: np.ndarray) -> np.ndarray:
    """Score rows of which each was drawn so many times, `drawn` [draws, rows]; return [draws]."""
    number = 1 + int(max(1, labels.max(), predictions.max()))
    if metric not in CONFUSION_METRICS or number > MANY_LABELS:
        rows = np.arange(len(labels))
        return np.array(
            [METRIC_FUNCTIONS[metric](labels[r], predictions[r]) for r in (np.repeat(rows, d) for d in drawn)]
        )
    cells = np.eye(number**2, dtype="int32")[labels * number + predictions]
    return CONFUSION_METRICS[metric]((drawn @ cells).reshape(-1, number, number))

"""Whether two classifiers differ by more than chance, judged on the same rows."""

from __future__ import annotations

import numpy as np
from scipy import stats

from bertglue.metrics import FUNCTIONS, RESAMPLES


def mcnemar(labels: np.ndarray, first: np.ndarray, second: np.ndarray) -> float:
    """Give the two-sided p-value of McNemar's exact test: of the rows that one alone answers rightly, is it half each?

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
    """Give the gain of `second` over `first` and its 95 % interval, both scored on the same resampled rows.

    `first` and `second` are predictions [rows], or [seeds, rows] of several runs, whose seeds are resampled as well.
    """
    runs = [np.atleast_2d(predictions) for predictions in (first, second)]
    score = FUNCTIONS[metric]
    rng = np.random.default_rng(seed)

    def gain(rows, seeds):
        means = [np.mean([score(labels[rows], run[s][rows]) for s in of]) for run, of in zip(runs, seeds, strict=True)]
        return means[1] - means[0]

    every = np.arange(len(labels))
    draws = [
        gain(rng.integers(len(labels), size=len(labels)), [rng.integers(len(run), size=len(run)) for run in runs])
        for _ in range(RESAMPLES)
    ]
    low, high = np.percentile(draws, (2.5, 97.5))
    return float(gain(every, [range(len(run)) for run in runs])), float(low), float(high)

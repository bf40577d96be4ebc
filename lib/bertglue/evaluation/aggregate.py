"""Aggregate several runs of a task: select the learning rate, and compute the mean with its standard error."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from statistics import fmean, stdev
from typing import NamedTuple

from scipy import stats

from bertglue.data.dataset import HELD_OUT
from bertglue.evaluation.metrics import NORMAL_QUANTILE

CORRELATIONS = ("matthews", "pearson", "spearman")  # metrics that may be below zero
ERRORS_PER_INTERVAL = 2 * NORMAL_QUANTILE  # a 95 % interval is so many standard errors wide


def group_runs(runs: Iterable[dict], *keys: str) -> dict[tuple, list[dict]]:
    """Sort records by what they have in common."""
    groups = defaultdict(list)
    for run in runs:
        groups[tuple(run[key] for key in keys)].append(run)
    return dict(groups)


def selection_split(runs: list[dict]) -> str:
    """Return the split that learning rates are selected on: a held-out part of train, or else validation."""
    if all(HELD_OUT in run["metrics"] for run in runs):
        return HELD_OUT
    return next(split for split in runs[0]["metrics"] if split.startswith("validation"))


def learning_rate_score(runs: list[dict], split: str) -> float:
    """Score the runs of one learning rate: the mean over the task's metrics and over seeds."""
    return fmean(fmean(run["metrics"][split].values()) for run in runs)


def best_learning_rate(runs: list[dict]) -> list[dict]:
    """Return the runs, of one task and encoder, with the learning rate that scores best; validation is not used unless
    nothing was held out."""
    split = selection_split(runs)
    return max(group_runs(runs, "learning_rate").values(), key=lambda same: learning_rate_score(same, split))


class SeedMean(NamedTuple):
    """A mean over seeds, its standard error, and the degrees of freedom by which that error is known."""

    mean: float
    error: float
    freedom: float = math.inf

    @property
    def margin(self) -> float:
        """Half of the 95 % interval, by Student's t: few seeds tell little of their spread."""
        return float(stats.t.ppf(0.975, self.freedom)) * self.error

    def minus(self, other: SeedMean) -> SeedMean:
        """Return the difference of two independent means (Welch, 1947, doi:10.1093/biomet/34.1-2.28)."""
        parts = (self.error**2, self.freedom), (other.error**2, other.freedom)
        return SeedMean(self.mean - other.mean, *combined(*parts))


def combined(*parts: tuple[float, float]) -> tuple[float, float]:
    """Add variances, each with its degrees of freedom; return the standard error and the degrees of freedom of it.

    Source:
        Satterthwaite, 1946, doi:10.2307/3002019.
    """
    variance = sum(part for part, _ in parts)
    doubt = sum(part**2 / freedom for part, freedom in parts)
    return math.sqrt(variance), variance**2 / doubt if doubt else math.inf


def seed_mean(runs: list[dict], split: str, metric: str) -> SeedMean:
    """Return the mean of a metric over seeds with its standard error.

    Two parts are added: the spread of the seeds over the root of their number, and the sampling of the examples
    (from each run's interval), which more seeds do not make smaller.
    """
    values = [run["metrics"][split][metric] for run in runs]
    low, high = (fmean(run["interval"][split][metric][side] for run in runs) for side in (0, 1))
    parts = [(((high - low) / ERRORS_PER_INTERVAL) ** 2, math.inf)]
    if len(values) > 1:
        parts.append((stdev(values) ** 2 / len(values), len(values) - 1))
    return SeedMean(fmean(values), *combined(*parts))


def mean_interval(runs: list[dict], split: str, metric: str) -> tuple[float, float]:
    """Return the 95 % interval of such a mean, within what the metric can be; of a single run that of its record."""
    if len(runs) == 1:
        low, high = runs[0]["interval"][split][metric]
        return low, high
    found = seed_mean(runs, split, metric)
    least = -1.0 if metric in CORRELATIONS else 0.0
    return max(found.mean - found.margin, least), min(found.mean + found.margin, 1.0)

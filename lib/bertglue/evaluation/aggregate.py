"""Aggregate several runs of a task: select the learning rate, and compute the mean with its standard error."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from statistics import fmean, stdev

from bertglue.data.dataset import HELD_OUT
from bertglue.evaluation.metrics import NORMAL_QUANTILE

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


def mean_and_error(runs: list[dict], split: str, metric: str) -> tuple[float, float]:
    """Return the mean of a metric over seeds and its standard error.

    Two parts are added: the spread of the seeds over the root of their number, and the sampling of the examples
    (from each run's interval), which more seeds do not make smaller.
    """
    values = [run["metrics"][split][metric] for run in runs]
    seeds = stdev(values) / math.sqrt(len(values)) if len(values) > 1 else 0.0
    low, high = (fmean(run["interval"][split][metric][side] for run in runs) for side in (0, 1))
    return fmean(values), math.hypot(seeds, (high - low) / ERRORS_PER_INTERVAL)


def mean_interval(runs: list[dict], split: str, metric: str) -> tuple[float, float]:
    """Return the 95 % interval of such a mean; of a single run it is the one of its record."""
    if len(runs) == 1:
        low, high = runs[0]["interval"][split][metric]
        return low, high
    middle, error = mean_and_error(runs, split, metric)
    return middle - ERRORS_PER_INTERVAL / 2 * error, middle + ERRORS_PER_INTERVAL / 2 * error

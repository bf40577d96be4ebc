"""Finished runs of a task compared with others, on the same rows, by paired tests."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bertglue.errors import InputError
from bertglue.evaluation.metrics import predictions_of
from bertglue.evaluation.significance import mcnemar, mean_score, paired_bootstrap
from bertglue.own_tasks import task_of_record
from bertglue.runs.record import find_records, read_predictions, read_record
from bertglue.tasks import Task

FREE = {"seed", "profile", "device", "tracking", "save_every", "samples", "glue_dir"}  # may differ within a side


@dataclass(frozen=True)
class PairedDifference:
    """What the second side scores above the first, by one metric on one split.

    Scores are means over the runs of a side; the 95 % interval resamples rows, the same for both, and runs. `p_value`
    is McNemar's, of the first run of each side; None where a task has scores for labels.
    """

    split: str
    metric: str
    first: float
    second: float
    gain: float
    low: float
    high: float
    p_value: float | None

    @property
    def beyond_chance(self) -> bool:
        return self.low > 0 or self.high < 0


def compare_runs(first: Path, second: Path) -> tuple[Task, list[PairedDifference]]:
    """Compare two finished runs of a task, or two groups of runs that differ in their seed alone.

    Args:
        first: the folder of a finished run, or a folder of such.
        second: the same; its gain over the first is what is reported.

    Returns:
        The task, and the difference of each of its metrics on each of its validation splits.

    Raises:
        InputError: no run is there, the tasks or the rows differ, or a folder holds runs of several recipes.

    Source:
        Efron and Tibshirani (1993), An introduction to the bootstrap; Dietterich (1998), for McNemar's test,
        doi:10.1162/089976698300017197.

    Example:
        >>> compare_runs(Path("runs/here/rte"), Path("runs/there/rte"))
        Traceback (most recent call last):
            ...
        bertglue.errors.InputError: runs/here/rte: no finished run is there; `bertglue run` makes one
    """
    sides = [read_side(folder) for folder in (first, second)]
    task, other = (task_of_record(records[0]) for records, _ in sides)
    if task != other:
        raise InputError(f"{first} is of {task.title} and {second} of {other.title}; give two runs of one task")
    found = []
    for split in task.validation:
        labels = [run[split][0] for _, predicted in sides for run in predicted]
        if not all(np.array_equal(labels[0], others) for others in labels[1:]):
            raise InputError(f"runs of {first} and {second} have different rows of {split}; run them on the same data")
        logits = ([run[split][1] for run in predicted] for _, predicted in sides)
        found += paired_differences(task, split, labels[0], *logits)
    return task, found


def paired_differences(
    task: Task, split: str, labels: np.ndarray, first: list[np.ndarray], second: list[np.ndarray]
) -> list[PairedDifference]:
    """Compare two groups of runs on the rows of a split, by each of the task's metrics.

    `labels` are [rows], `first` and `second` the logits [rows, outputs] of each run.
    """
    theirs, ours = (np.stack([predictions_of(task, logits) for logits in side]) for side in (first, second))
    p_value = None if task.regression else mcnemar(labels, theirs[0], ours[0])
    means = {metric: [mean_score(metric, labels, side) for side in (theirs, ours)] for metric in task.metrics}
    return [
        PairedDifference(split, metric, *means[metric], *paired_bootstrap(metric, labels, theirs, ours), p_value)
        for metric in task.metrics
    ]


def read_side(folder: Path) -> tuple[list[dict], list[dict[str, tuple[np.ndarray, np.ndarray]]]]:
    """Read the records of a side, and of each run {split: (labels, logits)}."""
    paths = find_records(folder)
    records = [read_record(path, "examples", "parameters") for path in paths]
    recipes = [{k: v for k, v in record["parameters"].items() if k not in FREE} for record in records]
    for path, recipe in zip(paths, recipes, strict=True):
        shared = recipe.keys() & recipes[0].keys()  # an older version records fewer
        differing = [name for name in recipes[0] if name in shared and recipe[name] != recipes[0][name]]
        if differing:
            raise InputError(
                f"{path.parent} and {paths[0].parent} differ in {', '.join(differing)}; "
                "give runs that differ in their seed alone, or one run"
            )
    return records, [read_predictions(path.parent, record) for path, record in zip(paths, records, strict=True)]

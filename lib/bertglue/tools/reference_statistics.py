"""What the logits of the reference run say beside the scores: errors by kind of row, calibration, paired comparisons.

The repository keeps the logits of its units and no text or label of GLUE; with the files at hand this computes the
numbers that the book shows, and keeps those.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np
from sklearn.metrics import confusion_matrix

from bertglue.atomic_files import write_json
from bertglue.data.dataset import Data, Split
from bertglue.data.glue_files import read_ax_categories
from bertglue.data.load_data import load_data
from bertglue.errors import InputError, exit_status
from bertglue.evaluation.error_slices import error_rates
from bertglue.evaluation.metrics import METRIC_FUNCTIONS, predictions_of, reliability
from bertglue.report.measured_files import REFERENCE_STATISTICS
from bertglue.report.pages.errata import both_ways
from bertglue.report.reference_runs import FINAL
from bertglue.runs.paired_comparison import paired_differences
from bertglue.runs.record import read_logits
from bertglue.tasks import AX, TASKS, Task
from bertglue.tools.reference_plan import LOGITS, RECORDS

STATISTICS = RECORDS.with_name(REFERENCE_STATISTICS.name)
COMPARED = ("random", "after-mnli", "trainer")  # stages that `final` is compared with
FEWEST_ROWS_OF, MOST_ROWS_OF = "rows-minilm", ("rows-bundled", "rows-random")
SCORE_BINS = np.arange(0, 5.5, 0.5)  # of STS-B's scores, where other tasks have labels
DIGITS = 6  # significant ones of a number that is kept


def read_units(stage: str, task: Task) -> list[dict[str, np.ndarray]]:
    """Read the kept logits of a task's units in one stage, {split: [rows, outputs]} of each seed."""
    return [read_logits(path, task) for path in sorted((LOGITS / stage).glob(f"{task.name}-*.npz"))]


def task_statistics(data: Data, glue_dir: Path) -> dict:
    """Describe the predictions of a task's units in the stage `final`, and compare them with the other stages'."""
    task, found = data.task, {}
    runs = {stage: read_units(stage, data.task) for stage in (FINAL, *COMPARED)}
    for split in (name for name in data.splits if name in runs[FINAL][0] and data[name].labelled):
        logits = [run[split] for run in runs[FINAL]]
        found[split] = describe_split(task, data[split], logits)
        if split == AX.name:
            found[split]["categories"] = category_scores(data[split], logits[0], read_ax_categories(glue_dir))
    against = {stage: compare(data, runs[stage], runs[FINAL]) for stage in COMPARED}
    return {"splits": found, "against": against, "rows": compare_rows(data)}


def describe_split(task: Task, split: Split, logits: list[np.ndarray]) -> dict:
    """Describe predictions on a split: of each seed the confusion matrix and the reliability bins, and the errors of
    groups of rows, with their bounds the mean over seeds."""
    if split.labels.size != len(logits[0]):
        raise InputError(f"{split.labels.size:,} rows are in the files, and {len(logits[0]):,} were predicted")
    predictions = [predictions_of(task, run) for run in logits]
    of_seeds = [error_rates(task, split, run) for run in predictions]
    errors = [
        group | {name: float(np.mean([one[at][name] for one in of_seeds])) for name in ("error", "low", "high")}
        for at, group in enumerate(of_seeds[0])
    ]
    described = {"confusion": [confusions(task, split.labels, run) for run in predictions], "errors": errors}
    if not task.regression:
        described["reliability"] = [reliability(split.labels, run).tolist() for run in logits]
    if "f1" in task.metrics:
        described["both_ways"] = both_ways(split.labels, logits[0])
    return described


def confusions(task: Task, labels: np.ndarray, predictions: np.ndarray) -> list[list[int]]:
    """Count rows by label (down) and prediction (across); scores are counted in bins of half a point."""
    if task.regression:
        clipped = np.clip(predictions, SCORE_BINS[0], SCORE_BINS[-1])
        return np.histogram2d(labels, clipped, bins=(SCORE_BINS, SCORE_BINS))[0].astype(int).tolist()
    return confusion_matrix(labels, predictions, labels=range(task.outputs)).tolist()


def category_scores(split: Split, logits: np.ndarray, categories: dict[str, list[str]]) -> list[dict]:
    """Score the diagnostic set by its categories, as GLUE does: R3, the correlation of three classes."""
    predictions = logits.argmax(axis=1)
    masks = {name: np.array([bool(text) for text in texts]) for name, texts in categories.items()}
    return [
        {
            "category": name,
            "rows": int(rows.sum()),
            "matthews": METRIC_FUNCTIONS["matthews"](split.labels[rows], predictions[rows]),
            "accuracy": METRIC_FUNCTIONS["accuracy"](split.labels[rows], predictions[rows]),
        }
        for name, rows in masks.items()
    ]


def compare(data: Data, others: list[dict], finals: list[dict]) -> list[dict]:
    """Compare the final runs of a task with those of another stage, by paired tests; nothing where there are none.

    Each difference names the numbers of runs of both, `seeds`.
    """
    return [
        {"seeds": [len(others), len(finals)], **asdict(difference)}
        for split in data.task.validation
        if others
        for difference in paired_differences(
            data.task, split, data[split].labels, [run[split] for run in others], [run[split] for run in finals]
        )
    ]


def compare_rows(data: Data) -> list[dict]:
    """Compare a task's run of MiniLM on the fewest rows of train with the others' on the most, by paired tests."""
    few, found = by_rows(FEWEST_ROWS_OF, data.task), []
    for stage in MOST_ROWS_OF:
        many = by_rows(stage, data.task)
        if few and many:
            rows = [max(many), min(few)]
            one, *_ = compare(data, [many[rows[0]]], [few[rows[1]]])
            found.append({"stage": stage, "rows": rows, **one})
    return found


def by_rows(stage: str, task: Task) -> dict[int, dict[str, np.ndarray]]:
    """Read the kept logits of a task's units in a stage whose values are numbers of rows."""
    paths = (LOGITS / stage).glob(f"{task.name}-*.npz")
    return {int(path.stem.removeprefix(f"{task.name}-")): read_logits(path, task) for path in paths}


def write_statistics(glue_dir: Path) -> Path | None:
    """Compute the statistics of every task that has kept logits, and keep them; None where there are none yet."""
    found = {}
    for task in TASKS.values():
        if read_units(FINAL, task):
            found[task.name] = rounded(task_statistics(load_data(task, "folder", glue_dir=str(glue_dir)), glue_dir))
    return write_json(STATISTICS, found) if found else None


def rounded(value):
    """Round the numbers of a nested value to what is kept of them."""
    if isinstance(value, dict):
        return {name: rounded(one) for name, one in value.items()}
    if isinstance(value, list):
        return [rounded(one) for one in value]
    return float(f"{value:.{DIGITS}g}") if isinstance(value, float) else value


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bertglue.tools.reference_statistics", description=__doc__)
    parser.add_argument("glue_dir", type=Path, help="the folder of the GLUE files")
    options = parser.parse_args(arguments)
    return exit_status(lambda: print(write_statistics(options.glue_dir) or "no logits are kept yet"))


if __name__ == "__main__":
    sys.exit(main())

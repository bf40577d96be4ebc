"""Score a finished run's classifier on a labelled file of one's own, however large."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from sklearn.metrics import confusion_matrix

from bertglue.data.own_files import is_table, open_table
from bertglue.data.text_lines import read_lines
from bertglue.errors import InputError
from bertglue.evaluation import metrics
from bertglue.runs.predict import Predictor
from bertglue.tasks import Task


@dataclass(frozen=True)
class FileScores:
    """The scores of a file, {metric: value}, with their 95 % intervals, the baseline, and counts of predictions."""

    rows: int
    scores: dict[str, float]
    intervals: dict[str, tuple[float, float]]
    baseline: dict[str, float]  # of the majority class of train, or of its mean
    confusion: list[list[int]]  # [labels, predictions]; none for a score


def evaluate_file(predictor: Predictor, file: BinaryIO, where: str) -> FileScores:
    """Score the rows of a file: a row a line, its text or its two texts and its label, with tabs between them.

    Args:
        predictor: of a finished run.
        file: the rows; they stream through, and labels and predictions alone are kept. Of a task of one's own it may be
            a CSV, TSV, JSON Lines or parquet file with the columns of its training.
        where: the file's name, for messages.

    Raises:
        InputError: a row has another number of fields, or a label that the task has not; or there are no rows.
    """
    task, labels, predictions = predictor.task, array("d"), []
    for logits in predictor.logits(labelled_rows(predictor, file, where, labels)):
        predictions.append(metrics.predictions_of(task, logits))
    if not labels:
        raise InputError(f"{where} holds no rows; give at least one, with its label behind the last tab")
    known = np.array(labels, "float32" if task.regression else "int32")
    predicted = np.concatenate(predictions)
    return FileScores(
        len(known), metrics.scores(task, known, predicted), metrics.intervals(task, known, predicted),
        baseline_of(predictor, known),
        [] if task.regression else confusion_matrix(known, predicted, labels=range(task.outputs)).tolist(),
    )  # fmt: skip


def baseline_of(predictor: Predictor, labels: np.ndarray) -> dict[str, float]:
    """Score what always predicts the commonest label of the run's train split, or its mean."""
    if predictor.task.regression:  # whose metrics are correlations, the same for any constant
        return metrics.baseline(predictor.task, labels, labels)
    known, counts = predictor.task.labels, predictor.record.get("labels", {}).get("train", {})
    if not counts or max(counts, key=counts.get) not in known:
        return {}
    return metrics.scores(predictor.task, labels, np.full(len(labels), known.index(max(counts, key=counts.get))))


def labelled_rows(predictor: Predictor, file: BinaryIO, where: str, labels: array) -> Iterator[tuple[str, ...]]:
    """Yield the texts of each row, of lines or of a table of a task of one's own; labels are appended on the way."""
    if not is_table(predictor.task, Path(where)):
        yield from read_labelled_rows(file, predictor.task, where, labels)
        return
    table = open_table(predictor.task, predictor.record.get("parameters", {}), Path(where), withheld=False)
    for texts in table:
        labels.append(table.labels[-1])
        yield tuple(text.decode() for text in texts)


def read_labelled_rows(file: BinaryIO, task: Task, where: str, labels: array) -> Iterator[tuple[str, ...]]:
    """Yield the texts of each row; the labels are appended on the way."""
    for number, _, line in read_lines(file, where):
        *texts, label = line.decode().split("\t")
        if len(texts) != len(task.columns):
            wanted = ", ".join((*task.columns, "label"))
            raise InputError(
                f"{where}, row {number}: {len(texts) + 1} fields, and {task.title} takes {len(task.columns) + 1} "
                f"({wanted}), with tabs between them"
            )
        labels.append(read_label(task, label, f"{where}, row {number}"))
        yield tuple(texts)


def read_label(task: Task, text: str, where: str) -> float:
    """Read a label by its name, or by its place where no name is a number; or a score."""
    if task.regression:
        try:
            score = float(text)
        except ValueError:
            score = float("nan")
        if np.isfinite(score):
            return score
        raise InputError(f"{where}: the score is {text!r}; give a number")
    if text in task.labels:
        return task.labels.index(text)
    named_by_numbers = any(label.lstrip("-").isdecimal() for label in task.labels)
    if text.isdecimal() and not named_by_numbers and int(text) < task.outputs:
        return int(text)
    raise InputError(f"{where}: unknown label {text!r}; {task.title} has {', '.join(task.labels)}")

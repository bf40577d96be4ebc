"""Predict with a finished run's classifier: rows stream through, however many there are."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from bertglue.data.own_files import is_table, open_table
from bertglue.data.text_lines import read_lines
from bertglue.errors import InputError
from bertglue.evaluation import metrics
from bertglue.models.heads import in_precision
from bertglue.models.logits import predict_texts
from bertglue.models.saved_classifier import load_classifier
from bertglue.own_tasks import task_of_record
from bertglue.parameters import PredictionPrecision
from bertglue.runs.record import RECORD_FILE, read_record
from bertglue.tasks import Task

FIRST_CHUNK_ROWS = 128  # rows that are predicted, and given, before more are read
PREDICTION_CHUNK_ROWS = 4096  # rows in memory at a time


@dataclass(frozen=True)
class Prediction:
    """The label, or score, of a row, the probability of each label (none for a score), and whether it was cut."""

    label: str
    probabilities: tuple[float, ...]
    cut: bool  # to the length of the model


class Predictor:
    """The classifier of a finished run, with the vocabulary and the labels that belong to it."""

    def __init__(self, run: str | Path, precision: PredictionPrecision | None = None):
        """Load it; `precision` is what it computes in, where that is not to be what it was trained in."""
        self.run = Path(run)
        self.record = read_record(self.run / RECORD_FILE)
        self.task: Task = task_of_record(self.record)
        self.classifier, self.preprocessor = load_classifier(self.run)
        if (outputs := self.classifier.output_shape[-1]) != self.task.outputs:
            raise InputError(
                f"{self.run / RECORD_FILE} is of {self.task.title}, which has {self.task.outputs} outputs, and the "
                f"model beside it has {outputs}; run it again"
            )
        if precision:
            self.classifier = in_precision(self.classifier, precision)

    def __call__(self, rows: Iterable[tuple[str, ...]]) -> Iterator[Prediction]:
        """Predict rows of as many texts as the task has columns; each is given as soon as its chunk is done."""
        for chunk in chunks_of(rows):
            logits = predict_texts(self.classifier, self.preprocessor, chunk)
            yield from self.read(logits, self.preprocessor.is_cut(list(zip(*chunk, strict=True))))

    def logits(self, rows: Iterable[tuple[str, ...]]) -> Iterator[np.ndarray]:
        """Compute the logits [some rows, outputs] of rows, a chunk at a time."""
        for chunk in chunks_of(rows):
            yield predict_texts(self.classifier, self.preprocessor, chunk)

    def read(self, logits: np.ndarray, cut: np.ndarray) -> Iterator[Prediction]:
        answers = metrics.predictions_of(self.task, logits)
        if self.task.regression:
            rows = zip(answers, cut.tolist(), strict=True)
            yield from (Prediction(f"{score:.3f}", (), was_cut) for score, was_cut in rows)
            return
        for label, probabilities, was_cut in zip(answers, metrics.probabilities(logits), cut.tolist(), strict=True):
            yield Prediction(self.task.labels[label], tuple(probabilities.tolist()), was_cut)


def chunks_of(rows: Iterable[tuple[str, ...]]) -> Iterator[list[tuple[str, ...]]]:
    """Yield rows, so many at a time as are in memory at once; those of similar length are predicted together."""
    rows, size = iter(rows), FIRST_CHUNK_ROWS
    while chunk := list(itertools.islice(rows, size)):
        yield chunk
        size = PREDICTION_CHUNK_ROWS


def read_rows(file: BinaryIO, task: Task, where: str, parameters: Mapping | None = None) -> Iterator[tuple[str, ...]]:
    """Read the texts of each row, with tabs between them; a row with another number of texts is an InputError.

    A CSV, TSV, JSON Lines or parquet file of a task of one's own is read by its columns, as the run's `parameters` say.
    """
    if is_table(task, Path(where)):
        rows = open_table(task, parameters or {}, Path(where), withheld=True)
        yield from (tuple(text.decode() for text in texts) for texts in rows)
        return
    for number, _, line in read_lines(file, where):
        texts = tuple(line.decode().split("\t"))
        if len(texts) != len(task.columns):
            wanted = " and ".join(task.columns)
            raise InputError(
                f"{where}, row {number}: {len(texts)} texts, and {task.title} takes {len(task.columns)} ({wanted}), "
                "with a tab between them"
            )
        yield texts

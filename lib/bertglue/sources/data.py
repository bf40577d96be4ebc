"""What every source gives: the splits of a task as columns of text and an array of labels."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

import numpy as np

from bertglue.errors import InputError
from bertglue.tasks import Task

UNLABELLED = -1


@dataclass(frozen=True)
class Split:
    """The rows of one split: `columns` of strings and `labels` (int32, or float32 scores; -1 unknown)."""

    columns: dict[str, list[str]]
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def labelled(self) -> bool:
        return len(self) > 0 and bool((self.labels != UNLABELLED).all())

    @property
    def segments(self) -> list[list[str]]:
        return list(self.columns.values())

    def fingerprint(self) -> str:
        """Hash the texts (not the labels): what the token cache depends on."""
        digest = hashlib.sha256()
        for column in self.segments:
            for text in column:
                data = text.encode()
                digest.update(len(data).to_bytes(4, "little") + data)
        return digest.hexdigest()


@dataclass(frozen=True)
class Data:
    """The splits of a task and where they came from; AX stands beside MNLI's own as `ax`."""

    task: Task
    source: str
    splits: dict[str, Split] = field(repr=False)

    def __getitem__(self, name: str) -> Split:
        return self.splits[name]

    @property
    def examples(self) -> dict[str, int]:
        return {name: len(split) for name, split in self.splits.items()}


def split_of(task: Task, rows: list[tuple[tuple[str, ...], float]], where: str) -> Split:
    """Gather (segments, label) rows into a split; an empty one is an InputError naming `where`."""
    if not rows:
        raise InputError(f"{where} holds no examples; give it at least one row")
    columns = {name: [segments[i] for segments, _ in rows] for i, name in enumerate(task.columns)}
    labels = np.array([label for _, label in rows], dtype="float32" if task.regression else "int32")
    return Split(columns, labels)


def check_labels(data: Data) -> Data:
    """Hold every train and validation label known; scores cannot be computed otherwise."""
    for name in ("train", *data.task.validation):
        unknown = np.flatnonzero(data[name].labels == UNLABELLED)
        if unknown.size:
            raise InputError(
                f"{data.task.title}, {data.source}: {name} lacks {unknown.size} of {len(data[name])} labels, "
                f"the first in row {unknown[0] + 1}; training and scores need every one"
            )
    return data

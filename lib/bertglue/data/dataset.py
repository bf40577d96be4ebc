"""The splits of a task as columns of text and an array of labels; every source returns them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from bertglue.data.text_columns import encode_rows, take_rows
from bertglue.errors import InputError
from bertglue.tasks import UNLABELLED, Task

HELD_OUT = "held_out"  # the split that `hold_out_rows` takes from train
CHUNK_ROWS = 4096  # rows of text in memory at a time


@dataclass(frozen=True)
class Split:
    """The rows of a split: `columns` of strings and `labels` (int32, or float32 scores); unknown: `unlabelled`."""

    columns: dict[str, Sequence[str]]
    labels: np.ndarray
    unlabelled: float = UNLABELLED

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def labelled(self) -> bool:
        return len(self) > 0 and not self.unknown.any()

    @property
    def unknown(self) -> np.ndarray:
        """Return which labels are not known, bool [rows]."""
        return np.isnan(self.labels) if np.isnan(self.unlabelled) else self.labels == self.unlabelled

    @property
    def segments(self) -> list[Sequence[str]]:
        return list(self.columns.values())

    def take(self, rows: np.ndarray) -> Split:
        """Return some of the rows."""
        columns = {name: take_rows(column, rows) for name, column in self.columns.items()}
        return Split(columns, self.labels[rows], self.unlabelled)

    def fingerprint(self) -> str:
        """Hash the texts (not the labels): what the token cache depends on."""
        shape = f"{len(self.columns)} {len(self)}"  # where one column ends, and the next begins
        digest = hashlib.sha256(shape.encode())
        for column in self.segments:
            for texts in encode_rows(column, CHUNK_ROWS):
                digest.update(b"".join(len(text).to_bytes(4, "little") + text for text in texts))
        return digest.hexdigest()

    def chunks(self) -> Iterator[list[list[bytes]]]:
        """Yield the segments as UTF-8, some thousand rows at a time."""
        for chunk in zip(*(encode_rows(column, CHUNK_ROWS) for column in self.segments), strict=True):
            yield list(chunk)


@dataclass(frozen=True)
class Data:
    """The splits of a task and where they came from; AX stands beside MNLI's own as `ax`."""

    task: Task
    source: str
    splits: dict[str, Split] = field(repr=False)
    drawn_from: int | None = None  # the rows of which those of train are some, where `draw_train_rows` drew them

    def __getitem__(self, name: str) -> Split:
        return self.splits[name]

    @property
    def examples(self) -> dict[str, int]:
        return {name: len(split) for name, split in self.splits.items()}


def make_split(task: Task, segments: Sequence[Sequence[str]], labels: Sequence[float], where: str) -> Split:
    """Build a split of columns and labels; one without rows is an InputError naming `where`."""
    if not len(labels):
        raise InputError(f"{where} holds no examples; give it at least one row")
    dtype = "float32" if task.regression else "int32"
    return Split(dict(zip(task.columns, segments, strict=True)), np.array(labels, dtype), task.unlabelled)


def hold_out_rows(data: Data, share: float) -> Data:
    """Move a share of train to a split of its own, `held_out`; the same rows whatever the seed of the run."""
    if not share:
        return data
    order = np.random.default_rng(0).permutation(len(data["train"]))
    count = round(share * len(order))
    if not 0 < count < len(order):
        raise InputError(f"hold_out is {share}, which leaves {len(order) - count} of {len(order)} rows to train on and "
                         f"{count} to choose by; give another share")  # fmt: skip
    parts = {"train": np.sort(order[count:]), HELD_OUT: np.sort(order[:count])}
    return Data(data.task, data.source, {**data.splits, **{n: data["train"].take(rows) for n, rows in parts.items()}})


def draw_train_rows(data: Data, rows: int | None, seed: int) -> Data:
    """Leave some rows of train, drawn at random, in their order; None leaves all."""
    if rows is None:
        return data
    train = data["train"]
    if rows > len(train):
        raise InputError(f"train_rows is {rows}, and there are {len(train)} rows to train on; give as many or fewer")
    chosen = np.sort(np.random.default_rng(seed).permutation(len(train))[:rows])
    return Data(data.task, data.source, {**data.splits, "train": train.take(chosen)}, drawn_from=len(train))


def check_labels(data: Data) -> Data:
    """Check that every train and validation label is known; scores cannot be computed otherwise."""
    for name in ("train", *data.task.validation):
        unknown = np.flatnonzero(data[name].unknown)
        if unknown.size:
            raise InputError(
                f"{data.task.title}, {data.source}: {name} lacks {unknown.size} of {len(data[name])} labels, "
                f"the first in row {unknown[0] + 1}; training and scores need every one"
            )
    return data

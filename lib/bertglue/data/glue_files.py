"""The folder source: the files of the GLUE benchmark in their official layout (`CoLA/train.tsv`, ...)."""

from __future__ import annotations

import mmap
from array import array
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from bertglue.data.dataset import Split, make_split
from bertglue.data.glue_folder import find_files
from bertglue.data.text_columns import TextColumn
from bertglue.data.text_lines import read_lines
from bertglue.errors import InputError
from bertglue.tasks import AX, UNLABELLED, Task

# Labels are read by number or by text, whichever the official files have.
BINARY_LABELS = ("0", "1")


@dataclass(frozen=True)
class Layout:
    """The layout of the files of one task: folder, header names of the segments and of the label."""

    folder: str
    segments: tuple[str, ...]
    label: str
    labels: tuple[str, ...] = ()  # label texts in label order; none: a score
    bare_width: int = 0  # fields of a row in train and dev, where they have no header; test always has one
    test_segments: tuple[str, ...] = ()  # where test's header differs
    # whether official train and dev files have rows that a line end inside a text cut into pieces: the pieces, which
    # have fewer fields than the header, are left out, as tensorflow-datasets leaves them out; test files have none
    cut_rows: bool = False


PAIR_COLUMNS = ("sentence1", "sentence2")
NLI_LABELS = ("entailment", "neutral", "contradiction")
LAYOUTS = {
    "cola": Layout("CoLA", ("3",), "1", BINARY_LABELS, bare_width=4, test_segments=("sentence",)),
    "sst2": Layout("SST-2", ("sentence",), "label", BINARY_LABELS),
    "mrpc": Layout("MRPC", ("#1 String", "#2 String"), "Quality", BINARY_LABELS),
    "stsb": Layout("STS-B", PAIR_COLUMNS, "score"),
    "qqp": Layout("QQP", ("question1", "question2"), "is_duplicate", BINARY_LABELS, cut_rows=True),
    "mnli": Layout("MNLI", PAIR_COLUMNS, "gold_label", NLI_LABELS),
    "qnli": Layout("QNLI", ("question", "sentence"), "label", ("entailment", "not_entailment")),
    "rte": Layout("RTE", PAIR_COLUMNS, "label", ("entailment", "not_entailment")),
    "wnli": Layout("WNLI", PAIR_COLUMNS, "label", BINARY_LABELS),
}
FULL_AX = "diagnostic/diagnostic-full.tsv"
AX_CATEGORIES = ("Lexical Semantics", "Predicate-Argument Structure", "Logic", "Knowledge")
AX_LAYOUTS = {  # the full file, where somebody has it, brings the labels
    FULL_AX: Layout("", ("Premise", "Hypothesis"), "Label", NLI_LABELS),
    "diagnostic/diagnostic.tsv": Layout("", PAIR_COLUMNS, ""),
}


def load(task: Task, folder: str | None) -> dict[str, Split]:
    """Read train, validation and, where its file is there, test; MNLI with the diagnostic set."""
    splits = {
        name: read_split(task, LAYOUTS[task.name], path, test=name.startswith("test"))
        for name, path in find_files(task, LAYOUTS[task.name].folder, folder).items()
    }
    return {**splits, **read_ax(Path(folder).expanduser())} if task.name == "mnli" else splits


def read_ax(root: Path) -> dict[str, Split]:
    for name, layout in AX_LAYOUTS.items():
        if (root / name).exists():
            return {"ax": read_split(AX, layout, root / name, test=not layout.label)}
    return {}


def read_ax_categories(root: Path) -> dict[str, list[str]]:
    """Read what the diagnostic set says of its rows: {category: [rows] of phenomena, empty where it has none}."""
    path = root / FULL_AX
    with path.open("rb") as file:
        lines = [text.decode().split("\t") for _, _, text in read_lines(file, path) if text]
    at = {name: find_column(path, [title.encode() for title in lines[0]], name) for name in AX_CATEGORIES}
    return {name: [fields[column] for fields in lines[1:]] for name, column in at.items()}


def read_split(task: Task, layout: Layout, path: Path, test: bool) -> Split:
    """Read one file into a split whose texts stay in the file; a test split has labels of -1."""
    try:
        with path.open("rb") as file:
            buffer = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if path.stat().st_size else b""
            starts, ends, labels = read_rows(layout, path, file, test)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from None
    segments = [TextColumn(buffer, start, end) for start, end in zip(starts, ends, strict=True)]
    return make_split(task, segments, labels, str(path))


def read_rows(layout: Layout, path: Path, file: BinaryIO, test: bool) -> tuple[list[array], list[array], array]:
    """Read where each text begins and ends in the file, column by column, and the labels [rows]."""
    # quotes are text in GLUE's files, not quoting; blank lines are passed over
    rows = ((number, start, text.split(b"\t")) for number, start, text in read_lines(file, path) if text)
    header = next(rows, (1, 0, []))[2] if test or not layout.bare_width else None
    width = layout.bare_width if header is None else len(header)
    wanted = [find_column(path, header, name) for name in (test and layout.test_segments) or layout.segments]
    label_at = None if test else find_column(path, header, layout.label)
    starts, ends = [[array("q") for _ in wanted] for _ in "se"]
    labels = array("d")
    for number, offset, fields in rows:
        if len(fields) != width:
            if layout.cut_rows and not test and len(fields) < width:
                continue
            raise InputError(wrong_width(path, number, len(fields), width))
        for at, start, end in zip(wanted, starts, ends, strict=True):
            begins = offset + sum(map(len, fields[:at])) + at
            start.append(begins)
            end.append(begins + len(fields[at]))
        labels.append(UNLABELLED if test else read_label(layout, fields[label_at].decode(), path, number))
    return starts, ends, labels


def wrong_width(path: Path, number: int, found: int, width: int) -> str:
    cause = "a tab inside a text makes one more" if found > width else "a line end inside a text makes one row two"
    return f"{path}, row {number}: {found} fields, {width} needed; {cause}; mend or remove the row"


def find_column(path: Path, header: list[bytes] | None, name: str) -> int:
    """Find a column by its header name, or by its number in a file without header."""
    if header is None:
        return int(name)
    titles = [title.decode() for title in header]
    if name not in titles:
        raise InputError(f"{path} has no column {name!r} in its header; it has {', '.join(titles) or 'none'}")
    return titles.index(name)


def read_label(layout: Layout, text: str, path: Path, number: int) -> float:
    if not text:
        return UNLABELLED
    if layout.labels:
        if text in layout.labels:
            return layout.labels.index(text)
        known = ", ".join(layout.labels)
        raise InputError(f"{path}, row {number}: unknown label {text!r}; it must be one of {known}")
    try:
        score = float(text)
    except ValueError:
        score = -1.0
    if not 0 <= score <= 5:
        raise InputError(f"{path}, row {number}: score {text!r} is not a number from 0 to 5")
    return score

"""The own source: CSV, TSV, JSON Lines and parquet files of one's own task, read row by row in flat memory."""

from __future__ import annotations

import codecs
import csv
import json
import unicodedata
from array import array
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bertglue.data.dataset import CHUNK_ROWS, Split, make_split
from bertglue.data.text_columns import TextColumn
from bertglue.errors import InputError, one_line
from bertglue.own_tasks import MOST_LABELS, NUMBER, check_metrics, own_task
from bertglue.tasks import UNLABELLED, Task

DIALECTS = {
    "csv": {"delimiter": ","},  # RFC 4180: quotes around what has commas, quotes or line ends, "" for a quote
    "semicolon": {"delimiter": ";"},
    "tab": {"delimiter": "\t", "quoting": csv.QUOTE_NONE},
    "excel-tab": {"delimiter": "\t"},
}
SEPARATORS = {";": "semicolon", "\t": "tab", ",": "csv"}
NO_TEXTS = ("id", "idx", "index", "guid", "unnamed: 0", "")  # columns that number the rows, pandas' among them
DIALECT_OF = {".csv": "csv", ".tsv": "tab", ".txt": "tab"}
JSON_LINES, PARQUET = (".jsonl", ".ndjson"), (".parquet",)
LONGEST_FIELD = 2**24  # characters; a quote that is never closed ends there, not with the file
AS_SCORES = "for a score to regress on set labels: number (bertglue init: --number)"
MESSAGE_LENGTH = 60  # of a value that an error shows


@dataclass(frozen=True)
class OwnFiles:
    """The files of a task of one's own, and how to read them; see `Parameters`."""

    name: str
    files: dict[str, str]
    columns: list[str] | None = None
    label: str = "label"
    labels: list[str] | str | None = None
    metrics: list[str] | None = None
    dialect: str | None = None
    validation_share: float = 0.1


def load(own: OwnFiles) -> tuple[Task, dict[str, Split]]:
    """Read the files of a task; return it, with its classes, and its splits.

    Raises:
        InputError: a file, a column, a row or a label is missing or wrong; the line names file, row and remedy.
    """
    paths = {name: find_file(own, name, text) for name, text in own.files.items()}
    columns = find_columns(own, paths["train"])
    known = None if own.labels in (None, NUMBER) else {name: place for place, name in enumerate(own.labels)}
    found, labels = {}, {}
    for name in sorted(paths, key=("train", "validation", "test").index):
        reader = Reader(own, columns, paths[name], known, withheld=name == "test")
        found[name], labels[name] = TextColumn.keep(len(columns), reader), np.asarray(reader.labels)
        if not len(labels[name]):
            raise InputError(f"{paths[name]} holds no rows below its header; give it at least one")
        if name == "train" and own.labels is None:
            known, labels[name] = infer_labels(own, paths[name], reader, labels[name])
    names = () if own.labels == NUMBER else tuple(known)
    check_metrics(own.name, tuple(own.metrics or ()), names)
    task = own_task(own.name, tuple(columns), names, tuple(own.metrics or ()), "test" in paths)
    splits = {name: make_split(task, found[name], labels[name], str(paths[name])) for name in found}
    return task, splits if "validation" in splits else split_train(own, splits)


def find_file(own: OwnFiles, split: str, text: str) -> Path:
    path = Path(text).expanduser()
    if not path.exists() and Path.cwd().name == "notebooks" and Path("../Snakefile").is_file():
        path = Path("..") / path  # an editor starts the kernel of a checkout's notebook there
    if not path.is_file():
        found = "is a folder" if path.is_dir() else "is not there"
        start = "" if path.is_absolute() else f"; relative names start in {Path.cwd()}"
        raise InputError(f"files of {own.name}: {split} is {text}, which {found}{start}")
    if path.suffix.lower() not in (*DIALECT_OF, *JSON_LINES, *PARQUET) and not own.dialect:
        raise InputError(f"{path} ends in none of .csv, .tsv, .jsonl and .parquet; rename it, or give its dialect")
    return path


def find_columns(own: OwnFiles, path: Path) -> list[str]:
    """Return the columns of text: those given, or the one or two of train beside the label's and those of NO_TEXTS."""
    if own.columns:
        return own.columns
    first = next((cells for _, cells in read_rows(path, own.dialect)), {})
    others = [name for name in first if name != own.label and str(name).lower() not in NO_TEXTS]
    if not 1 <= len(others) <= 2:
        raise InputError(
            f"{path} has the columns {', '.join(first)} and none is named as text; "
            f"name one or two as columns (columns: [{', '.join(others[:2]) or 'text'}])"
        )
    return others


class Reader:
    """Yields the texts of a file's rows, and collects their labels on the way.

    `labels` are places in `known`, or in `seen` while the classes are inferred; scores where they are numbers; and
    UNLABELLED where the file is test's, whose labels are not needed and not looked at.
    """

    def __init__(self, own: OwnFiles, columns: list[str], path: Path, known: dict[str, int] | None, withheld: bool):
        self.own, self.columns, self.path, self.withheld = own, columns, path, withheld
        self.number = own.labels == NUMBER
        self.known, self.seen = known, {}
        self.unlabelled = float("nan") if self.number else UNLABELLED
        self.labels = array("d" if self.number else "q")

    def __iter__(self) -> Iterator[tuple[bytes, ...]]:
        wanted = {*self.columns} if self.withheld else {*self.columns, self.own.label}
        for number, cells in read_rows(self.path, self.own.dialect):
            try:
                if not wanted <= cells.keys():
                    missing = next(name for name in (*self.columns, self.own.label) if name not in cells)
                    has = ", ".join(map(str, cells))[:300]
                    raise ValueError(f"there is no {missing!r}; it has {has}: give columns and label these names")
                self.labels.append(self.unlabelled if self.withheld else self.read_label(cells[self.own.label]))
                yield tuple([read_text(name, cells[name]) for name in self.columns])
            except ValueError as error:
                raise InputError(f"{self.path}, row {number}: {error}") from None

    def read_label(self, value) -> float:
        if self.number:
            return read_score(self.own.label, value)
        places = self.seen if self.known is None else self.known
        if type(value) is str and (place := places.get(value)) is not None:
            return place
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        name = value.strip() if isinstance(value, str) else str(value)
        if type(value) in (str, int) and (place := places.get(name)) is not None:
            return place
        check_class(self.own.label, value, name)
        if self.known is None:
            if len(self.seen) == MOST_LABELS:
                raise ValueError(
                    f"{shown(name)} is the {MOST_LABELS + 1:,}th class of {self.own.label}, and there may be "
                    f"{MOST_LABELS:,}; {AS_SCORES}"
                )
            return self.seen.setdefault(name, len(self.seen))
        has = "labels has" if self.own.labels else "train has"
        few = ", ".join(list(self.known)[:10]) + (", ..." if len(self.known) > 10 else "")
        raise ValueError(f"unknown label {shown(name)}; {has} {few}: correct the row, or add the class")


def is_table(task: Task, path: Path) -> bool:
    """Return whether a file of a task of one's own has a header or names its columns, as those of its training do."""
    return task.own and path.suffix.lower() in (".csv", ".tsv", *JSON_LINES, *PARQUET)


def open_table(task: Task, parameters: Mapping, path: Path, withheld: bool) -> Reader:
    """Open another file of a task that was read before; `parameters` are those that its run recorded."""
    labels = NUMBER if task.regression else list(task.labels)
    own = OwnFiles(
        task.name, {}, label=parameters.get("label", "label"), labels=labels, dialect=parameters.get("dialect")
    )
    known = {} if task.regression else {name: place for place, name in enumerate(task.labels)}
    return Reader(own, list(task.columns), path, known, withheld)


def read_text(name: str, text) -> bytes:
    if not isinstance(text, str):
        raise ValueError(f"{name} is {shown(text)}, no text; put a string there or remove the row")
    if not text or text.isspace():
        raise ValueError(f"{name} is empty; give it a text or remove the row")
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise ValueError(f"{name} is not UTF-8; save the file as UTF-8") from None


def check_class(label: str, value, name: str) -> None:
    """Check that a value can name a class: a word or a whole number, which a line of a table can show."""
    if isinstance(value, bool) or not isinstance(value, str | int) or not name:
        remedy = AS_SCORES if isinstance(value, float) else "give it a class"
        raise ValueError(f"{label} is {shown(value)}, no class; {remedy}")
    if not is_utf8(name):
        raise ValueError(f"{label} is not UTF-8; save the file as UTF-8")
    if any(unicodedata.category(character) in ("Cc", "Zl", "Zp") for character in name):
        raise ValueError(f"{label} is {shown(name)}, which is no name; give the class one without line ends and tabs")
    if name.lower() in ("nan", "null"):
        raise ValueError(f"{label} is {name}, an empty cell; give it a class or remove the row")


def read_score(label: str, value) -> float:
    try:
        score = float("nan") if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        score = float("nan")
    if not np.isfinite(score):
        raise ValueError(f"{label} is {shown(value)}, no number; correct the row, or leave labels out for classes")
    return score


def infer_labels(own: OwnFiles, path: Path, reader: Reader, places: np.ndarray) -> tuple[dict[str, int], np.ndarray]:
    """Order the classes that train was found to have, numbers by value, and return the labels in that order."""
    names = list(reader.seen)
    if len(names) == 1:
        raise InputError(f"{path}: every row has the label {shown(names[0])}; a task needs two classes or more")
    if any(is_fraction(name) for name in names):
        example = next(name for name in names if is_fraction(name))
        raise InputError(f"{path}: {own.label} has numbers such as {example}; {AS_SCORES}")
    numbers = all(name[1:].isdecimal() if name[0] in "+-" else name.isdecimal() for name in names)
    ordered = sorted(names, key=int if numbers else None)
    known = {name: place for place, name in enumerate(ordered)}
    order = np.array([known[name] for name in names], "int64")
    return known, order[places]


def is_fraction(name: str) -> bool:
    whole, dot, rest = name.removeprefix("-").partition(".")
    return bool(dot) and whole.isdecimal() and rest.isdecimal() and bool(rest.strip("0"))


def split_train(own: OwnFiles, splits: dict[str, Split]) -> dict[str, Split]:
    """Take a share of train for validation, stratified by label; the same rows whatever the seed of the run."""
    train, share = splits["train"], own.validation_share
    order = np.random.default_rng(1).permutation(len(train))
    count = round(share * len(train))
    if not 0 < count < len(train):
        raise InputError(
            f"validation_share is {share}, which makes {count} of the {len(train)} rows of {own.files['train']} "
            "validation; give another share, or a file of validation"
        )
    # at regular steps through the shuffled rows in order of their label: each class, and each range of scores, has its
    # share to within a row, however few rows it has
    stratified = order[np.argsort(train.labels[order], kind="stable")]
    taken = np.zeros(len(train), bool)
    taken[stratified[((np.arange(count) + 0.5) * len(train) / count).astype("int64")]] = True
    parts = {"train": np.flatnonzero(~taken), "validation": np.flatnonzero(taken)}
    return {**{name: train.take(rows) for name, rows in parts.items()}, **{k: splits[k] for k in splits if k == "test"}}


def read_rows(path: Path, dialect: str | None) -> Iterator[tuple[int, dict]]:
    """Yield the rows of a file, (number, cells by name), by the form that its name says."""
    suffix = path.suffix.lower()
    try:
        if suffix in PARQUET:
            yield from read_parquet(path)
            return
        check_encoding(path)
        if suffix in JSON_LINES:
            yield from read_json_lines(path)
        else:
            yield from read_csv(path, dialect or DIALECT_OF[suffix])
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or one_line(error)}") from None


def check_encoding(path: Path) -> None:
    with path.open("rb") as file:
        if file.read(2) in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
            raise InputError(f"{path} is UTF-16; save it as UTF-8 (a spreadsheet calls that CSV UTF-8)")


def read_csv(path: Path, dialect: str) -> Iterator[tuple[int, dict]]:
    """Yield the rows of a CSV file with a header; row 1 is the header, and a quoted field may span lines."""
    before = csv.field_size_limit(LONGEST_FIELD)
    # bytes that are no UTF-8 are kept as surrogates, so that the row that has them can be named
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        rows = csv.reader(file, strict=True, **DIALECTS[dialect])
        number, line = 0, 1
        try:
            header = next(rows, [])
            check_header(header, f"{path}, row 1")
            number = 1
            for number, cells in enumerate(rows, 2):
                if len(cells) != len(header):
                    if not cells:
                        continue  # a blank line
                    raise ragged(f"{path}, row {number} (line {line + 1})", cells, header, dialect)
                yield number, dict(zip(header, cells, strict=True))
                line = rows.line_num
        except csv.Error as error:
            raise InputError(
                f"{path}, row {number + 1} (line {line + 1}): {one_line(error)}; a quote inside a quoted field is "
                'written "", and one that is opened has to be closed (dialect tab has no quotes)'
            ) from None
        finally:
            csv.field_size_limit(before)


def is_utf8(text: str) -> bool:
    """Return whether a text was UTF-8 where it was read from; other bytes came as surrogates."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


def check_header(header: list[str], where: str) -> None:
    if not header:
        raise InputError(f"{where}: there is no header; the first row has to name the columns")
    if not all(map(is_utf8, header)):
        raise InputError(f"{where} is not UTF-8; save the file as UTF-8")
    if header[0].startswith("sep="):
        raise InputError(f"{where} is {header[0]!r}, a spreadsheet's note; remove the line, and give the dialect")
    if len(header) == 1 and (other := next((name for mark, name in SEPARATORS.items() if mark in header[0]), None)):
        raise InputError(
            f"{where} is one column, {shown(header[0])}; the dialect is perhaps {other}: give --dialect {other} "
            f"to bertglue init, or write dialect: {other} in the task's file"
        )
    if twice := [name for name in header if name and header.count(name) > 1]:
        raise InputError(f"{where}: the column {shown(twice[0])} is there twice; rename one")


def ragged(where: str, cells: list[str], header: list[str], dialect: str) -> InputError:
    more = len(cells) > len(header)
    cause = "a delimiter inside a text has to be in quotes" if more else "a row is cut, or a quote is not closed"
    hint = " (or the file has another dialect: csv, semicolon, tab, excel-tab)" if len(header) == 1 or more else ""
    return InputError(
        f"{where}: {len(cells)} fields, and the header has {len(header)}; {cause}{hint}; dialect is {dialect}"
    )


def read_json_lines(path: Path) -> Iterator[tuple[int, dict]]:
    """Yield the rows of a file that has a JSON object on each line."""
    with path.open(encoding="utf-8-sig", errors="surrogateescape") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            where = f"{path}, row {number}"
            try:
                cells = json.loads(line, object_pairs_hook=lambda pairs, where=where: unique(pairs, where))
            except (ValueError, RecursionError) as error:
                if isinstance(error, InputError):
                    raise
                raise InputError(f"{where} is no JSON ({one_line(error)}); each line has to be an object") from None
            if not isinstance(cells, dict):
                raise InputError(f'{where} is no object; write {{"text": ..., "label": ...}}')
            yield number, cells


def unique(pairs: list[tuple], where: str) -> dict:
    names = [name for name, _ in pairs]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise InputError(f"{where}: {shown(twice)} is there twice; rename one")
    return dict(pairs)


def read_parquet(path: Path) -> Iterator[tuple[int, dict]]:
    """Yield the rows of a parquet file, some thousand in memory at a time."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    number = 0
    try:
        with pq.ParquetFile(path) as file:
            check_header(file.schema_arrow.names, str(path))
            for batch in file.iter_batches(batch_size=CHUNK_ROWS):
                for cells in batch.to_pylist():
                    number += 1
                    yield number, cells
    except pa.ArrowException as error:
        raise InputError(f"{path} cannot be read as parquet ({one_line(error)}); write it again") from None


def shown(value) -> str:
    """Show a value of a file in a message, not longer than a line."""
    text = repr(value)
    return text if len(text) <= MESSAGE_LENGTH else text[:MESSAGE_LENGTH] + "..."

"""The huggingface source: GLUE as parquet files, in a folder like the hub's `nyu-mll/glue`, or from the hub itself.

Takes a task; gives the same splits, columns and labels as the other sources, which tests hold equal.
"""

from __future__ import annotations

import json
from array import array
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bertglue.data.dataset import CHUNK_ROWS, Split, make_split
from bertglue.data.text_columns import TextColumn
from bertglue.errors import InputError, one_line
from bertglue.tasks import AX, UNLABELLED, Task

HUB_DATASET = "nyu-mll/glue"  # of data sets on the hub
REMEDY = "bring the folder as the hub has it (`CONFIG/SPLIT-00000-of-00001.parquet`), or fetch the file again"


def load(task: Task, folder: str | None) -> dict[str, Split]:
    """Read every split of a task that is there; without a folder it is fetched from the hub, once."""
    root = Path(folder).expanduser() if folder else Path(prepare(task))
    splits = {name: find_files(root, task.name, name) for name in task.splits}
    missing = [name for name in ("train", *task.validation) if not splits[name]]
    if missing:
        raise InputError(f"{root / task.name} has no {missing[0]}-*.parquet; {REMEDY}")
    found = {name: read_split(task, files, name) for name, files in splits.items() if files}
    if task.name == "mnli" and (files := find_files(root, AX.name, "test")):
        found["ax"] = read_split(AX, files, "test")
    return found


def find_files(root: Path, config: str, split: str) -> list[Path]:
    """Return the files of a split, one or more, in their order."""
    return sorted((root / config).glob(f"{split}-*.parquet")) or sorted((root / config).glob(f"{split}.parquet"))


def prepare(task: Task) -> str:
    """Fetch a task's files from Hugging Face's hub, once for all runs; return the folder where they lie."""
    from huggingface_hub import snapshot_download

    try:
        return snapshot_download(HUB_DATASET, repo_type="dataset", allow_patterns=patterns(task))
    except Exception as error:  # whatever the network, the hub or the disk raised
        raise InputError(
            f"{HUB_DATASET} could not be fetched from Hugging Face's hub ({type(error).__name__}: {one_line(error)}); "
            "go online once, or give its folder as glue_dir"
        ) from error


def find_fetched(task: Task) -> str | None:
    """Return the folder where a task's files lie that were fetched from the hub before; None where they were not."""
    from huggingface_hub import constants

    if not Path(constants.HF_HUB_CACHE, "datasets--" + HUB_DATASET.replace("/", "--")).is_dir():
        return None  # the rest of the hub's package need not be loaded
    from huggingface_hub import snapshot_download

    try:
        folder = snapshot_download(
            HUB_DATASET, repo_type="dataset", allow_patterns=patterns(task), local_files_only=True
        )
    except OSError:  # LocalEntryNotFoundError is one
        return None
    whole = all(find_files(Path(folder), task.name, split) for split in task.splits)
    return folder if whole and (task.name != "mnli" or find_files(Path(folder), AX.name, "test")) else None


def patterns(task: Task) -> list[str]:
    return [f"{config}/*.parquet" for config in ([task.name, AX.name] if task.name == "mnli" else [task.name])]


def read_split(task: Task, files: list[Path], name: str) -> Split:
    """Read the files of a split, in the order of GLUE's own files; a test split has labels of -1."""
    labels, places = array("d"), array("q")
    segments = TextColumn.keep(len(task.columns), read_rows(task, files, name.startswith("test"), labels, places))
    split = make_split(task, segments, labels, str(files[0]))
    return split.take(np.argsort(places, kind="stable")) if len(places) == len(split) else split


def read_rows(task: Task, files: list[Path], test: bool, labels: array, places: array) -> Iterator[tuple[bytes, ...]]:
    """Yield the texts of each row, some thousand rows in memory at a time; labels and places are filled on the way."""
    for path in files:
        number = 0
        try:
            with pq.ParquetFile(path) as file:
                order = label_order(task, path, file.schema_arrow)
                numbered = "idx" in file.schema_arrow.names
                columns = [*task.columns, *([] if test else ["label"]), *(["idx"] if numbered else [])]
                for batch in file.iter_batches(batch_size=CHUNK_ROWS, columns=columns):
                    cells = [batch.column(column).to_pylist() for column in task.columns]
                    given = [None] * batch.num_rows if test else batch.column("label").to_pylist()
                    places.extend(batch.column("idx").to_pylist() if numbered else ())
                    for *texts, label in zip(*cells, given, strict=True):
                        number += 1
                        labels.append(UNLABELLED if test else check_label(task, label, order, path, number))
                        yield tuple(check_text(text, path, number) for text in texts)
        except (pa.ArrowException, OSError) as error:
            raise InputError(f"{path} cannot be read as parquet ({one_line(error)}); {REMEDY}") from None


def label_order(task: Task, path: Path, schema: pa.Schema) -> list[int] | None:
    """Check the columns of a file; return which of our labels each number is, where the file names its labels."""
    if missing := [column for column in (*task.columns, "label") if column not in schema.names]:
        raise InputError(f"{path} has no column {missing[0]!r}; it has {', '.join(schema.names)}")
    described = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))
    names = described.get("info", {}).get("features", {}).get("label", {}).get("names")
    if not names or task.regression:
        return None
    if sorted(names) != sorted(task.labels):
        raise InputError(f"{path} has the labels {', '.join(names)}, and {task.title} has {', '.join(task.labels)}")
    return [task.labels.index(name) for name in names]


def check_label(task: Task, label, order: list[int] | None, path: Path, number: int) -> float:
    """Return a label of ours, or the score; -1 is unknown."""
    if task.regression and isinstance(label, int | float) and np.isfinite(label):
        return float(label)
    if not task.regression and type(label) is int and -1 <= label < task.outputs:
        return order[label] if order and label >= 0 else label
    raise InputError(f"{path}, row {number}: unknown label {label!r}; {task.title} has {describe_labels(task)}")


def describe_labels(task: Task) -> str:
    return "numbers" if task.regression else f"0 to {task.outputs - 1}"


def check_text(text, path: Path, number: int) -> bytes:
    if not isinstance(text, str):
        raise InputError(f"{path}, row {number}: a text is {text!r}; give a string")
    return text.encode()

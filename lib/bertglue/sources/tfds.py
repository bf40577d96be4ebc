"""The tfds source: `glue/*` of tensorflow-datasets, downloaded and prepared once."""

from __future__ import annotations

import tensorflow_datasets as tfds

from bertglue.errors import InputError
from bertglue.sources.data import Split, split_of
from bertglue.tasks import AX, Task


def load(task: Task) -> dict[str, Split]:
    """Read every split of a task; `TFDS_DATA_DIR` says where the prepared data is kept."""
    splits = read(task)
    return {**splits, "ax": read(AX)["test"]} if task.name == "mnli" else splits


def read(task: Task) -> dict[str, Split]:
    builder = tfds.builder(f"glue/{task.name}")
    try:
        builder.download_and_prepare()
    except Exception as error:  # whatever the network or the disk raised
        raise InputError(
            f"glue/{task.name} could not be prepared in {builder.data_dir} ({type(error).__name__}: {error}); "
            "go online once, or put the GLUE files in a folder and use source: folder with glue_dir"
        ) from error
    names = [name for name in task.splits if name in builder.info.splits]
    return {name: read_split(builder, task, name) for name in names}


def read_split(builder, task: Task, name: str) -> Split:
    rows = [
        (tuple(row[column].decode() for column in task.columns), row["label"].item())
        for row in tfds.as_numpy(builder.as_dataset(split=name))
    ]
    return split_of(task, rows, f"glue/{task.name}, split {name}")

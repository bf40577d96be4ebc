"""The tfds source: `glue/*` of tensorflow-datasets, downloaded and prepared once."""

from __future__ import annotations

from array import array
from collections.abc import Iterator

import numpy as np
import tensorflow_datasets as tfds

from bertglue.data.dataset import Split, make_split
from bertglue.data.text_columns import TextColumn
from bertglue.errors import InputError, one_line
from bertglue.tasks import AX, Task


def load(task: Task) -> dict[str, Split]:
    """Read every split of a task, prepared if it is not yet; `TFDS_DATA_DIR` says where it is kept."""
    return {name: read_split(*part) for name, part in parts(task).items()}


def prepare(task: Task) -> str:
    """Download and prepare a task's data, once for all runs; return the folder where it lies."""
    return str(next(iter(parts(task).values()))[0].data_dir)


def is_prepared(task: Task) -> bool:
    """Return whether a task's data was prepared before, AX's with MNLI's."""
    asked = [task, AX] if task.name == "mnli" else [task]
    return all(tfds.builder(f"glue/{one.name}").info.splits for one in asked)  # known once it is prepared


def parts(task: Task) -> dict[str, tuple]:
    """Return (builder, task, split) for each split, AX's test beside MNLI's own as `ax`."""
    builder = prepared(task)
    found = {name: (builder, task, name) for name in task.splits if name in builder.info.splits}
    return {**found, "ax": (prepared(AX), AX, "test")} if task.name == "mnli" else found


def prepared(task: Task) -> tfds.core.DatasetBuilder:
    builder = tfds.builder(f"glue/{task.name}")
    if not builder.info.splits:  # known once it is prepared
        print(f"glue/{task.name}: downloading and preparing it in {builder.data_dir}, once", flush=True)
        tfds.disable_progress_bar()  # it would leave hundreds of lines in a notebook
    try:
        builder.download_and_prepare()
    except Exception as error:  # whatever the network, an archive or the disk raised
        archives = ", ".join(sorted(archive_names(builder, task)))
        raise InputError(
            f"glue/{task.name} could not be prepared in {builder.data_dir} "
            f"({type(error).__name__}: {one_line(error)}); go online once, or put {archives} into {manual_dir(builder)}"
        ) from error
    return builder


def manual_dir(builder) -> str:
    """Return the folder where tensorflow-datasets looks for archives brought by hand."""
    return f"{builder._data_dir_root}/downloads/manual"


def archive_names(builder, task: Task) -> Iterator[str]:
    """Yield the files that a task is made from, as tensorflow-datasets lists them with their checksums."""
    for url, info in builder.url_infos.items():
        of_mrpc = "paraphrase" in url or "mrpc" in url  # it has no archive, but three files
        if of_mrpc if task.name == "mrpc" else url == builder.builder_config.data_url:
            yield info.filename


def read_split(builder, task: Task, name: str) -> Split:
    """Read a split in the order of GLUE's own files, which a submission must keep; it is stored in another."""
    labels, places = array("d"), array("q")

    def rows() -> Iterator[tuple[bytes, ...]]:
        for row in tfds.as_numpy(builder.as_dataset(split=name)):
            labels.append(row["label"].item())
            places.append(row["idx"].item())
            yield tuple(row[column] for column in task.columns)

    segments = TextColumn.keep(len(task.columns), rows())
    split = make_split(task, segments, labels, f"glue/{task.name}, split {name}")
    return split.take(np.argsort(places, kind="stable"))

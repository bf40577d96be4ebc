"""GLUE where it is published: by tensorflow-datasets, or where that is out of reach as Hugging Face's parquet files."""

from __future__ import annotations

from bertglue.data import glue_parquet
from bertglue.errors import InputError
from bertglue.tasks import Task


def prepare_published(task: Task) -> tuple[str, str]:
    """Fetch a task's data once, and say from where.

    What was fetched before is taken. Both have the same rows in the same order, which tests hold equal.

    Args:
        task: one of `TASKS`.

    Returns:
        The source that has the rows, `tfds` or `huggingface`, and the folder where they lie.

    Raises:
        InputError: neither can be reached, and neither was fetched before.

    Example:
        >>> prepare_published(TASKS["rte"])  # doctest: +SKIP
        ('tfds', '/home/me/tensorflow_datasets/glue/rte/2.0.0')
    """
    from bertglue.data import tfds

    if not tfds.is_prepared(task) and (folder := glue_parquet.find_fetched(task)):
        return "huggingface", folder
    try:
        return "tfds", tfds.prepare(task)
    except InputError as error:
        print(f"{error}. Trying {glue_parquet.HUB_DATASET} of Hugging Face's hub, which has the same rows", flush=True)
        try:
            folder = glue_parquet.prepare(task)
        except InputError as second:
            raise InputError(f"{error}. {second}") from error
    print(f"{task.name}: from {glue_parquet.HUB_DATASET} of Hugging Face's hub, in {folder}", flush=True)
    return "huggingface", folder

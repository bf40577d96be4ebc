"""Tasks of one's own, beside GLUE's: how they are named, and what a record says of them."""

from __future__ import annotations

import re
from collections.abc import Mapping

from bertglue.errors import InputError
from bertglue.tasks import AX, TASKS, Task, get_task

OWN_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
# folders beside those of tasks
TAKEN_NAMES = (AX.name, "book", "cache", "compressed", "fetched", "logs", "notebook", "pages")
NUMBER = "number"  # in the place of labels: a score to regress on
CLASS_METRICS = ("accuracy", "f1", "macro_f1", "matthews")
SCORE_METRICS = ("pearson", "spearman")
MOST_LABELS = 1000
DESCRIBED = ("title", "columns", "labels", "metrics", "validation", "test")


def check_own_name(name: str) -> str:
    """Check the name of a task of one's own: folders and pages are called by it."""
    if name in TASKS:
        raise InputError(f"task is {name!r}, which is GLUE's; give the task of your files another name")
    if not is_own_name(name):
        raise InputError(
            f"task is {name[:60]!r}; name a task of your own in small letters, digits and _, a letter first, and not "
            f"{', '.join(TAKEN_NAMES)}"
        )
    return name


def is_own_name(name: object) -> bool:
    return isinstance(name, str) and OWN_NAME.fullmatch(name) is not None and name not in (*TASKS, *TAKEN_NAMES)


def own_task(
    name: str, columns: tuple[str, ...], labels: tuple[str, ...], metrics: tuple[str, ...] = (), test: bool = False
) -> Task:
    """Describe a task of one's own; without `labels` it is a score, and without `metrics` it has the usual ones."""
    usual = SCORE_METRICS if not labels else ("accuracy", "f1") if len(labels) == 2 else ("accuracy", "macro_f1")
    return Task(name, name, columns, labels, metrics or usual, test=("test",) if test else ())


def check_metrics(name: str, metrics: tuple[str, ...], labels: tuple[str, ...]) -> None:
    """Check that metrics fit the labels of a task."""
    fitting = CLASS_METRICS if labels else SCORE_METRICS
    for metric in metrics:
        if metric not in fitting:
            kind = "classes" if labels else "a number"
            raise InputError(f"metrics of {name} has {metric!r}; its label is {kind}: choose from {', '.join(fitting)}")
    if "f1" in metrics and len(labels) > 2:
        raise InputError(f"metrics of {name} has f1, which is of two classes, and it has {len(labels)}; take macro_f1")


def task_of_record(record: Mapping) -> Task:
    """Return the task that a record of a run is of: one of GLUE's, or the one of one's own that it describes."""
    if not (own := record.get("own_task")):
        return get_task(record["task"])
    lists = (tuple(own[key]) for key in DESCRIBED[1:])
    return Task(record["task"], own["title"], *lists)


def describe_own_task(task: Task) -> dict | None:
    """Return what `task_of_record` reads of a task of one's own; None of GLUE's, which are known."""
    return {key: getattr(task, key) for key in DESCRIBED} if task.own else None

"""Load the examples of a task: toy data, an official GLUE folder, or tensorflow-datasets."""

from __future__ import annotations

from bertglue.data.dataset import Data, Split, check_labels, hold_out_rows
from bertglue.tasks import Task, get_task

__all__ = ["Data", "Split", "check_source", "load_data"]


def check_source(parameters) -> None:
    """Read a folder source once, before any run starts: what is wrong in it is one line, not a failed run."""
    if parameters.source == "folder":
        load_data(get_task(parameters.task), "folder", glue_dir=parameters.glue_dir)


def load_data(task: Task, source: str, *, glue_dir: str | None = None, seed: int = 0, hold_out: float = 0.0) -> Data:
    """Load the splits of a task from `toy`, `folder` (under `glue_dir`) or `tfds`.

    Every source gives the same columns, labels, splits and label encodings. MNLI brings the diagnostic set
    along as `ax`, where the source has it. A share `hold_out` of train becomes the split `held_out`, to choose
    parameters by.
    """
    if source == "toy":
        from bertglue.data.toy.generator import load
    elif source == "folder":
        from bertglue.data.glue_files import load
    else:
        from bertglue.data.tfds import load
    options = {"toy": {"seed": seed}, "folder": {"folder": glue_dir}}.get(source, {})
    return hold_out_rows(check_labels(Data(task, source, load(task, **options))), hold_out)

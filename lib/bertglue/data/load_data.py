"""Load the examples of a task: toy data, GLUE from a folder or elsewhere, or files of one's own."""

from __future__ import annotations

from pathlib import Path

from bertglue.data.dataset import Data, Split, check_labels, draw_train_rows, hold_out_rows
from bertglue.parameters import Parameters, check_samples
from bertglue.tasks import Task

__all__ = ["Data", "Split", "check_source", "load_data", "load_data_for"]


def check_source(parameters: Parameters) -> None:
    """Read files that lie here once, before any run starts: what is wrong in one is one line, not a failed run."""
    if parameters.source in ("folder", "own") or (parameters.source == "huggingface" and parameters.glue_dir):
        load_data_for(parameters)


def load_data_for(parameters: Parameters) -> Data:
    """Load the splits that a run is about, of a task of GLUE or of one's own.

    Args:
        parameters: of the run: `task` and `source`, or `files` and how to read them; `hold_out`, `train_rows`, `seed`.

    Returns:
        The splits, as `load_data` returns them; the task of one's own files has its classes.

    Raises:
        InputError: a file, row or label is missing or wrong, or a split is left without rows.

    Example:
        >>> import bertglue
        >>> bertglue.load_data_for(bertglue.Parameters(task="mrpc", train_rows=100)).examples
        {'train': 100, 'validation': 1000, 'test': 500, 'held_out': 890}
    """
    rest = {
        "hold_out": parameters.hold_out, "train_rows": parameters.train_rows, "train_seed": parameters.seed
    }  # fmt: skip
    if not parameters.files:
        return load_data(parameters.definition, parameters.source, glue_dir=parameters.glue_dir, **rest)
    from bertglue.data.own_files import OwnFiles, load

    asked = {name: getattr(parameters, name) for name in OwnFiles.__dataclass_fields__ if name != "name"}
    task, splits = load(OwnFiles(parameters.task, **asked))
    check_samples(parameters.samples, task.name, task.columns)  # which are known only now, where none were given
    return set_apart(Data(task, parameters.source, splits), **rest)


def set_apart(data: Data, hold_out: float, train_rows: int | None, train_seed: int) -> Data:
    """Check the labels, and take from train what is held out, and of the rest the rows to train on."""
    return draw_train_rows(hold_out_rows(check_labels(data), hold_out), train_rows, train_seed)


def load_data(
    task: Task, source: str, *, glue_dir: str | None = None, seed: int = 0, hold_out: float = 0.0,
    train_rows: int | None = None, train_seed: int = 0,
) -> Data:  # fmt: skip
    """Load the splits of a task; every source returns the same columns, labels, splits and label encodings.

    Args:
        task: one of `TASKS`, as `get_task` returns it.
        source: `toy`, generated sentences that are not GLUE; `folder`, the files of GLUE in their official layout, or
            as parquet; `huggingface`, GLUE as parquet; or `tfds`, tensorflow-datasets' `glue/*`, and where that is
            out of reach what `huggingface` has; `source` of what is returned says which.
        glue_dir: the folder that holds `CoLA/`, `MRPC/`, ..., or, as parquet, `cola/`, `mrpc/`, ...; None takes Hugging
            Face's hub where `source` is `huggingface`.
        seed: of the toy sentences.
        hold_out: the share of train, 0 or more and below 1, that becomes the split `held_out`, to select
            hyperparameters on.
        train_rows: rows of the rest of train that are left to train on, drawn at random, in their order; None: all.
        train_seed: by which they are drawn.

    Returns:
        The splits, each with columns of text and labels [rows]: int32 classes, or float32 scores from 0 to 5; -1 where
        GLUE withholds them. MNLI brings the diagnostic set along as `ax`, where the source has it.

    Raises:
        InputError: a file, row or label is missing or wrong, `hold_out` leaves a split without rows, or
            `train_rows` is more than there are.

    Source:
        Wang et al., 2019, arXiv:1804.07461.

    Example:
        >>> from bertglue import get_task, load_data
        >>> data = load_data(get_task("mrpc"), "toy", hold_out=0.1)
        >>> data.examples
        {'train': 8010, 'validation': 1000, 'test': 500, 'held_out': 890}
    """
    if source == "tfds":
        from bertglue.data.published_glue import prepare_published

        source, glue_dir = prepare_published(task)
    if source == "toy":
        from bertglue.data.toy.task_examples import load
    elif source == "huggingface" or (source == "folder" and is_parquet(task, glue_dir)):
        from bertglue.data.glue_parquet import load
    elif source == "folder":
        from bertglue.data.glue_files import load
    else:
        from bertglue.data.tfds import load
    options = {"toy": {"seed": seed}, "tfds": {}}.get(source, {"folder": glue_dir})
    return set_apart(Data(task, source, load(task, **options)), hold_out, train_rows, train_seed)


def is_parquet(task: Task, glue_dir: str | None) -> bool:
    """Return whether a folder of GLUE holds a task as parquet; asked without loading the reader of it."""
    return glue_dir is not None and any(Path(glue_dir).expanduser().glob(f"{task.name}/train*.parquet"))

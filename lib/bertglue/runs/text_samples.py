"""The texts that pages show of a run: first rows, hardest rows, sentences of one's own; kept apart from its record."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from bertglue.atomic_files import write_json
from bertglue.checked_files import read_object
from bertglue.data.dataset import Data
from bertglue.runs.record import RUN_AGAIN
from bertglue.runs.schemas import TextSamples, shown_columns
from bertglue.tasks import Task

TEXTS_FILE = "texts.json"
ROWS_PER_KIND = 3  # of each kind


def label_text(task: Task, label) -> str:
    if label == task.unlabelled or label != label:  # NaN is not itself
        return "?"
    return f"{label:.2f}" if task.regression else task.labels[int(label)]


def first_rows(data: Data, split: str, rows: int = ROWS_PER_KIND) -> list[dict]:
    """Return the texts and the label of the first rows of a split."""
    shown = data[split]
    names, columns = shown_columns(shown.columns), [column[:rows] for column in shown.columns.values()]
    labels = [label_text(data.task, label) for label in shown.labels[:rows]]
    return [
        {**dict(zip(names, texts, strict=True)), "label": label} for *texts, label in zip(*columns, labels, strict=True)
    ]


def hardest_rows(data: Data, split: str, logits: np.ndarray, rows: int = ROWS_PER_KIND) -> list[dict]:
    """Return the rows of a split with the highest loss, the worst first, with their predictions."""
    from bertglue.evaluation import metrics  # with scipy and scikit-learn; to read texts none of it is needed

    task, labels = data.task, data[split].labels
    losses = metrics.losses(task, labels, logits)
    worst = np.argsort(-losses, kind="stable")[:rows]
    texts = data[split].take(worst).columns
    names = shown_columns(texts)
    answers = [predicted_label(task, row) for row in logits[worst]]
    return [
        {
            **{name: column[i] for name, column in zip(names, texts.values(), strict=True)},
            "label": label_text(task, labels[row]),
            **answers[i],
        }
        for i, row in enumerate(worst)
    ]


def predicted_label(task: Task, logits: np.ndarray) -> dict[str, str]:
    """Format the prediction of a row of logits, with its probability where it is a label."""
    from bertglue.evaluation import metrics

    said = {"prediction": label_text(task, metrics.predictions_of(task, logits[None])[0])}
    if not task.regression:
        said["probability"] = f"{metrics.probabilities(logits[None]).max():.3f}"
    return said


def sample_rows(task: Task, samples: list, logits: np.ndarray) -> list[dict]:
    """Return sentences of one's own, or pairs of them, with their predictions."""
    texts = [[sample] if isinstance(sample, str) else sample for sample in samples]
    names = shown_columns(task.columns)
    return [{**dict(zip(names, row, strict=True)), **predicted_label(task, logits[i])} for i, row in enumerate(texts)]


def choose_samples(data: Data, samples: list | None) -> list:
    """Return the sentences, or pairs, to predict: those given, if any, or the first rows of validation."""
    if samples:
        return samples
    columns = data[data.task.validation[0]].columns
    texts = [list(row) for row in zip(*(columns[name][:ROWS_PER_KIND] for name in data.task.columns), strict=True)]
    return texts if len(data.task.columns) > 1 else [text for (text,) in texts]


def collect_text_samples(data: Data, logits: dict[str, np.ndarray], samples: list, sample_logits: np.ndarray) -> dict:
    """Gather what the book shows of a run's texts: `first` and `hardest` rows by split, and `samples`."""
    validation = [split for split in data.task.validation if split in logits]
    first = ["train", *(["ax"] if "ax" in data.splits else [])]
    return {
        "first": {split: first_rows(data, split) for split in first},
        "hardest": {split: hardest_rows(data, split, logits[split]) for split in validation},
        "samples": sample_rows(data.task, samples, sample_logits),
    }


def write_text_samples(run_dir: str | Path, found: dict) -> Path:
    return write_json(Path(run_dir) / TEXTS_FILE, found)


def read_text_samples(run: Path, task: Task) -> dict:
    """Read what `write_text_samples` wrote; a folder without it has nothing to show."""
    path = run / TEXTS_FILE
    if not path.exists():
        return {}
    return read_object(path, TextSamples, "file of texts", RUN_AGAIN, context={"task": task})

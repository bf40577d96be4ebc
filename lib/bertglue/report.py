"""What a notebook shows of a run, as tables; texts from data sets are escaped."""

from __future__ import annotations

import numpy as np
import pandas as pd
from IPython.display import HTML

from bertglue import metrics
from bertglue.metrics import TITLES
from bertglue.records import Scores
from bertglue.sources.data import UNLABELLED, Data
from bertglue.tasks import Task


def table(frame: pd.DataFrame) -> HTML:
    """Show a frame whole, every text in it as text."""
    with pd.option_context("display.max_colwidth", None):
        return HTML(frame.to_html(index=False, escape=True, border=0, justify="left", na_rep=""))


def parameters_table(parameters) -> HTML:
    values = parameters.model_dump()
    return table(pd.DataFrame({"parameter": values.keys(), "value": [str(v) for v in values.values()]}))


def rows_table(rows: list[dict]) -> HTML:
    return table(pd.DataFrame(rows))


def counts_table(counts: dict[str, int]) -> HTML:
    """Show counts, one a row."""
    return rows_table([{"what": what, "count": f"{count:,}"} for what, count in counts.items()])


def label_text(task: Task, label) -> str:
    if label == UNLABELLED:
        return "?"
    return f"{label:.2f}" if task.regression else task.labels[int(label)]


def split_sizes(data: Data) -> HTML:
    """Count the examples of each split and say which have labels."""
    rows = [
        {"split": name, "examples": f"{len(split):,}", "labels": "yes" if split.labelled else "withheld"}
        for name, split in data.splits.items()
    ]
    return table(pd.DataFrame(rows))


def examples(data: Data, split: str = "train", rows: int = 5) -> HTML:
    """Show the first rows of a split."""
    shown = data[split]
    frame = pd.DataFrame({name: column[:rows] for name, column in shown.columns.items()})
    frame["label"] = [label_text(data.task, label) for label in shown.labels[:rows]]
    return table(frame)


def packing(preprocessor, data: Data, split: str = "train") -> HTML:
    """Show what preprocessing makes of the first row of a split, one token a line."""
    packed = preprocessor([column[:1] for column in data[split].segments])
    columns = {name: value.numpy()[0] for name, value in packed.items()}
    used = int(columns["input_mask"].sum()) + 2  # two of the padding, to see it
    frame = pd.DataFrame({name: column[:used] for name, column in columns.items()})
    frame.insert(0, "token", [preprocessor.vocabulary[i] for i in frame["input_word_ids"]])
    return table(frame)


def model_summary(classifier) -> HTML:
    """Count the parameters of the encoder's parts and of the head."""
    counts: dict[str, int] = {}
    for weight in classifier.trainable_weights:
        part = weight.path.removeprefix("encoder/").split("/")[0]
        if part.startswith("layer_"):
            part = "_".join(part.split("_")[:2])
        elif "embedding" in part:
            part = "embeddings"
        counts[part] = counts.get(part, 0) + int(np.prod(weight.shape))
    counts["total"] = sum(counts.values())
    rows = {"part": list(counts), "parameters": [f"{count:,}" for count in counts.values()]}
    return table(pd.DataFrame(rows))


def score_table(scores: Scores) -> HTML:
    """Set each metric beside its 95 % interval and its baseline."""
    rows = []
    for split, values in scores.metrics.items():
        for name, value in values.items():
            low, high = scores.interval[split][name]
            rows.append(
                {
                    "split": split.replace("_", " "),
                    "metric": TITLES[name],
                    "value": f"{value:.3f}",
                    "95 % interval": f"{low:.3f} to {high:.3f}",
                    "baseline": f"{scores.baseline[split][name]:.3f}",
                }
            )
    return table(pd.DataFrame(rows))


def sample_predictions(task: Task, samples: list, logits: np.ndarray) -> HTML:
    """Show what the model says of sentences, with its probability where it chooses a label."""
    texts = [[sample] if isinstance(sample, str) else sample for sample in samples]
    frame = pd.DataFrame(texts, columns=list(task.columns))
    frame["prediction"] = [label_text(task, label) for label in metrics.decide(task, logits)]
    if not task.regression:
        frame["probability"] = [f"{p:.3f}" for p in metrics.probabilities(logits).max(axis=1)]
    return table(frame)


def same_predictions(first: np.ndarray, second: np.ndarray, tolerance: float = 1e-5) -> str:
    """Hold two sets of logits equal up to rounding, and say by how much they differ."""
    difference = float(np.abs(first - second).max())
    if not difference <= tolerance:
        raise AssertionError(f"the logits differ by {difference:.2g}, more than {tolerance:g}")
    return f"The saved model gives the same logits: the largest difference is {difference:.2g}."


def record_summary(path) -> HTML:
    """List what the run left, but for its notebook, which is still being written."""
    names = sorted(file.name for file in path.parent.iterdir())
    return table(pd.DataFrame({"file": names, "bytes": [f"{(path.parent / n).stat().st_size:,}" for n in names]}))

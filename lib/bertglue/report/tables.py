"""Tables that a notebook shows of a run; texts from data sets are escaped."""

from __future__ import annotations

import numpy as np
import pandas as pd
from IPython.display import HTML

from bertglue.data.dataset import Data
from bertglue.evaluation.evaluate import Scores
from bertglue.evaluation.metrics import METRIC_TITLES
from bertglue.report.escaping import escape_text
from bertglue.runs import text_samples
from bertglue.runs.statistics import parameter_counts
from bertglue.tasks import Task

LINE_BREAK = "\u2028"  # breaks a line in a cell; pandas would show a line feed as a backslash and an n
NO_MATHEMATICS = "tex2jax_ignore mathjax_ignore"  # what MathJax leaves alone: $ in a sentence is a dollar


def table(frame: pd.DataFrame, classes: str = "") -> HTML:
    """Show a frame whole, every text in it as text, also between dollar signs; `classes` are the style sheet's."""
    classes = f"{classes} {NO_MATHEMATICS}".strip()
    shown = frame.rename(columns=escape_text).map(lambda cell: cell if is_number(cell) else escape_text(cell))
    with pd.option_context("display.max_colwidth", None):
        shown = shown.to_html(index=False, escape=False, border=0, justify="left", na_rep="", classes=classes)
    return HTML(shown.replace(LINE_BREAK, "<br>").replace("<th>", '<th scope="col">'))


def is_number(cell: object) -> bool:
    return isinstance(cell, int | float | np.number)


def parameters_table(parameters) -> HTML:
    values = parameters.model_dump()
    return table(pd.DataFrame({"parameter": values.keys(), "value": [str(v) for v in values.values()]}))


def rows_table(rows: list[dict]) -> HTML:
    return table(pd.DataFrame(rows))


def counts_table(counts: dict[str, int]) -> HTML:
    """Show counts, one a row."""
    return rows_table([{"what": what, "count": f"{count:,}"} for what, count in counts.items()])


def split_sizes(data: Data) -> HTML:
    """Count the examples of each split, also those that train was drawn from, and say which have labels."""
    whole = {"train": f" of {data.drawn_from:,}"} if data.drawn_from else {}
    rows = [
        {
            "split": name,
            "examples": f"{len(split):,}{whole.get(name, '')}",
            "labels": "yes" if split.labelled else "withheld",
        }
        for name, split in data.splits.items()
    ]
    return table(pd.DataFrame(rows))


def examples(data: Data, split: str = "train", rows: int = 5) -> HTML:
    """Show the first rows of a split."""
    return rows_table(text_samples.first_rows(data, split, rows))


def hardest(data: Data, logits: dict[str, np.ndarray], rows: int = 5) -> HTML:
    """Show the validation rows that the model is furthest off."""
    split = data.task.validation[0]
    return rows_table(text_samples.hardest_rows(data, split, logits[split], rows))


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
    counts = parameter_counts(classifier)
    counts["total"] = sum(counts.values())
    rows = {"part": list(counts), "parameters": [f"{count:,}" for count in counts.values()]}
    return table(pd.DataFrame(rows))


def score_table(scores: Scores) -> HTML:
    """Tabulate each metric beside its 95 % interval and its baseline."""
    rows = []
    for split, values in scores.metrics.items():
        for name, value in values.items():
            low, high = scores.interval[split][name]
            rows.append(
                {
                    "split": split.replace("_", " "),
                    "metric": METRIC_TITLES[name],
                    "value": f"{value:.3f}",
                    "95 % interval": f"{low:.3f} to {high:.3f}",
                    "baseline": f"{scores.baseline[split][name]:.3f}",
                }
            )
    return table(pd.DataFrame(rows))


def sample_predictions(task: Task, samples: list, logits: np.ndarray) -> HTML:
    """Show what the model says of sentences, with its probability where it chooses a label."""
    return rows_table(text_samples.sample_rows(task, samples, logits))


def same_predictions(first: np.ndarray, second: np.ndarray, tolerance: float = 1e-5) -> str:
    """Check that two sets of logits are equal up to rounding, and report the largest difference."""
    difference = float(np.abs(first - second).max())
    if not difference <= tolerance:
        raise AssertionError(f"the logits differ by {difference:.2g}, more than {tolerance:g}")
    return f"The saved model gives the same logits: the largest difference is {difference:.2g}."


def record_summary(path) -> HTML:
    """List what the run left, but for its notebook, which is still being written."""
    print(f"in {path.parent}:")
    names = sorted(file.name for file in path.parent.iterdir())
    return table(pd.DataFrame({"file": names, "bytes": [f"{(path.parent / n).stat().st_size:,}" for n in names]}))

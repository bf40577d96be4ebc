"""The page of this build: its scores, curves and errors, whatever its data are."""

from __future__ import annotations

import pandas as pd
from matplotlib.ticker import MaxNLocator

from bertglue.evaluation import metrics
from bertglue.evaluation.metrics import METRIC_TITLES
from bertglue.report import figures
from bertglue.report.pages.common import between, classified, joined, main_score_rows, row_title, score_rows
from bertglue.report.tables import LINE_BREAK, table
from bertglue.runs.collection import Runs
from bertglue.runs.text_samples import read_text_samples
from bertglue.tasks import TASKS


def findings(runs: Runs) -> str:
    """Describe which tasks of this build are above their baseline by more than the interval, and which are not."""
    if not runs:
        return "No run has finished."
    above, others = [], []
    for task, split, metric, run in main_score_rows(runs):
        low = run["interval"][split][metric][0]
        (above if low > run["baseline"][split][metric] else others).append(row_title(task, split))
    said = f"By the first metric of each, the interval lies above the baseline on {joined(above) or 'no task'}."
    return said + (f" It does not on {joined(others)}." if others else "")


def scores(runs: Runs):
    """Tabulate every metric of this build beside its interval and its baseline."""
    rows = []
    for task, split, metric, run in score_rows(runs):
        row = {"task": row_title(task, split), "metric": METRIC_TITLES[metric]}
        if run is None:
            rows.append({**row, "score": runs.missing(task.name)})
            continue
        rows.append(
            {
                **row,
                "score": f"{run['metrics'][split][metric]:.3f}",
                "95 % interval": between(*run["interval"][split][metric]),
                "baseline": f"{run['baseline'][split][metric]:.3f}",
                "examples": f"{run['examples'][split]:,}",
            }
        )
    return table(pd.DataFrame(rows))


def scores_figure(runs: Runs):
    """Draw the main metric of each task with its interval, and the baseline as a tick."""
    points = [
        (row_title(task, split), run["metrics"][split][metric], run["interval"][split][metric],
         run["baseline"][split][metric])
        for task, split, metric, run in main_score_rows(runs)
    ]  # fmt: skip
    return figures.score_points(points)


def learning_curves(runs: Runs):
    """Draw train and validation loss over the epochs, one panel a task."""

    def draw(axis, run):
        history, split = run["history"], TASKS[run["task"]].validation[0]
        for part, title, style in (("train", "train", "o-"), (split, "validation", "o--")):
            axis.plot([row["epoch"] for row in history], [row[part]["loss"] for row in history], style, label=title)
        axis.set(xlabel="epoch", ylabel="loss", ylim=(0, None))
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))

    return figures.small_multiples([(TASKS[name].title, run) for name, run in runs.items()], draw)


def training_curves(runs: Runs):
    """Draw loss and accuracy of the training steps within the epochs, one panel a task."""

    def draw(axis, run):
        steps = run["curve"][-1]["step"] / len(run["history"])
        for measure, style in (("loss", "-"), ("accuracy", "--")):
            points = [(point["step"] / steps, point[measure]) for point in run["curve"] if measure in point]
            if points:
                axis.plot(*zip(*points, strict=True), style, label=measure)
        axis.set(xlabel="epoch", ylabel="loss [nats]; accuracy", ylim=(0, None))

    return figures.small_multiples([(task.title, runs[name]) for name, task in TASKS.items() if name in runs], draw)


def confusion_matrices(runs: Runs):
    """Draw the confusion matrix of each task's validation split."""

    def draw(axis, task, split):
        figures.confusion(TASKS[task], *runs.labels_and_logits(task, split), axis)

    return figures.small_multiples(classified(runs), draw, columns=2, size=(3.6, 2.1), grid=False)


def reliability_diagrams(runs: Runs):
    """Draw the reliability diagram of each task's validation split."""

    def draw(axis, task, split):
        figures.reliability(metrics.reliability(*runs.labels_and_logits(task, split)), 1 / TASKS[task].outputs, axis)

    return figures.small_multiples(classified(runs), draw, size=(2.4, 2.2))


def hardest(runs: Runs, rows: int = 2):
    """List of each task the validation rows that its model is furthest off."""
    shown = []
    for name, task in TASKS.items():
        if name not in runs:
            continue
        for split, worst in read_text_samples(runs.folder(name), task).get("hardest", {}).items():
            for row in worst[:rows]:
                texts = LINE_BREAK.join(row[column] for column in task.columns)
                said = {key: row[key] for key in ("label", "prediction", "probability") if key in row}
                shown.append({"task": row_title(task, split), "text": texts, **said})
    return table(pd.DataFrame(shown), classes="texts")

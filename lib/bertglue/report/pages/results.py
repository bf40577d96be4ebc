"""The page of results: the main table, Table 1, the learning curves of figures 2 to 9, errors and calibration."""

from __future__ import annotations

import functools

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.ticker import MaxNLocator

from bertglue.encoder_names import BUNDLED
from bertglue.evaluation import aggregate
from bertglue.evaluation.metrics import METRIC_TITLES
from bertglue.evaluation.published_scores import (
    PAPER,
    PUBLISHED_NAMES,
    REFERENCE_IMPLEMENTATIONS,
    REPORT,
    TABLE_1_COLUMNS,
    find_published_score,
    published_interval,
    published_numbers,
)
from bertglue.report import figures, reference_runs
from bertglue.report.figures import FIGURE_STYLE, color, finish
from bertglue.report.pages.common import between, dashed, joined, row_title, score_rows
from bertglue.report.tables import LINE_BREAK, table
from bertglue.runs.collection import Runs
from bertglue.runs.text_samples import read_text_samples
from bertglue.tasks import AX, TASKS

PUBLISHED_LOGS = {"QNLI": "figure_10_qnli", "SST-2": "figure_12_sst2"}  # the curves that the report printed as logs


@functools.cache
def best_reference_runs() -> dict[str, list[dict]]:
    """Return {task: runs, one a seed} of the reference run, at each task's best learning rate."""
    runs = [run for run in reference_runs.read_reference_runs() if run["encoder"] == BUNDLED]
    return {name: aggregate.best_learning_rate(same) for (name,), same in aggregate.group_runs(runs, "task").items()}


def main_table(runs: Runs):
    """Tabulate what was printed, the reference run and this build side by side, each with its interval and baseline."""
    real = best_reference_runs()
    rows = []
    for task, split, metric, run in score_rows(runs):
        name = PUBLISHED_NAMES[task.name, split]
        row = {"task": f"{row_title(task, split)}{LINE_BREAK}{METRIC_TITLES[metric]}"}
        for who, where in {REPORT: "dev", **dict.fromkeys(REFERENCE_IMPLEMENTATIONS, "dev"), PAPER: "test"}.items():
            one = find_published_score(who, name, metric)
            row[f"{who}{LINE_BREAK}{where}"] = cell(one.value, published_interval(one)) if one else ""
        row[f"reference run{LINE_BREAK}GLUE dev"] = reference_cell(real.get(task.name), split, metric)
        if run is None:
            row[f"this build{LINE_BREAK}validation"] = runs.missing(task.name)
        else:
            row[f"this build{LINE_BREAK}validation"] = cell(
                run["metrics"][split][metric], run["interval"][split][metric], run["baseline"][split][metric]
            )
        rows.append(row)
    return table(pd.DataFrame(rows), classes="scores")


def reference_cell(same: list[dict] | None, split: str, metric: str) -> str:
    """Format the mean of the reference runs of a task, its interval over seeds and examples, and the baseline."""
    if not same or split not in same[0]["metrics"]:
        return ""
    mean, _ = aggregate.mean_and_error(same, split, metric)
    return cell(mean, aggregate.mean_interval(same, split, metric), same[0]["baseline"][split][metric])


def cell(value: float, bounds: tuple[float, float] | None, baseline: float | None = None) -> str:
    """Write a score, its interval below it, and the baseline below that."""
    lines = [f"{value:.3f}"]
    if bounds:
        lines.append(dashed(*bounds))
    if baseline is not None:
        lines.append(f"base {baseline:.3f}")
    return LINE_BREAK.join(lines)


def findings(runs: Runs) -> str:
    """Describe which tasks of this build are above their baseline by more than the interval, and which are not."""
    if not runs:
        return "No run has finished."
    above, others = [], []
    for task, split, metric, run in score_rows(runs):
        if run and metric == (AX if split == "ax" else task).metrics[0]:
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
        for task, split, metric, run in score_rows(runs)
        if run is not None and metric == (AX if split == "ax" else task).metrics[0]
    ]  # fmt: skip
    with plt.style.context(FIGURE_STYLE):
        figure, axes = plt.subplots(figsize=(7, 0.36 * len(points) + 0.9))
        for at, (_, value, (low, high), baseline) in enumerate(points):
            label = at == 0
            axes.plot([low, high], [at, at], color=color(0), label="95 % interval" if label else None)
            axes.plot(value, at, "o", color=color(0), label="score" if label else None)
            axes.plot(baseline, at, "|", color=color(1), markersize=14, mew=2, label="baseline" if label else None)
        axes.set_yticks(range(len(points)), [title for title, *_ in points])
        axes.invert_yaxis()
        axes.set(xlabel="main metric on the validation split", xlim=(min(0, *(p[2][0] for p in points), 0), 1.02))
        if points:
            axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.9 / (0.36 * len(points) + 0.9)), ncols=3)
    return finish(figure)


def table_1(runs: Runs):
    """Rebuild the report's Table 1 in percent, the published value in parentheses."""
    printed = published_numbers()["report"]["table_1"]
    rows = []
    for name in printed["rows"]:
        row = {"": name.replace("_", " ")}
        for title, (task, split) in TABLE_1_COLUMNS.items():
            value = table_1_value(runs.get(task), split, name)
            given = printed[title].get(name)
            ours = runs.missing(task) if task not in runs else "" if value is None else f"{100 * value:.1f}"
            row[title] = f"{ours} ({given})" if given is not None else ours
        rows.append(row)
    return table(pd.DataFrame(rows))


def table_1_value(run: dict | None, split: str, name: str) -> float | None:
    """Look up a row of Table 1: after the kept epoch, of train or of the column's validation split."""
    if run is None:
        return None
    row = run["history"][run["kept_epoch"] - 1]
    values = row[split] if name.startswith("validation_") else row["train"]
    return values.get(name.removeprefix("validation_").removeprefix("training_"))


def curves(runs: Runs, name: str):
    """Draw loss and metric over the epochs: this build, the reference run on real GLUE, and what was published.

    `name` is a column of the report's Table 1. Train is drawn solid, validation dashed.
    """
    task, split = TABLE_1_COLUMNS[name]
    metric = "f1" if "f1" in published_numbers()["report"]["table_1"][name] else "accuracy"
    lines = [
        *history_lines([runs[task]] if task in runs else [], split, "this build"),
        *history_lines(best_reference_runs().get(task, []), split, "reference run, GLUE"),
        *published_lines(name, metric),
    ]
    with plt.style.context(FIGURE_STYLE):
        figure, panels = plt.subplots(1, 2, figsize=(7, 2.8))
        for axes, measure in zip(panels, ("loss", metric), strict=True):
            for at, (who, part, points) in enumerate(lines):
                style = {"color": color(CURVE_SOURCES.index(who)), "linestyle": "-" if part == "train" else "--"}
                values = [(epoch, row[measure]) for epoch, row in points if row.get(measure) is not None]
                if values or measure == "loss":
                    label = f"{who}, {part}" if measure == "loss" else None
                    marker = "o" if who != CURVE_SOURCES[2] else ("s" if part == "train" else "D")
                    axes.plot(*np.array(values or np.empty((0, 2))).T, marker=marker, label=label, zorder=at, **style)
            axes.set(xlabel="epoch", ylabel=METRIC_TITLES[measure])
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        panels[0].set_ylim(0, None)
        figure.tight_layout()
        figure.legend(loc="upper center", bbox_to_anchor=(0.5, 0.0), ncols=3)
    return finish(figure)


CURVE_SOURCES = ("this build", "reference run, GLUE", "published")


def history_lines(same: list[dict], split: str, who: str):
    """Yield (who, part, [(epoch, values)]) of train and validation, the mean over the runs of several seeds."""
    for part, key in (("train", "train"), ("validation", split)):
        histories = [[row[key] for row in run["history"]] for run in same]
        points = [
            (epoch + 1, {name: np.mean([row[name] for row in rows]) for name in rows[0]})
            for epoch, rows in enumerate(zip(*histories, strict=False))
        ]
        if points:
            yield who, part, points


def published_lines(name: str, metric: str):
    """Yield the same of the report: its logs where it printed one, else the values after the last epoch in Table 1."""
    report = published_numbers()["report"]
    if name in PUBLISHED_LOGS:
        epochs = report["logs"][PUBLISHED_LOGS[name]]["epochs"]
        rows = {
            "train": [{"loss": row["loss"], "accuracy": row["accuracy"]} for row in epochs],
            "validation": [{"loss": row["val_loss"], "accuracy": row["val_accuracy"]} for row in epochs],
        }
        start = 1
    else:
        column, start = report["table_1"][name], report["recipe"]["epochs"]
        rows = {
            "train": [{"loss": column["training_loss"] / 100, metric: column[metric] / 100}],
            "validation": [{"loss": column["validation_loss"] / 100, metric: column[f"validation_{metric}"] / 100}],
        }
    for part, values in rows.items():
        yield "published", part, list(enumerate(values, start))


def classified(runs: Runs) -> list[tuple[str, str, str]]:
    """List (title, task, split) of the validation splits whose predictions are labels."""
    return [
        (row_title(task, split), task.name, split)
        for task in TASKS.values()
        for split in task.validation
        if task.name in runs and not task.regression
    ]


def confusion_matrices(runs: Runs):
    """Draw the confusion matrix of each task's validation split."""

    def draw(axis, task, split):
        figures.confusion(TASKS[task], *runs.labels_and_logits(task, split), axis)

    return figures.small_multiples(classified(runs), draw, columns=2, size=(3.6, 2.1), grid=False)


def reliability_diagrams(runs: Runs):
    """Draw the reliability diagram of each task's validation split."""

    def draw(axis, task, split):
        figures.reliability(*runs.labels_and_logits(task, split), axis)

    return figures.small_multiples(classified(runs), draw, size=(2.4, 2.2))


def calibration_curves(runs: Runs):
    """Draw validation loss (NLL), calibration error and the share of errors over the epochs, one panel a task."""

    def draw(axis, task, split):
        history = runs[task]["history"]
        epochs = [row["epoch"] for row in history]
        axis.plot(epochs, [row[split]["loss"] for row in history], "o-", label="NLL, nats")
        axis.plot(epochs, [row[split]["calibration_error"] for row in history], "s--", label="calibration error")
        axis.plot(epochs, [1 - row[split]["accuracy"] for row in history], "d:", label="error rate")
        axis.set(xlabel="epoch", ylim=(0, None))
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))

    return figures.small_multiples(classified(runs), draw)


def calibration_findings(runs: Runs) -> str:
    """Describe on which tasks validation loss rises while accuracy does not fall, which is over-confidence."""
    rising = []
    for title, task, split in classified(runs):
        losses = [row[split]["loss"] for row in runs[task]["history"]]
        best = int(np.argmin(losses))
        last, then = (runs[task]["history"][epoch][split] for epoch in (-1, best))
        if losses[-1] > losses[best] and last["accuracy"] >= then["accuracy"]:
            rising.append(
                f"{title} (loss {then['loss']:.3f} to {last['loss']:.3f}, accuracy {then['accuracy']:.3f} to "
                f"{last['accuracy']:.3f})"
            )
    if not rising:
        return "In this build no task has a validation loss that rises again while its accuracy holds."
    return (
        "A validation loss that rises again while accuracy holds is a model that grows more certain of its errors. "
        f"In this build that is so on {joined(rising)}."
    )


def training_curves(runs: Runs):
    """Draw loss and accuracy of the training steps within the epochs, one panel a task."""

    def draw(axis, run):
        steps = run["curve"][-1]["step"] / len(run["history"])
        for measure, style in (("loss", "-"), ("accuracy", "--")):
            points = [(point["step"] / steps, point[measure]) for point in run["curve"] if measure in point]
            if points:
                axis.plot(*zip(*points, strict=True), style, label=measure)
        axis.set(xlabel="epoch", ylim=(0, None))

    return figures.small_multiples([(task.title, runs[name]) for name, task in TASKS.items() if name in runs], draw)


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

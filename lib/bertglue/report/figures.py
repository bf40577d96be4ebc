"""The figures of a run, in one style (`figures.mplstyle`)."""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.ticker import MaxNLocator
from sklearn import metrics as sk

from bertglue.data.dataset import Data
from bertglue.errors import printable
from bertglue.evaluation import metrics
from bertglue.evaluation.metrics import METRIC_TITLES
from bertglue.tasks import Task

DESCRIPTION = "figure: "  # how the id of a figure begins, whose rest is its description
DESCRIPTION_LENGTH = 600
LABELS_SHOWN = 20  # of a task with more, the most frequent
PAIRS_SHOWN = 15  # of label and prediction, where there are more labels than a matrix can show
FIGURE_STYLE = Path(__file__).with_name("figures.mplstyle")


def draw_vectors() -> None:
    """Set notebooks to show figures as SVG, sharp on any screen and in print."""
    try:
        from IPython import get_ipython
        from matplotlib_inline.config import InlineBackend
    except ImportError:
        return
    if shell := get_ipython():
        InlineBackend.instance(parent=shell).figure_formats = {"svg"}


draw_vectors()


def split_title(split: str) -> str:
    return split.replace("_", " ")


def label_balance(data: Data):
    """Draw the share of each label (or the distribution of the score) in train and validation."""
    names = ["train", *data.task.validation]
    with plt.style.context(FIGURE_STYLE):
        figure, axes = plt.subplots()
        if data.task.regression:
            frame = pd.concat([pd.DataFrame({"score": data[n].labels, "split": n}) for n in names])
            sns.histplot(frame, x="score", hue="split", stat="density", common_norm=False, bins=10, ax=axes)
        else:
            shown = most_frequent(data["train"].labels, data.task.outputs)
            frame = pd.DataFrame(
                {
                    "split": split_title(n),
                    "label": plain(data.task.labels[i]),
                    "share": float(np.mean(data[n].labels == i)),
                }
                for n in names
                for i in shown
            )
            figure.set_figheight(max(figure.get_figheight(), 0.3 * len(shown)))
            sns.barplot(frame, x="share", y="label", hue="split", ax=axes)
            cut = f", the {len(shown)} most frequent of {data.task.outputs:,}" if len(shown) < data.task.outputs else ""
            axes.set(xlabel=f"share of the split{cut}", ylabel="", xlim=(0, 1) if len(shown) < 7 else None)
        axes.set_title(f"{data.task.title}: labels")
    return finish(figure)


def most_frequent(labels: np.ndarray, outputs: int) -> list[int]:
    """Return the labels that a figure shows: all in their order, or of many the most frequent."""
    if outputs <= LABELS_SHOWN:
        return list(range(outputs))
    return np.argsort(-np.bincount(labels, minlength=outputs), kind="stable")[:LABELS_SHOWN].tolist()


def score_points(points: list[tuple[str, float, tuple[float, float], float]]):
    """Draw (title, score, 95 % interval, baseline) one below the other, the baseline as a tick."""
    with plt.style.context(FIGURE_STYLE):
        figure, axes = plt.subplots(figsize=(7, 0.36 * len(points) + 0.9))
        for at, (_, value, (low, high), baseline) in enumerate(points):
            label = at == 0
            axes.plot([low, high], [at, at], color=color(0), label="95 % interval" if label else None)
            axes.plot(value, at, "o", color=color(0), label="score" if label else None)
            axes.plot(baseline, at, "|", color=color(1), markersize=14, mew=2, label="baseline" if label else None)
        said = [f"{title} {value:.3f} (baseline {baseline:.3f})" for title, value, _, baseline in points]
        axes.set_yticks(range(len(points)), [title for title, *_ in points])
        axes.invert_yaxis()
        axes.set(xlabel="score on the validation split", xlim=(min(0, *(p[2][0] for p in points), 0), 1.02))
        if points:
            axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.9 / (0.36 * len(points) + 0.9)), ncols=3)
    return finish(figure, f"score on the validation split: {', '.join(said)}")


def token_lengths(tokens: dict, max_length: int):
    """Draw how many tokens the rows of train have; the rest of each row is padding."""
    with plt.style.context(FIGURE_STYLE):
        figure, axes = plt.subplots(figsize=(7, 2.4))
        sns.histplot(x=tokens["train"].lengths, discrete=True, ax=axes)
        axes.axvline(max_length, color="0.3", linestyle="--", label=f"max_length {max_length}")
        axes.set(xlabel="tokens in a row of train", ylabel="rows")
        axes.legend()
    return finish(figure)


def learning_curves(task: Task, history: list[dict], baseline: dict):
    """Draw loss and main metric of train and validation over the epochs, the baseline as a dashed line."""
    name = task.metrics[0]
    with plt.style.context(FIGURE_STYLE):
        figure, panels = plt.subplots(1, 2)
        epochs = [row["epoch"] for row in history]
        for axes, metric in zip(panels, ("loss", name), strict=True):
            for split in ("train", *task.validation):
                if metric in history[0][split]:
                    axes.plot(epochs, [row[split][metric] for row in history], "o-", label=split_title(split))
            axes.set(xlabel="epoch", ylabel=METRIC_TITLES[metric])
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        panels[1].axhline(baseline[task.validation[0]][name], color="0.4", linestyle="--", label="baseline")
        panels[1].legend()
        figure.tight_layout()
    return finish(figure)


def plain(text: str) -> str:
    """Return a text as matplotlib is to draw it: two dollar signs are no formula."""
    return text.replace("$", r"\$")


def confusion(task: Task, labels: np.ndarray, logits: np.ndarray, axes=None):
    """Draw a confusion matrix: rows are labels, columns predictions, as shares of the label."""
    counts = sk.confusion_matrix(labels, metrics.predictions_of(task, logits), labels=range(task.outputs))
    return confusion_counts(task, counts, axes)


def confusion_counts(task: Task, counts: np.ndarray, axes=None):
    """Draw the same of counts [labels, predictions]."""
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    with plt.style.context([FIGURE_STYLE, {"axes.grid": False}]):
        size = (max(4.2, 0.62 * task.outputs + 1), max(2.8, 0.4 * task.outputs + 0.8))
        figure, axes = plt.subplots(figsize=size) if axes is None else (axes.figure, axes)
        names = [plain(label.replace("_", " ")) for label in task.labels]
        sns.heatmap(
            shares, annot=counts, fmt=",d", vmin=0, vmax=1, cmap="Blues", cbar=False, ax=axes,
            xticklabels=names, yticklabels=names, linewidths=1,
        )  # fmt: skip
        axes.set(xlabel="prediction", ylabel="label")
        axes.tick_params(length=0)
        axes.tick_params(axis="x", rotation=0 if task.outputs < 5 else 45)
        axes.tick_params(axis="y", rotation=0)
    return finish(figure)


def errors(task: Task, labels: np.ndarray, logits: np.ndarray):
    """Draw a confusion matrix, or the most frequent confusions of many labels; for a score, predicted against true."""
    if task.outputs > LABELS_SHOWN:
        return frequent_confusions(task, labels, logits)
    if not task.regression:
        return confusion(task, labels, logits)
    ends = [min(labels.min(), 0), labels.max()] if task.own else [0, 5]
    with plt.style.context(FIGURE_STYLE):
        figure, axes = plt.subplots(figsize=(4, 3.4))
        axes.plot(ends, ends, color="0.4", linestyle="--")
        axes.plot(labels, logits[:, 0], ".", alpha=0.4)
        axes.set(xlabel="score", ylabel="prediction")
    return finish(figure)


def frequent_confusions(task: Task, labels: np.ndarray, logits: np.ndarray):
    """Draw how often a label was taken for another one, the most frequent pairs of them."""
    predicted = metrics.predictions_of(task, logits)
    wrong = predicted != labels
    pairs, counts = np.unique(np.stack([labels[wrong], predicted[wrong]], axis=1), axis=0, return_counts=True)
    most = np.argsort(-counts, kind="stable")[:PAIRS_SHOWN]
    with plt.style.context(FIGURE_STYLE):
        figure, axes = plt.subplots(figsize=(7, 0.3 * max(1, len(most)) + 0.9))
        names = [plain(f"{task.labels[label]} taken for {task.labels[other]}") for label, other in pairs[most]]
        axes.barh(names, counts[most])
        axes.invert_yaxis()
        axes.set(xlabel=f"rows, of {int(wrong.sum()):,} that are wrong")
    return finish(figure)


def reliability(bins: np.ndarray, least: float, axes) -> None:
    """Draw a reliability diagram: accuracy against confidence; on the diagonal a model is calibrated.

    Args:
        bins: [bins, 3] as of `metrics.reliability`.
        least: the confidence that a prediction has at least, 1 over the number of labels.
    """
    number, confidence, right = bins.T
    axes.plot([least, 1], [least, 1], color="0.4", linestyle="--")
    axes.plot(confidence, right, color=color(0), linewidth=1)
    axes.scatter(confidence, right, s=6 + 150 * number / number.sum(), color=color(0), alpha=0.8, clip_on=False)
    axes.set(xlabel="confidence", ylabel="accuracy", xlim=(least - 0.02, 1.02), ylim=(-0.03, 1.03))
    said = f"ECE {metrics.error_of_bins(bins):.3f}"
    axes.text(0.97, 0.06, said, transform=axes.transAxes, ha="right")


def training_curve(task: Task, curve: list[dict], history: list[dict]):
    """Draw the loss of the training steps within the epochs, with the validation loss at their ends."""
    steps = curve[-1]["step"] // len(history)
    with plt.style.context(FIGURE_STYLE):
        figure, axes = plt.subplots(figsize=(7, 2.6))
        axes.plot(
            [point["step"] / steps for point in curve],
            [point["loss"] for point in curve],
            label="train, a tenth of an epoch",
        )
        for split in task.validation:
            axes.plot(
                [row["epoch"] for row in history],
                [row[split]["loss"] for row in history],
                "o--",
                label=split_title(split),
            )
        axes.set(xlabel="epoch", ylabel="loss", ylim=(0, None))
        axes.legend()
    return finish(figure)


def small_multiples(
    shown: list[tuple], draw, *, columns: int = 3, size=(2.4, 2.0), grid: bool = True, legend_columns: int = 6
):
    """Draw a small panel for each of `shown`, (title, what to draw), and one legend for all of them.

    `draw` is called with the axes and what is to be drawn on them; `size` is that of a panel, in inches.
    """
    columns = min(columns, max(1, len(shown)))
    rows = max(1, -(-len(shown) // columns))
    with plt.style.context([FIGURE_STYLE, {"font.size": 8, "axes.grid": grid}]):
        figure, axes = plt.subplots(rows, columns, figsize=(size[0] * columns, size[1] * rows), squeeze=False)
        for axis in axes.flat[len(shown) :]:
            axis.set_axis_off()
        for axis, (title, *what) in zip(axes.flat, shown, strict=False):
            draw(axis, *what)
            axis.set_title(title)
        figure.tight_layout()
        handles, labels = axes.flat[0].get_legend_handles_labels()
        if handles:
            figure.legend(
                handles, labels, loc="upper center", bbox_to_anchor=(0.5, 0), ncols=min(len(handles), legend_columns)
            )
    return finish(figure)


def pretraining_curves(history: list[dict]):
    """Draw the loss in training and on held-out text, and the accuracy on masked tokens and next sentences."""
    steps = [row["step"] for row in history]
    with plt.style.context(FIGURE_STYLE):
        figure, (loss, found) = plt.subplots(1, 2, figsize=(7, 4))
        for part, title in (("train", "train"), ("held_out", "held out")):
            loss.plot(steps, [row[part]["loss"] for row in history], label=title)
        for name, title in (("words_accuracy", "masked tokens"), ("follows_accuracy", "next sentences")):
            found.plot(steps, [row["held_out"][name] for row in history], label=title)
        found.axhline(0.5, color="0.4", linestyle="--", label="next sentences, by chance")
        loss.set(xlabel="step", ylabel="loss", title="Loss of both tasks")
        found.set(xlabel="step", ylabel="accuracy", title="Held-out text", ylim=(0, 1))
        for axes in (loss, found):
            axes.xaxis.set_major_locator(MaxNLocator(4))
            axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2))
        figure.tight_layout()
    return finish(figure)


def color(index: int) -> str:
    """Return a color of the style in use; "C0" would be looked up when the figure is drawn, without the style."""
    return plt.rcParams["axes.prop_cycle"].by_key()["color"][index]


def finish(figure, said: str = ""):
    """Hand a figure to the notebook once: as the value of its cell, with a description for its alternative text.

    The description is what is `said`, or else what `describe` reads from the figure.
    """
    figure.set_gid(f"{DESCRIPTION}{shortened(said) if said else describe(figure)}")
    plt.close(figure)
    return figure


def describe(figure) -> str:
    """Describe in words what a figure shows: of each panel its title and axes, and the ends of each line."""
    parts = []
    for axes in (one for one in figure.axes if one.has_data()):
        name = " ".join(filter(None, (axes.get_title(), axes.get_ylabel()))) or "panel"
        over = f" over {axes.get_xlabel()}" if axes.get_xlabel() else ""
        lines = [said_of_line(line) for line in axes.get_lines() if not line.get_label().startswith("_")]
        parts.append(f"{name}{over}" + (f": {', '.join(filter(None, lines))}" if any(lines) else ""))
    return shortened("; ".join(parts))


def shortened(said: str) -> str:
    """Return a description of printable characters, cut between words where it is too long."""
    words = printable(said)
    return words if len(words) <= DESCRIPTION_LENGTH else f"{words[:DESCRIPTION_LENGTH].rpartition(' ')[0]} ..."


def said_of_line(line) -> str:
    """Describe a line by its label, its first value and its last."""
    values = np.ma.masked_invalid(np.asarray(line.get_ydata(), dtype=float)).compressed()
    if not values.size:
        return ""
    first, last = (f"{value:.3g}" for value in (values[0], values[-1]))
    return f"{line.get_label()} {first}" + (f" to {last}" if values.size > 1 else "")

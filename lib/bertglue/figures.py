"""The figures of a run, in one style (`bertglue.mplstyle`)."""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.ticker import MaxNLocator

from bertglue.metrics import TITLES
from bertglue.sources.data import Data
from bertglue.tasks import Task

STYLE = Path(__file__).with_name("bertglue.mplstyle")


def split_title(split: str) -> str:
    return split.replace("_", " ")


def label_balance(data: Data):
    """Draw the share of each label (or the distribution of the score) in train and validation."""
    names = ["train", *data.task.validation]
    with plt.style.context(STYLE):
        figure, axes = plt.subplots()
        if data.task.regression:
            frame = pd.concat([pd.DataFrame({"score": data[n].labels, "split": n}) for n in names])
            sns.histplot(frame, x="score", hue="split", stat="density", common_norm=False, bins=10, ax=axes)
        else:
            frame = pd.DataFrame(
                {"split": split_title(n), "label": label, "share": float(np.mean(data[n].labels == i))}
                for n in names
                for i, label in enumerate(data.task.labels)
            )
            sns.barplot(frame, x="share", y="label", hue="split", ax=axes)
            axes.set(xlabel="share of the split", ylabel="", xlim=(0, 1))
        axes.set_title(f"{data.task.title}: labels")
    return finish(figure)


def token_lengths(tokens: dict, max_length: int):
    """Draw how many tokens the rows of train have; the rest of each row is padding."""
    with plt.style.context(STYLE):
        figure, axes = plt.subplots(figsize=(7, 2.4))
        sns.histplot(x=tokens["train"].lengths, discrete=True, ax=axes)
        axes.axvline(max_length, color="0.3", linestyle="--", label=f"max_length {max_length}")
        axes.set(xlabel="tokens in a row of train", ylabel="rows")
        axes.legend()
    return finish(figure)


def learning_curves(task: Task, history: list[dict], baseline: dict):
    """Draw loss and main metric of train and validation over the epochs, the baseline as a dashed line."""
    name = task.metrics[0]
    with plt.style.context(STYLE):
        figure, panels = plt.subplots(1, 2)
        epochs = [row["epoch"] for row in history]
        for axes, metric in zip(panels, ("loss", name), strict=True):
            for split in ("train", *task.validation):
                if metric in history[0][split]:
                    axes.plot(epochs, [row[split][metric] for row in history], "o-", label=split_title(split))
            axes.set(xlabel="epoch", ylabel=TITLES[metric])
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        panels[1].axhline(baseline[task.validation[0]][name], color="0.4", linestyle="--", label="baseline")
        panels[1].legend()
        figure.tight_layout()
    return finish(figure)


def pretraining_curves(history: list[dict]):
    """Draw the loss in training and on held-out text, and how many masked words and next sentences are found."""
    steps = [row["step"] for row in history]
    with plt.style.context(STYLE):
        figure, (loss, found) = plt.subplots(1, 2, figsize=(7, 4))
        for part, title in (("train", "train"), ("held_out", "held out")):
            loss.plot(steps, [row[part]["loss"] for row in history], label=title)
        for name, title in (("words_accuracy", "masked words"), ("follows_accuracy", "next sentences")):
            found.plot(steps, [row["held_out"][name] for row in history], label=title)
        found.axhline(0.5, color="0.4", linestyle="--", label="next sentences by chance")
        loss.set(xlabel="step", ylabel="loss", title="Loss of both tasks")
        found.set(xlabel="step", ylabel="share found", title="Held-out text", ylim=(0, 1))
        for axes in (loss, found):
            axes.xaxis.set_major_locator(MaxNLocator(4))
            axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2))
        figure.tight_layout()
    return finish(figure)


def color(index: int) -> str:
    """Give a color of the style in use; "C0" would be looked up when the figure is drawn, without the style."""
    return plt.rcParams["axes.prop_cycle"].by_key()["color"][index]


def finish(figure):
    """Hand a figure to the notebook once: as the value of its cell."""
    plt.close(figure)
    return figure

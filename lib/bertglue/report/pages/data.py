"""The page on the tasks and their data: sizes, labels, lengths and examples, from the runs' own data; figure 1."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.patches import FancyArrowPatch

from bertglue.errors import printable
from bertglue.evaluation.metrics import METRIC_TITLES
from bertglue.evaluation.published_scores import PUBLISHED_NAMES, published_numbers
from bertglue.report.escaping import escape_line
from bertglue.report.figures import FIGURE_STYLE, color, finish, small_multiples, split_title
from bertglue.report.pages.common import count_rows, is_glue, real_runs, who_ran
from bertglue.report.tables import LINE_BREAK, rows_table, table
from bertglue.runs.collection import Runs
from bertglue.runs.text_samples import read_text_samples
from bertglue.tasks import TASKS

TASK_QUESTIONS = {  # what a model is asked, and where GLUE took the texts from
    "cola": ("is the sentence grammatical?", "linguistics publications"),
    "sst2": ("is the phrase positive?", "film reviews"),
    "mrpc": ("do both sentences mean the same?", "news"),
    "stsb": ("how alike are the sentences, 0 to 5?", "news, captions, forums"),
    "qqp": ("do both questions ask the same?", "Quora"),
    "mnli": ("does the premise entail the hypothesis?", "ten genres of text and talk"),
    "qnli": ("does the sentence hold the answer?", "Wikipedia, from SQuAD"),
    "rte": ("does the text entail the hypothesis?", "news and Wikipedia"),
    "wnli": ("does the pronoun stand for this?", "Winograd schemas"),
}
LABEL_CHARACTERS = 30  # of a label in a bar
DIAGRAM_WORDS = ("the", "cat", "sat", "on", "it")


def overview(runs: Runs):
    """List the tasks: what is asked, of what text, by which metrics, and how many examples GLUE and the runs have."""
    rows, who, runs = [], who_ran(runs), real_runs(runs)
    for name, task in TASKS.items():
        asked, text = TASK_QUESTIONS[name]
        official = published_numbers()["glue_examples"][PUBLISHED_NAMES[name, task.validation[0]]]
        run = runs.get(name)
        ours = [count_rows(run, split) for split in ("train", task.validation[0])] if run else None
        rows.append(
            {
                "task": task.title,
                "asked": asked,
                "texts in GLUE": text,
                "metrics": LINE_BREAK.join(METRIC_TITLES[metric] for metric in task.metrics),
                "GLUE's train, validation, test": LINE_BREAK.join(f"{count:,}" for count in official),
                f"{who}: train, validation": LINE_BREAK.join(ours) if ours else runs.missing(name),
            }
        )
    return table(pd.DataFrame(rows), classes="scores")


def facts(runs: Runs, name: str):
    """List the splits of a task as the run had them: rows, GLUE's rows, shares of labels, tokens a row."""
    runs = real_runs(runs)
    task, run = TASKS[name], runs.get(name)
    if run is None:
        return rows_table([{"split": runs.missing(name)}])
    rows = []
    for split, lengths in run["lengths"].items():
        labels = run["labels"].get(split, {})
        total = sum(labels.values())
        rows.append(
            {
                "split": split_title(split),
                "rows": count_rows(run, split),
                "GLUE's": official_count(task, split),
                "labels": ", ".join(f"{label}: {count / total:.1%}" for label, count in labels.items()) or "withheld",
                "tokens, median": f"{lengths['median']:.0f}",
                "95 %": f"{lengths['p95']:.0f}",
                "longest": lengths["longest"],
            }
        )
    return table(pd.DataFrame(rows))


def official_count(task, split: str) -> str:
    """Return how many rows a split of GLUE has."""
    part, _, kind = split.partition("_")
    if split == "ax":
        part, place = "test", ("mnli", "ax")
    else:
        place = (task.name, f"validation_{kind}" if kind else task.validation[0])
    if part not in ("train", "validation", "test") or place not in PUBLISHED_NAMES:
        return ""
    return (
        f"{published_numbers()['glue_examples'][PUBLISHED_NAMES[place]][('train', 'validation', 'test').index(part)]:,}"
    )


def majority(runs: Runs, name: str) -> str:
    """Describe the majority-class baseline on validation."""
    runs = real_runs(runs)
    task, run = TASKS[name], runs.get(name)
    if run is None:
        return f"{task.title} has no finished run here ({runs.missing(name)})."
    labels = run["labels"]["train"]
    most = max(labels, key=labels.get)
    scored = ", ".join(f"{METRIC_TITLES[k]} {v:.3f}" for k, v in run["baseline"][task.validation[0]].items())
    if task.regression:
        return f"Always giving train's mean scores {scored} on validation: it orders nothing."
    share = labels[most] / sum(labels.values())
    return (
        f"The commonest label of train is *{escape_line(most)}*, {share:.1%}; always giving it scores {scored} on "
        "validation."
    )


def examples(runs: Runs, name: str, split: str = "train"):
    """Show the first rows of a split of this build, generated ones titled as such: no text of GLUE is kept here."""
    title = "examples" if is_glue(runs) else "generated examples"
    if name not in runs:
        return rows_table([{title: runs.missing(name)}])
    rows = read_text_samples(runs.folder(name), TASKS[name]).get("first", {}).get(split, [])
    if not is_glue(runs):
        rows = [{f"{key} (generated)" if key in TASKS[name].columns else key: row[key] for key in row} for row in rows]
    return rows_table(rows or [{title: "this run kept none"}])


def label_balance(runs: Runs):
    """Draw the shares of the labels of train and validation as one bar each, for every task."""
    bars = [
        (f"{TASKS[name].title}, {split_title(split)}", list(run["labels"][split].items()))
        for name, run in ordered(real_runs(runs))
        for split in ("train", *TASKS[name].validation)
    ]
    with plt.style.context(FIGURE_STYLE):
        figure, axes = plt.subplots(figsize=(7, 0.3 * len(bars) + 0.8))
        shades = sns.color_palette("colorblind", 6)
        for at, (_, labels) in enumerate(bars):
            total, left = sum(count for _, count in labels), 0.0
            for index, (label, count) in enumerate(labels):
                share = count / total
                axes.barh(at, share, left=left, color=shades[index], alpha=0.55, edgecolor="white")
                if share > 0.12:
                    said = printable(label.replace("_", " "))[:LABEL_CHARACTERS]
                    axes.text(left + share / 2, at, said, ha="center", va="center", fontsize=7, parse_math=False)
                left += share
        axes.set_yticks(range(len(bars)), [title for title, _ in bars], fontsize=8)
        axes.grid(False)
        axes.invert_yaxis()
        axes.set(xlabel="share of the split", xlim=(0, 1))
    return finish(figure)


def length_distributions(runs: Runs):
    """Draw how many tokens the rows of each train split have, with the length that rows are truncated to."""

    def draw(axis, run):
        lengths = run["lengths"]["train"]
        edges = lengths["width"] * np.arange(len(lengths["histogram"]) + 1)
        axis.stairs(np.array(lengths["histogram"]) / sum(lengths["histogram"]), edges, fill=True, alpha=0.6)
        axis.axvline(run["max_length"], color="0.3", linestyle="--", linewidth=1)
        axis.set(xlabel="tokens", ylabel="share of rows")

    return small_multiples([(TASKS[name].title, run) for name, run in ordered(real_runs(runs))], draw, size=(2.4, 1.7))


def ordered(runs: Runs) -> list[tuple[str, dict]]:
    return [(name, runs[name]) for name in TASKS if name in runs]


def directions():
    """Draw figure 1: which words a word's vector is made from, read in one direction and in both."""
    with plt.style.context([FIGURE_STYLE, {"axes.grid": False}]):
        figure, axes = plt.subplots(1, 2, figsize=(7, 2.6))
        titles = ("Unidirectional: a word sees what came before it", "Bidirectional: a word sees all the others")
        for axis, title, both in zip(axes, titles, (False, True), strict=True):
            for to in range(len(DIAGRAM_WORDS)):
                for source in range(len(DIAGRAM_WORDS) if both else to + 1):
                    arrow = FancyArrowPatch(
                        (source, 0.16), (to, 0.84), arrowstyle="-|>", mutation_scale=7, linewidth=0.9,
                        color=color(0) if source <= to else color(3), shrinkA=0, shrinkB=0,
                    )  # fmt: skip
                    axis.add_patch(arrow)
                for y, text in ((0, DIAGRAM_WORDS[to]), (1, f"$h_{to + 1}$")):
                    axis.text(
                        to, y, text, ha="center", va="center", bbox={"boxstyle": "round", "fc": "white", "ec": "0.6"}
                    )
            axis.set(xlim=(-0.6, len(DIAGRAM_WORDS) - 0.4), ylim=(-0.25, 1.25))
            axis.set_title(title, fontsize=9)
            axis.set_axis_off()
        figure.tight_layout()
    return finish(figure)

"""Scores by the number of rows of train, in the reference run: a published encoder, the bundled one, random weights."""

from __future__ import annotations

from itertools import chain

import pandas as pd

from bertglue.evaluation.metrics import METRIC_TITLES
from bertglue.report.figures import color, small_multiples
from bertglue.report.pages.common import joined
from bertglue.report.reference_runs import BUNDLED_TITLE, FINAL, MINILM, read_reference_runs
from bertglue.tasks import TASKS

UNTRAINED = "MiniLM's sizes, randomly initialized"
STAGES = {  # of the reference run: with some rows of train, and with all
    MINILM: ("rows-minilm", FINAL),
    BUNDLED_TITLE: ("rows-bundled",),
    UNTRAINED: ("rows-random", "random"),
}
COLUMNS = ["task", "encoder", "rows", "score", "low", "high", "baseline"]


def points() -> pd.DataFrame:
    """Return a row for each run with a part of train, and with all of it of the same tasks; in order of rows.

    Its columns are the task, the encoder, the rows of train, GLUE's first metric on the first development split with
    its 95 % interval, and the baseline.
    """
    runs = {encoder: [read_reference_runs(stage) for stage in stages] for encoder, stages in STAGES.items()}
    parts = {run["task"] for by_part, *_ in runs.values() for run in by_part}
    found = [
        (run["task"], encoder, run["examples"]["train"], *scores_of(run))
        for encoder, stages in runs.items()
        for run in chain(*stages)
        if run["seed"] == 0 and run["task"] in parts
    ]
    frame = pd.DataFrame(found, columns=COLUMNS)
    return frame.sort_values("rows", kind="stable")


def scores_of(run: dict) -> tuple[float, float, float, float]:
    """Return the score by which a task is known, its interval and its baseline."""
    task = TASKS[run["task"]]
    split, metric = task.validation[0], task.metrics[0]
    return run["metrics"][split][metric], *run["interval"][split][metric], run["baseline"][split][metric]


def by_rows(frame: pd.DataFrame):
    """Draw the scores over the rows of train, a panel a task and a line an encoder, with intervals and baseline."""

    def draw(axis, found):
        for at, encoder in enumerate(STAGES):
            one = found[found["encoder"] == encoder]
            errors = [one["score"] - one["low"], one["high"] - one["score"]]
            axis.errorbar(one["rows"], one["score"], yerr=errors, fmt="osD"[at] + "-", color=color(at), markersize=3)
            axis.plot([], [], "osD"[at] + "-", color=color(at), markersize=3, label=encoder)
        axis.axhline(found["baseline"].iloc[0], color="0.4", linestyle="--", label="baseline")
        task = TASKS[found["task"].iloc[0]]
        axis.set(xscale="log", xlabel="rows of train", ylabel=METRIC_TITLES[task.metrics[0]])

    shown = [(TASKS[name].title, found) for name, found in frame.groupby("task", sort=False)]
    return small_multiples(shown, draw, size=(2.6, 2.4), legend_columns=2) if shown else None


def findings(frame: pd.DataFrame) -> str:
    """Compare MiniLM on the fewest rows with the other encoders on the most, task by task, as Markdown."""
    said = []
    for name, found in frame.groupby("task", sort=False):
        last = {encoder: one.iloc[-1] for encoder, one in found.groupby("encoder")}
        few = found[found["encoder"] == MINILM]
        if few.empty or len(last) < 2:
            continue
        first = few.iloc[0]
        others = [(encoder, last[encoder]) for encoder in STAGES if encoder in last and encoder != MINILM]
        words = [
            f"{encoder} with {one['rows']:,} rows {one['score']:.3f} ({compared(first, one)})"
            for encoder, one in others
        ]
        start = f"{MINILM} with {first['rows']:,} rows reaches {first['score']:.3f}"
        said.append(f"- {TASKS[name].title}: {start}; {joined(words)}.")
    return "\n".join(said) or "No run with a part of train is kept yet."


def compared(one: pd.Series, other: pd.Series) -> str:
    """Return whether another score's interval lies below, above or across the interval of a score."""
    if other["high"] < one["low"]:
        return "below"
    return "above" if other["low"] > one["high"] else "no clear difference"

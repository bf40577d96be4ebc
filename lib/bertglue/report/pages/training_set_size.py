"""Scores by the number of rows of train, in the reference run: a published encoder, the bundled one, random weights."""

from __future__ import annotations

from itertools import chain

import pandas as pd

from bertglue.evaluation.metrics import METRIC_TITLES
from bertglue.report.figures import color, small_multiples
from bertglue.report.pages.common import joined, precisions_said
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


def findings(statistics: dict) -> str:
    """Compare MiniLM on the fewest rows with the other encoders on the most, task by task, as Markdown.

    `statistics` are those of the reference run, {task: {rows: paired comparisons}}.
    """
    titles = {part: encoder for encoder, (part, *_) in STAGES.items()}
    said = []
    for name, found in statistics.items():
        if not (compared := found["rows"]):
            continue
        words = [
            f"{one['gain']:+.3f} ({one['low']:+.3f} to {one['high']:+.3f}) over the {titles[one['stage']]} on "
            f"{one['rows'][0]:,} rows".replace("the MiniLM's", "MiniLM's")
            for one in compared
        ]
        first = compared[0]
        said.append(
            f"- {TASKS[name].title}: {MINILM} on {first['rows'][1]:,} rows reaches {first['second']:.3f}, "
            f"{joined(words)}."
        )
    runs = [run for stages in STAGES.values() for stage in stages for run in read_reference_runs(stage)]
    shown = {name: [run for run in runs if run["task"] == name] for name, found in statistics.items() if found["rows"]}
    precisions = precisions_said(shown)
    return "\n".join([*said, *(["", precisions] if precisions else [])]) or "No run with a part of train is kept yet."

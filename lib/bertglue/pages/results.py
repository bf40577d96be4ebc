"""The aggregating pages: tables and figures over the records of all runs."""

from __future__ import annotations

import functools
import html
import importlib.resources

import matplotlib.pyplot as plt
import pandas as pd
import yaml
from IPython.display import HTML

from bertglue.figures import STYLE, color, finish, split_title
from bertglue.metrics import TITLES
from bertglue.records import read_results
from bertglue.report import table
from bertglue.sources.data import HELD_OUT
from bertglue.tasks import AX, TASKS, Task

NOT_RUN = "not run"
# the report's name of a column, our task and its validation split
COLUMNS = {
    "CoLA": ("cola", "validation"),
    "SST-2": ("sst2", "validation"),
    "MRPC": ("mrpc", "validation"),
    "QQP": ("qqp", "validation"),
    "MNLI-m": ("mnli", "validation_matched"),
    "MNLI-mm": ("mnli", "validation_mismatched"),
    "QNLI": ("qnli", "validation"),
    "RTE": ("rte", "validation"),
}


@functools.cache
def published() -> dict:
    """Read every number that the report and the BERT paper printed."""
    return yaml.safe_load(importlib.resources.files("bertglue").joinpath("published.yaml").read_text())


def load(path: str) -> dict[str, dict]:
    """Read `results.json` as {task: record}; of several runs of a task, the first."""
    return {record["task"]: record for record in reversed(read_results(path))}


def banner(runs: dict) -> HTML:
    """Say what data these results are of."""
    sources = sorted({run["source"] for run in runs.values()})
    encoders = ", ".join(sorted({html.escape(run["encoder"]) for run in runs.values()}))
    said = f"Source of the examples: {', '.join(sources)}."
    if "embedded" in sources:
        said += (
            " The embedded source is a generated small world in the format of GLUE. It is <strong>not GLUE</strong>:"
            " a score here says nothing about the benchmark, and a published value beside it is there for the shape."
        )
    return HTML(
        f'<div class="admonition important"><p class="admonition-title">What was run</p>'
        f"<p>{said} Encoder: {encoders}.</p></div>"
    )


def score_rows(runs: dict):
    """Give (task, split, metric, record) of every score, AX behind MNLI."""
    for task in TASKS.values():
        run = runs.get(task.name)
        splits = [split for split in run["metrics"] if split != HELD_OUT] if run else task.validation
        for split in splits:
            for metric in (AX if split == "ax" else task).metrics:
                yield task, split, metric, run


def row_title(task: Task, split: str) -> str:
    if split == "ax":
        return AX.title
    return f"{task.title}, {split_title(split).removeprefix('validation ')}" if "_" in split else task.title


def scores(runs: dict):
    """Set every metric beside its interval and its baseline."""
    rows = []
    for task, split, metric, run in score_rows(runs):
        row = {"task": row_title(task, split), "metric": TITLES[metric]}
        if run is None:
            rows.append({**row, "score": NOT_RUN})
            continue
        low, high = run["interval"][split][metric]
        rows.append(
            {
                **row,
                "score": f"{run['metrics'][split][metric]:.3f}",
                "95 % interval": f"{low:.3f} to {high:.3f}",
                "baseline": f"{run['baseline'][split][metric]:.3f}",
                "examples": f"{run['examples'][split]:,}",
            }
        )
    return table(pd.DataFrame(rows))


def scores_figure(runs: dict):
    """Draw the main metric of each task with its interval, and the baseline as a tick."""
    points = [
        (row_title(task, split), run["metrics"][split][metric], run["interval"][split][metric],
         run["baseline"][split][metric])
        for task, split, metric, run in score_rows(runs)
        if run is not None and metric == (AX if split == "ax" else task).metrics[0]
    ]  # fmt: skip
    with plt.style.context(STYLE):
        figure, axes = plt.subplots(figsize=(7, 0.36 * len(points) + 0.9))
        for at, (_, score, (low, high), baseline) in enumerate(points):
            label = at == 0
            axes.plot([low, high], [at, at], color=color(0), label="95 % interval" if label else None)
            axes.plot(score, at, "o", color=color(0), label="score" if label else None)
            axes.plot(baseline, at, "|", color=color(1), markersize=14, mew=2, label="baseline" if label else None)
        axes.set_yticks(range(len(points)), [title for title, *_ in points])
        axes.invert_yaxis()
        axes.set(xlabel="main metric on the validation split", xlim=(min(0, *(p[2][0] for p in points), 0), 1.02))
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.9 / (0.36 * len(points) + 0.9)), ncols=3)
    return finish(figure)


def table_1(runs: dict):
    """Rebuild the report's Table 1 in percent, the published value in parentheses."""
    printed = published()["report"]["table_1"]
    rows = []
    for name in printed["rows"]:
        row = {"": name.replace("_", " ")}
        for title, (task, split) in COLUMNS.items():
            value = table_1_value(runs.get(task), split, name)
            given = printed[title].get(name)
            ours = NOT_RUN if task not in runs else "" if value is None else f"{100 * value:.1f}"
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


def table_2(runs: dict):
    """Rebuild the report's Table 2 in seconds, for every task; the published epoch in its own column."""
    printed = published()["report"]["table_2"]
    rows = []
    for task in TASKS.values():
        row = {"task": task.title}
        given = printed.get(task.title, {}).get("first_epoch")
        run = runs.get(task.name)
        if run is None:
            rows.append({**row, "train examples": NOT_RUN, "published first epoch": given})
            continue
        time = run["timing"]
        rows.append(
            {
                **row,
                "train examples": f"{run['examples']['train']:,}",
                "first epoch": f"{time['first_epoch']:.1f}",
                "steady epoch": f"{time['steady_epoch']:.1f}",
                "train examples/s": f"{time['train_examples_per_second']:.0f}",
                "validation": f"{time['evaluate']:.1f}",
                "validation examples/s": f"{time['evaluate_examples_per_second']:.0f}",
                "published first epoch": given,
            }
        )
    frame = pd.DataFrame(rows)
    frame["published first epoch"] = ["" if pd.isna(v) else f"{v:.0f}" for v in frame["published first epoch"]]
    return table(frame)


def status(runs: dict):
    """List every run: whether it finished, when, on what, how long it took and how much memory."""
    rows = []
    for task in TASKS.values():
        run = runs.get(task.name)
        if run is None:
            rows.append({"task": task.title, "status": NOT_RUN})
            continue
        environment = run["environment"]
        rows.append(
            {
                "task": task.title,
                "status": "finished",
                "at (UTC)": run["finished"].replace("T", " ").removesuffix("Z"),
                "notebook, s": f"{environment['seconds']:.0f}",
                "memory, MB": f"{environment['peak_memory_mb']:,}",
                "device": f"{environment['device']}, {run['backend']}",
                "machine": environment["machine"],
                "seed": run["seed"],
                "commit": environment["commit"] or "",
            }
        )
    return table(pd.DataFrame(rows))


def devices(runs: dict):
    """List what each run trained on, the seconds of a steady epoch, and examples a second."""
    rows = [
        {
            "task": TASKS[name].title,
            "device": f"{run['environment']['device']}, {run['backend']}",
            "machine": run["environment"]["machine"],
            "epoch, s": f"{run['timing']['steady_epoch']:.1f}",
            "trained/s": f"{run['timing']['train_examples_per_second']:,.0f}",
            "predicted/s": f"{run['timing']['evaluate_examples_per_second']:,.0f}",
        }
        for name in TASKS
        if (run := runs.get(name))
    ]
    return table(pd.DataFrame(rows))


def versions(runs: dict):
    """List the versions of Python and of the packages, and the tasks that ran with each."""
    used: dict[tuple[str, str], list[str]] = {}
    for name, run in runs.items():
        for package, version in run["environment"]["versions"].items():
            used.setdefault((package, version), []).append(TASKS[name].title)
    rows = [
        {
            "package": package,
            "version": version,
            "runs": "all" if len(tasks) == len(runs) else ", ".join(tasks),
        }
        for (package, version), tasks in used.items()
    ]
    return table(pd.DataFrame(rows))

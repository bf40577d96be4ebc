"""The page on viability: Table 2, the training logs of figures 10, 12 and 14, the samples of 11, 13 and 15."""

from __future__ import annotations

import numpy as np
import pandas as pd

from bertglue.evaluation.published_scores import PUBLISHED_LOGS, published_numbers
from bertglue.report.escaping import escape_line
from bertglue.report.pages.common import count_rows, is_glue, joined, number, real_runs, who_ran
from bertglue.report.pages.error_analysis import explanations
from bertglue.report.tables import rows_table, table
from bertglue.runs.collection import Runs
from bertglue.runs.text_samples import read_text_samples, sample_rows
from bertglue.tasks import TASKS, Task, sample_label

SHARED = 1.2  # a load average of so many times the threads is other work
TABLE_2_TASKS = ("QNLI", "SST-2", "QQP")  # in the order of the report's Table 2
TASK_NAMES = {task.title: name for name, task in TASKS.items()}


def table_2(runs: Runs):
    """Rebuild the report's Table 2 (seconds), the published value in parentheses."""
    rows, runs = [], real_runs(runs)
    for title in TABLE_2_TASKS:
        printed, run = published_numbers()["report"]["table_2"][title], runs.get(TASK_NAMES[title])
        ours = dict.fromkeys(printed, runs.missing(TASK_NAMES[title])) if run is None else our_times(run)
        rows.append({"task": title, **{heading(key): f"{ours[key]} ({printed[key]:,})" for key in printed}})
    return table(pd.DataFrame(rows))


def our_times(run: dict) -> dict[str, str]:
    """Return a run's entries of Table 2."""
    seconds = run["timing"]["predict"].get("test")
    return {
        "train_examples": count_rows(run),
        "first_epoch": f"{run['timing']['first_epoch']:.1f}",
        "test_inference": "no test split" if seconds is None else f"{seconds:.1f}",
        "test_examples": f"{run['examples'].get('test', 0):,}",
    }


def heading(key: str) -> str:
    units = {"first_epoch": "first epoch, s", "test_inference": "test inference, s"}
    return units.get(key, key.replace("_", " "))


def times(runs: Runs):
    """List the times of every task: tokenization, first and steady epoch, validation, test, and examples a second.

    Beside them stand the rows of an epoch, of which some runs had a part alone.
    """
    rows, runs = [], real_runs(runs)
    for task in TASKS.values():
        run = runs.get(task.name)
        if run is None:
            rows.append({"task": task.title, "train rows": runs.missing(task.name)})
            continue
        time = run["timing"]
        rows.append(
            {
                "task": task.title,
                "train rows": count_rows(run),
                "tokenize, s": f"{time['tokenize']:.2f}",
                "first epoch, s": f"{time['first_epoch']:.1f}",
                "steady epoch, s": f"{time['steady_epoch']:.1f}",
                "trained/s": f"{time['train_examples_per_second']:,.0f}",
                "validation, s": f"{time['evaluate']:.1f}",
                "predicted/s": f"{time['evaluate_examples_per_second']:,.0f}",
                "test, s": ", ".join(
                    f"{time['predict'][split]:.1f}" for split in task.test if split in time["predict"]
                ),
            }
        )
    return table(pd.DataFrame(rows), classes="scores")


def load_note(runs: Runs) -> str:
    """Name the machine of the times, and say where the runs shared it with other work, as Markdown."""
    environments = [run["environment"] for run in real_runs(runs).values()]
    if not environments:
        return ""
    machines = joined(
        sorted({escape_line(f"{one['machine']}, {one.get('processor') or one['device']}") for one in environments})
    )
    threads = joined(
        sorted({escape_line(f"{number(one['threads'], 'thread')} in {one['precision']}") for one in environments})
    )
    loads = [one["load"][0] for one in environments if one.get("load")]
    said = f"Measured on {machines}; {threads}."
    if loads and max(loads) > SHARED * min(one["threads"] for one in environments):
        said += (
            f" The load average was {min(loads):.1f} to {max(loads):.1f}: the runs **shared their cores** with other "
            "work, and a quiet machine is faster."
        )
    return said


def first_epochs(runs: Runs) -> str:
    """Describe by how much a first epoch is longer than a steady one, here and in the report."""
    said, who, runs = [], who_ran(runs), real_runs(runs)
    for title in PUBLISHED_LOGS:
        first, *later = (
            epoch["seconds"] for epoch in published_numbers()["report"]["logs"][PUBLISHED_LOGS[title]]["epochs"]
        )
        said.append(f"{title} {first / (sum(later) / len(later)):.2f}")
    ratios = [run["timing"]["first_epoch"] / run["timing"]["steady_epoch"] for run in runs.values()]
    ours = f" In the runs here ({who}) it is {min(ratios):.2f} to {max(ratios):.2f} times." if ratios else ""
    return f"In the report's logs the first epoch took so many times as long as a later one: {', '.join(said)}.{ours}"


def log(runs: Runs, title: str):
    """Show a run's training log in the columns of the report's figure, and below it the published log, if any."""
    rows, who, runs = [], who_ran(runs), real_runs(runs)
    run = runs.get(TASK_NAMES[title])
    if run is None:
        rows.append({"": who, "epoch": runs.missing(TASK_NAMES[title])})
    else:
        steps = run["curve"][-1]["step"] // len(run["history"])
        split = TASKS[TASK_NAMES[title]].validation[0]
        for row, seconds in zip(run["history"], run["timing"]["epochs"], strict=True):
            values = {"loss": row["train"]["loss"], "accuracy": row["train"]["accuracy"],
                      "val_loss": row[split]["loss"], "val_accuracy": row[split]["accuracy"]}  # fmt: skip
            rows.append(log_row(who, row["epoch"], steps, seconds, 1000 * seconds / steps, values))
    if title in PUBLISHED_LOGS:
        printed = published_numbers()["report"]["logs"][PUBLISHED_LOGS[title]]
        for number, epoch in enumerate(printed["epochs"], 1):
            rows.append(
                log_row("published", number, printed["steps_per_epoch"], epoch["seconds"], epoch["ms_per_step"], epoch)
            )
    return table(pd.DataFrame(rows), classes="scores")


def log_row(who: str, epoch: int, steps: int, seconds: float, milliseconds: float, values: dict) -> dict:
    names = ("loss", "accuracy", "val_loss", "val_accuracy")
    scores = {name: "illegible" if values[name] is None else f"{values[name]:.4f}" for name in names}
    times = {"s": f"{seconds:.0f}" if seconds > 100 else f"{seconds:.1f}", "ms/step": f"{milliseconds:.0f}"}
    return {"": who, "epoch": epoch, "steps": f"{steps:,}", **times, **scores}


def samples(runs: Runs, title: str):
    """Show the sentences that were tried on the fine-tuned model, its predictions, and what a reader expects."""
    name = TASK_NAMES[title]
    task, found = TASKS[name], real_runs(runs)
    if name not in found:
        return rows_table([{"samples": found.missing(name)}])
    rows = read_text_samples(runs.folder(name), task).get("samples", []) if is_glue(runs) else explained_samples(task)
    return rows_table([with_expected(task, row) for row in rows] or [{"samples": "this run kept none"}])


def explained_samples(task: Task) -> list[dict]:
    """Return this project's sentences with the predictions of the reference run."""
    found = explanations(task.name)
    return sample_rows(task, [one["text"] for one in found], np.array([one["logits"] for one in found]))


def with_expected(task: Task, row: dict) -> dict:
    """Add to a row what a reader expects, where it is known, and call a wrong prediction wrong."""
    texts = [row[column] for column in task.columns]
    expected = sample_label(task.name, texts if len(texts) > 1 else texts[0])
    if expected is None:
        return row
    return {**row, "expected": expected, "": "" if row["prediction"] == expected else "wrong"}

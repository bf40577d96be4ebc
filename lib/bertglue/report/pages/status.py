"""The status of the runs: which finished and which did not, where, how long, with which versions."""

from __future__ import annotations

import pandas as pd

from bertglue.report.escaping import escape_line
from bertglue.report.tables import table
from bertglue.runs.collection import Runs
from bertglue.runs.status import FINISHED, NOT_RUN
from bertglue.tasks import TASKS, title_of


def states(runs: Runs):
    """List every run that was asked for, and every task that was not: what became of it, and why."""
    rows = [
        {
            "task": title_of(state["task"]),
            "learning rate": f"{state['learning_rate']:g}" if "learning_rate" in state else "",
            "seed": str(state.get("seed", "")),
            "status": state["state"],
            "reason": state["reason"],
        }
        for state in (*runs.states, *runs.own)
    ]
    asked = {state["task"] for state in runs.states}
    rows += [{"task": task.title, "status": NOT_RUN} for task in TASKS.values() if task.name not in asked]
    return table(pd.DataFrame(rows))


def compressions(runs: Runs):
    """List the compressions that were asked for, and what became of them."""
    rows = [
        {"task": title_of(state["task"]), "compression": state["state"], "reason": state["reason"]}
        for state in (*runs.compressions, *runs.own_compressions)
    ]
    return table(pd.DataFrame(rows, columns=["task", "compression", "reason"]))


def summary(runs: Runs) -> str:
    """Describe how many runs there are and which are missing."""
    states = [*runs.states, *runs.own]
    missing = [f"{state['task']} ({escape_line(state['state'])})" for state in states if state["state"] != FINISHED]
    said = f"{len(states) - len(missing)} of {len(states)} runs finished."
    if asked := [*runs.compressions, *runs.own_compressions]:
        smaller = [state["task"] for state in asked if state["state"] == FINISHED]
        said += f" {len(smaller)} of {len(asked)} were compressed."
        missing += [
            f"{state['task']}, compressed ({escape_line(state['state'])})"
            for state in asked
            if state["state"] != FINISHED
        ]
    return said + (f" **Missing: {', '.join(missing)}.**" if missing else "")


def finished(runs: Runs):
    """List the finished runs that the pages show: when, how long, how much memory, on what."""
    rows = []
    for task in TASKS.values():
        if run := runs.get(task.name):
            environment = run["environment"]
            rows.append(
                {
                    "task": task.title,
                    "at (UTC)": run["finished"].replace("T", " ").removesuffix("Z"),
                    "notebook, s": f"{environment['seconds']:.0f}",
                    "memory, MB": f"{environment['peak_memory_mb']:,}",
                    "device": f"{environment['device']}, {run['backend']}",
                    "machine": environment["machine"],
                    "commit": environment["commit"] or "",
                }
            )
    return table(pd.DataFrame(rows))


def versions(runs: Runs):
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


def devices(runs: Runs):
    """List what each run trained on, the seconds of a steady epoch, and examples a second."""
    rows = [
        {
            "task": TASKS[name].title,
            "device": f"{run['environment']['device']}, {run['backend']}",
            "machine": run["environment"]["machine"],
            "epoch, s": f"{run['timing']['steady_epoch']:.1f}",
            "train examples/s": f"{run['timing']['train_examples_per_second']:,.0f}",
            "predicted examples/s": f"{run['timing']['evaluate_examples_per_second']:,.0f}",
        }
        for name in TASKS
        if (run := runs.get(name))
    ]
    return table(pd.DataFrame(rows))

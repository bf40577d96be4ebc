"""The page on the protocol: the selection of the learning rate, several seeds, failed runs, and differences."""

from __future__ import annotations

from statistics import fmean, median, stdev

import numpy as np
import pandas as pd

from bertglue.data.dataset import HELD_OUT
from bertglue.encoder_names import BUNDLED
from bertglue.errors import InputError
from bertglue.evaluation import aggregate, metrics, significance
from bertglue.evaluation.metrics import METRIC_TITLES
from bertglue.report import bundled_runs
from bertglue.report.figures import color, small_multiples
from bertglue.report.pages.common import between, joined, number, row_title
from bertglue.report.tables import table
from bertglue.runs.collection import Runs
from bertglue.tasks import TASKS, Task

NAMED_SINGLY = 3  # runs of a task; more are counted


def by_task(records: list[dict]) -> dict[Task, dict[float, list[dict]]]:
    """Sort runs by task, in GLUE's order, and by learning rate."""
    found = aggregate.group_runs(records, "task")
    return {
        task: {rate: same for (rate,), same in sorted(aggregate.group_runs(found[task.name,], "learning_rate").items())}
        for task in TASKS.values()
        if (task.name,) in found
    }


def pretrained_bundled_runs() -> list[dict]:
    """Return the runs of the bundled encoder with pre-trained weights, on real GLUE."""
    return [run for run in bundled_runs.read_bundled_runs() if run["encoder"] == BUNDLED]


def summary(records: list[dict]) -> str:
    """Describe how many runs there are, and on which split their learning rates are selected."""
    if not records:
        return "No run has finished."
    tasks, rates, seeds = (len({run[key] for run in records}) for key in ("task", "learning_rate", "seed"))
    counts = [number(tasks, "task"), number(rates, "learning rate"), number(seeds, "seed")]
    said = f"{number(len(records), 'run')}: {', '.join(counts)}."
    splits = {split.partition("_")[0] for split in (aggregate.selection_split([run]) for run in records)}
    where = {HELD_OUT.partition("_")[0]: "a held-out part of train", "validation": "validation, as the BERT paper did"}
    if rates > 1:
        said += f" The learning rate of each task is selected on {joined([where[split] for split in sorted(splits)])}."
    if rates * seeds == 1:
        said += ' `make book SEEDS="0 1 2" LEARNING_RATES="1e-4 3e-4"` fills the tables of this build.'
    return said


def failed(run: dict) -> bool:
    """Return whether a run ended at or below the baseline, in every metric on every split that validates it."""
    task = TASKS[run["task"]]
    return all(
        run["metrics"][split][name] <= run["baseline"][split][name]
        for split in task.validation
        for name in task.metrics
    )


def failures(records: list[dict]) -> str:
    """Describe which runs ended at or below their baseline, in every metric of the task."""
    lost = [run for run in records if failed(run)]
    if not records:
        return ""
    if not lost:
        return f"None of the {number(len(records), 'run')} ended at or below its baseline."
    named = []
    for name, task in TASKS.items():
        ours = [run for run in lost if run["task"] == name]
        if len(ours) > NAMED_SINGLY:
            named.append(f"{len(ours)} of {sum(run['task'] == name for run in records)} of {task.title}")
        else:
            named += [f"{task.title} (rate {run['learning_rate']:g}, seed {run['seed']})" for run in ours]
    return f"{len(lost)} of {number(len(records), 'run')} ended at or below the baseline: {joined(named)}."


def learning_rates(records: list[dict]):
    """Tabulate the learning rates of each task: the mean over seeds on the split of selection, and on validation."""
    rows, best_of = [], chosen(records)
    for task, of_rate in by_task(records).items():
        best = best_of[task][0]["learning_rate"]
        for rate, same in of_rate.items():
            split = aggregate.selection_split(same)
            name = task.metrics[0]
            values = [run["metrics"][task.validation[0]][name] for run in same]
            rows.append(
                {
                    "task": task.title,
                    "learning rate": f"{rate:g}" + (" (chosen)" if rate == best and len(of_rate) > 1 else ""),
                    "seeds": len(same),
                    f"mean metric on {split.replace('_', ' ')}": f"{aggregate.learning_rate_score(same, split):.3f}",
                    "metric": METRIC_TITLES[name],
                    "on validation (± standard deviation)": f"{fmean(values):.3f}" + spread(values),
                    "baseline": f"{same[0]['baseline'][task.validation[0]][name]:.3f}",
                    "runs at or below the baseline in every metric": sum(map(failed, same)),
                }
            )
    return table(pd.DataFrame(rows))


def epochs(searched: list[dict], longer: list[dict]):
    """Tabulate epochs and dropout that were tried at the chosen learning rate, and their score on held-out rows.

    `searched` are the runs that chose the learning rate, `longer` those with other epochs, or with dropout inside the
    encoder. Epochs are chosen among the runs without it.
    """
    rows = []
    for task, (run, *_) in chosen(searched).items():
        same = ("task", "learning_rate")
        tried = [run, *(one for one in longer if all(one[key] == run[key] for key in same))]
        if len(tried) == 1:
            continue
        split = aggregate.selection_split(tried)
        found = {(dropout_of(one), one["epochs"]): aggregate.learning_rate_score([one], split) for one in tried}
        best = max((key for key in found if key[0] == dropout_of(run)), key=found.__getitem__)
        rows += [
            {
                "task": task.title,
                "learning rate": f"{run['learning_rate']:g}",
                "dropout in the encoder": f"{dropout:g}",
                "epochs": f"{count}" + (" (chosen)" if (dropout, count) == best else ""),
                f"mean metric on {split.replace('_', ' ')}": f"{score:.3f}",
            }
            for (dropout, count), score in sorted(found.items())
        ]
    return table(pd.DataFrame(rows))


def dropout_of(run: dict) -> float:
    """Return the dropout inside the encoder of a run."""
    return run.get("parameters", {}).get("encoder_dropout", 0.0)


def spread(values: list[float]) -> str:
    return f" ± {stdev(values):.3f}" if len(values) > 1 else ""


def chosen(records: list[dict]) -> dict[Task, list[dict]]:
    """Return the runs of each task at the selected learning rate, one a seed."""
    found = aggregate.group_runs(records, "task")
    return {task: aggregate.best_learning_rate(found[task.name,]) for task in TASKS.values() if (task.name,) in found}


def seeds(records: list[dict]):
    """List for the selected learning rate the mean, its interval, spread, median and best over seeds."""
    rows = []
    for task, same in chosen(records).items():
        for split in task.validation:
            for name in task.metrics:
                values = [run["metrics"][split][name] for run in same]
                several = (
                    {
                        "standard deviation": f"{stdev(values):.3f}",
                        "median": f"{median(values):.3f}",
                        "best": f"{max(values):.3f}",
                    }
                    if len(values) > 1
                    else {}
                )
                rows.append(
                    {
                        "task": row_title(task, split),
                        "learning rate": f"{same[0]['learning_rate']:g}",
                        "epochs": same[0]["epochs"],
                        "metric": METRIC_TITLES[name],
                        "seeds": len(same),
                        "mean": f"{fmean(values):.3f}",
                        "95 % interval": between(*aggregate.mean_interval(same, split, name)),
                        "baseline": f"{same[0]['baseline'][split][name]:.3f}",
                        **several,
                    }
                )
    return table(pd.DataFrame(rows).fillna(""))


def labels_and_predictions(runs: Runs, same: list[dict], split: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the labels [rows] of a split and what each run predicts, [seeds, rows]."""
    found = [runs.labels_and_logits_of(run, split) for run in same]
    labels = found[0][0]
    if any(not np.array_equal(labels, other) for other, _ in found):
        raise InputError(f"the runs of {same[0]['task']} validate on different rows; remove their folders")
    return labels, np.stack([metrics.predictions_of(TASKS[same[0]["task"]], logits) for _, logits in found])


def spreads(records: list[dict]):
    """Draw the main metric of every run against its learning rate, with the baseline; nothing where all have one."""
    if all(len(of_rate) == 1 for of_rate in by_task(records).values()):
        return None

    def draw(axis, task, of_rate):
        split, name = task.validation[0], task.metrics[0]
        for at, same in enumerate(of_rate.values()):
            values = [run["metrics"][split][name] for run in same]
            axis.plot([at] * len(values), values, "o", alpha=0.6, color=color(0), label="one run" if not at else None)
            axis.plot(at, fmean(values), "_", markersize=18, color=color(1), label="mean" if not at else None)
        axis.axhline(same[0]["baseline"][split][name], color="0.4", linestyle="--", label="baseline")
        axis.set(ylabel=METRIC_TITLES[name], xticks=range(len(of_rate)), xlim=(-0.6, len(of_rate) - 0.4))
        axis.set_xticklabels([f"{rate:g}" for rate in of_rate])
        axis.set_xlabel("learning rate")

    return small_multiples([(task.title, task, of_rate) for task, of_rate in by_task(records).items()], draw)


def differences(runs: Runs):
    """Compare the selected learning rate of each task with the others, on the same rows, by paired tests."""
    rows, best_of = [], chosen(runs.records)
    for task, of_rate in by_task(runs.records).items():
        best, split, name = best_of[task], task.validation[0], task.metrics[0]
        labels, ours = labels_and_predictions(runs, best, split)
        for rate, same in of_rate.items():
            if rate == best[0]["learning_rate"]:
                continue
            _, theirs = labels_and_predictions(runs, same, split)
            gain, low, high = significance.paired_bootstrap(name, labels, theirs, ours)
            rows.append(
                {
                    "task": task.title,
                    "learning rates": f"{best[0]['learning_rate']:g} against {rate:g}",
                    "metric": METRIC_TITLES[name],
                    "gain": f"{gain:+.3f}",
                    "95 % interval": f"{low:+.3f} to {high:+.3f}",
                    "interval excludes 0": "yes" if low > 0 or high < 0 else "no",
                    "McNemar, first seed": "" if task.regression
                    else f"p = {significance.mcnemar(labels, theirs[0], ours[0]):.2g}",
                }
            )  # fmt: skip
    return table(pd.DataFrame(rows or [{"learning rates": "this build has one for each task: nothing to compare"}]))

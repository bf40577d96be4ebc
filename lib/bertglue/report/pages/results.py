"""The page of results: the main table, Table 1, the learning curves of figures 2 to 9 with their reading, calibration.

Real stands beside real: what was published, the reference run, and this build where its data are GLUE.
"""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.ticker import MaxNLocator

from bertglue.evaluation import aggregate
from bertglue.evaluation.metrics import METRIC_TITLES
from bertglue.evaluation.published_scores import (
    PAPER,
    PUBLISHED_LOGS,
    PUBLISHED_NAMES,
    REFERENCE_IMPLEMENTATIONS,
    REPORT,
    TABLE_1_COLUMNS,
    find_published_score,
    published_interval,
    published_numbers,
)
from bertglue.report import figures
from bertglue.report.claims import above_baseline, gather_evidence, judge, noticed, read_claims
from bertglue.report.figures import FIGURE_STYLE, color, finish
from bertglue.report.pages.common import (
    beside_baseline,
    classified,
    dashed,
    is_glue,
    joined,
    main_score_rows,
    precisions_said,
    real_runs,
    row_title,
    score_rows,
)
from bertglue.report.reference_runs import runs_by_task
from bertglue.report.tables import LINE_BREAK, table
from bertglue.runs.collection import Runs
from bertglue.tasks import TASKS

READINGS = {  # what the report reads from its figures, by the identifiers of claims
    "MNLI-m": ("mnli-accuracy", "mnli-loss"),
    "QQP": ("qqp-f1", "qqp-loss"),
    "QNLI": ("qnli-accuracy", "qnli-loss"),
    "SST-2": ("sst2-accuracy", "sst2-loss"),
    "CoLA": ("cola-accuracy", "cola-loss"),
    "MRPC": ("mrpc-curve", "mrpc-f1"),
    "RTE": ("rte-accuracy", "rte-loss"),
}
MEASURES = ("loss", "accuracy", "calibration_error")  # that over-confidence is told by
CARD_COLUMNS = {  # of the model card's two encoders
    "bert_base": f"BERT-base{LINE_BREAK}12 layers of 768",
    "minilm_l12": f"MiniLM-L12-H384{LINE_BREAK}12 layers of 384",
}
CURVE_SOURCES = ("this build", "reference run", "published")


def main_table(runs: Runs):
    """Tabulate what was printed, the reference run and a build on GLUE side by side, with intervals and baselines."""
    real, build = runs_by_task(), is_glue(runs)
    # every score of the reference run has its row, also where the build has none, and the other way round
    listed = {(task.name, split, metric): task for task, split, metric, _ in score_rows(real_runs(Runs()))}
    listed |= {(task.name, split, metric): task for task, split, metric, _ in score_rows(real_runs(runs))}
    rows = []
    for (_, split, metric), task in listed.items():
        name = PUBLISHED_NAMES[task.name, split]
        row = {"task": f"{row_title(task, split)}{LINE_BREAK}{METRIC_TITLES[metric]}"}
        for who, where in {REPORT: "dev", **dict.fromkeys(REFERENCE_IMPLEMENTATIONS, "dev"), PAPER: "test"}.items():
            one = find_published_score(who, name, metric)
            row[f"{who}{LINE_BREAK}{where}"] = cell(one.value, published_interval(one)) if one else ""
        if real:
            row[f"reference run{LINE_BREAK}GLUE dev"] = reference_cell(real.get(task.name), split, metric)
        if build:
            run = runs.get(task.name, {"metrics": {}})
            there = split in run["metrics"]
            row[f"this build{LINE_BREAK}GLUE dev"] = (
                build_cell(run, split, metric) if there else runs.missing(task.name) if task.name not in runs else ""
            )
        rows.append(row)
    return table(pd.DataFrame(rows), classes="scores")


def reference_note() -> str:
    """Describe the reference run and what it cannot show, as Markdown; nothing where none of it is done."""
    if not runs_by_task():
        return ""
    return (
        "**The reference run** is MiniLM (all-MiniLM-L6-v2): 6 layers of 384, distilled from a larger encoder, then "
        "trained on sentence pairs, those of MNLI and SNLI, Quora's duplicates and SQuAD's questions among them: MNLI, "
        "QQP and QNLI are not new to it. It is not BERT-base, and confirms none of its numbers; it shows what holds of "
        "fine-tuning a published encoder. The learning rate was chosen on a held-out tenth of train (of SST-2, QQP, "
        "MNLI and QNLI: of 10,000 rows of it), with one seed; so were the epochs of the small tasks, and the large "
        f"ones have 2: see the protocol. {rows_at_hand()} {precisions_said(runs_by_task())}".rstrip()
    )


def published_encoders():
    """Tabulate published dev scores of two larger encoders beside the reference run, in percent.

    Their source names no metric, so that every metric of the reference run that it could be is there.
    """
    real, card, rows = runs_by_task(), published_numbers()["encoders_dev"], []
    for name in card["bert_base"]:
        task, split = TABLE_1_COLUMNS[name]
        row = {"task": name} | {title: f"{card[key][name]:.1f}" for key, title in CARD_COLUMNS.items()}
        ours = [
            f"{METRIC_TITLES[metric]} {100 * aggregate.seed_mean(real[task], split, metric).mean:.1f}"
            for metric in (TASKS[task].metrics if task in real else ())
            if not (name == "CoLA" and metric == "accuracy")  # the majority class has 69 %, more than they have
        ]
        rows.append(row | {f"reference run{LINE_BREAK}6 layers of 384": LINE_BREAK.join(ours)})
    return table(pd.DataFrame(rows), classes="scores")


def rows_at_hand() -> str:
    """Name the tasks whose reference runs had some rows of train or of validation alone."""
    official = published_numbers()["glue_examples"]
    train, validation = [], []
    for name, runs in runs_by_task().items():
        task, examples = TASKS[name], runs[0]["examples"]
        whole = official[PUBLISHED_NAMES[name, task.validation[0]]][0]
        if examples["train"] < whole:
            train.append(f"{task.title} {examples['train']:,} of {whole:,}")
        for split in task.validation:
            whole = official[PUBLISHED_NAMES[name, split]][1]
            if examples[split] < whole:
                validation.append(f"{row_title(task, split)} {examples[split]:,} of {whole:,}")
    said = [f"of {part} {joined(rows)}" for part, rows in (("train", train), ("dev", validation)) if rows]
    return f"Rows at hand: {'; '.join(said)}; of all others the whole." if said else ""


def reference_cell(same: list[dict] | None, split: str, metric: str) -> str:
    """Format the mean of the reference runs of a task, its interval over seeds and examples, and the baseline."""
    if not same or split not in same[0]["metrics"]:
        return ""
    mean = aggregate.seed_mean(same, split, metric).mean
    return cell(mean, aggregate.mean_interval(same, split, metric), same[0]["baseline"][split][metric])


def build_cell(run: dict, split: str, metric: str) -> str:
    return cell(run["metrics"][split][metric], run["interval"][split][metric], run["baseline"][split][metric])


def findings() -> str:
    """Describe on which tasks the reference run is above its baseline, by the first metric of each, as Markdown."""
    real = runs_by_task()
    above, others = [], []
    for task, split, beyond in beside_baseline(real):
        (above if beyond else others).append(row_title(task, split))
    if not real:
        return "No final run of the reference run is done yet (`make reference GLUE_DIR=...`)."
    said = f"**Not above its baseline** by more than the 95 % interval: {joined(others)}. " if others else ""
    return said + (f"Above it: {joined(above)}." if above else "")


def scores_figure():
    """Draw the main metric of each task of the reference run with its interval, and the baseline as a tick."""
    real, points = runs_by_task(), []
    for task, split, metric, run in main_score_rows(real_runs(Runs())):
        mean = aggregate.seed_mean(real[task.name], split, metric).mean
        bounds = aggregate.mean_interval(real[task.name], split, metric)
        title = f"{row_title(task, split)}, {METRIC_TITLES[metric]}"
        points.append((title, mean, bounds, run["baseline"][split][metric]))
    return figures.score_points(points)


def cell(value: float, bounds: tuple[float, float] | None, baseline: float | None = None) -> str:
    """Write a score, its interval below it, and the baseline below that."""
    lines = [f"{value:.3f}"]
    if bounds:
        lines.append(dashed(*bounds))
    if baseline is not None:
        lines.append(f"base {baseline:.3f}")
    return LINE_BREAK.join(lines)


def table_1(runs: Runs):
    """Rebuild the report's Table 1 in percent, the published value in parentheses: see `table_1_runs`."""
    printed, shown = published_numbers()["report"]["table_1"], table_1_runs(runs)
    rows = []
    for name in printed["rows"]:
        row = {"": name.replace("_", " ")}
        for title, (task, split) in TABLE_1_COLUMNS.items():
            value = table_1_value(shown.get(task, []), split, name)
            given = printed[title].get(name)
            missing = runs.missing(task) if is_glue(runs) and task not in shown else ""
            ours = missing if value is None else f"{100 * value:.1f}"
            row[title] = f"{ours} ({given})".strip() if given is not None else ours
        rows.append(row)
    return table(pd.DataFrame(rows))


def table_1_runs(runs: Runs) -> dict[str, list[dict]]:
    """Return {task: runs} of the build where its data are GLUE, else of the reference run."""
    return {task: [run] for task, run in runs.items()} if is_glue(runs) else runs_by_task()


def table_1_source(runs: Runs) -> str:
    """Name whose values Table 1 shows, as Markdown."""
    if is_glue(runs):
        return "The values are this build's."
    return (
        "The values are the reference run's, the mean over its seeds; an empty cell is a metric not computed for "
        "the task, and without parentheses the report printed no value."
    )


def table_1_value(same: list[dict], split: str, name: str) -> float | None:
    """Look up a row of Table 1 after the kept epoch: of train or of the validation split, the mean of runs."""
    part = split if name.startswith("validation_") else "train"
    what = name.removeprefix("validation_").removeprefix("training_")
    values = [run["history"][run["kept_epoch"] - 1][part].get(what) for run in same]
    return None if not values or None in values else float(np.mean(values))


def curves(runs: Runs, name: str):
    """Draw loss and metric over the epochs: what was published, the reference run, and this build where it is of GLUE.

    `name` is a column of the report's Table 1. Train is drawn solid, validation dashed.
    """
    task, split = TABLE_1_COLUMNS[name]
    metric = "f1" if "f1" in published_numbers()["report"]["table_1"][name] else "accuracy"
    lines = [
        *history_lines([runs[task]] if is_glue(runs) and task in runs else [], split, CURVE_SOURCES[0]),
        *history_lines(runs_by_task().get(task, []), split, CURVE_SOURCES[1]),
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
            last = max(epoch for _, _, points in lines for epoch, _ in points)
            axes.set(xlabel="epoch", ylabel=METRIC_TITLES[measure], xlim=(0.7, last + 0.3))
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        panels[0].set_ylim(0, None)
        figure.tight_layout()
        figure.legend(loc="upper center", bbox_to_anchor=(0.5, 0.0), ncols=3)
    return finish(figure)


def reading(name: str) -> str:
    """Write what the report reads from a figure, and the verdict on it, as Markdown."""
    claims, verdicts = {claim["id"]: claim for claim in read_claims()}, judge(gather_evidence())
    lines = []
    for number in READINGS[name]:
        found = verdicts[number]
        lines.append(
            f"- The report: {claims[number]['claim']}. **{found.verdict.capitalize()}.** {found.reason.strip()}"
        )
    return "\n".join(lines)


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


def calibration_curves():
    """Draw validation loss (NLL), calibration error and error rate of the reference run over the epochs."""

    def draw(axis, runs, split):
        epochs = range(1, len(runs[0]["history"]) + 1)
        series = {
            "NLL, nats": ("o-", lambda row: row["loss"]),
            "calibration error": ("s--", lambda row: row["calibration_error"]),
            "error rate": ("d:", lambda row: 1 - row["accuracy"]),
        }
        for label, (style, value) in series.items():
            means = [np.mean([value(run["history"][epoch - 1][split]) for run in runs]) for epoch in epochs]
            axis.plot(epochs, means, style, label=label)
        axis.set(xlabel="epoch", ylabel="loss [nats]; share", ylim=(0, None))
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))

    real = runs_by_task()
    shown = [(title, real[task], split) for title, task, split in classified(real)]
    return figures.small_multiples(shown, draw) if shown else None


def calibration_findings() -> str:
    """Describe where the reference run's loss and calibration error rise while accuracy holds, as Markdown.

    Tasks whose accuracy is not above the majority class are left out: there confidence says little.
    """
    real, rising = runs_by_task(), []
    for title, task, split in classified(real):
        rows = [[row[split] for row in run["history"]] for run in real[task]]
        values = [np.mean([[row[name] for row in of] for of in rows], axis=0) for name in MEASURES]
        losses, accuracies, errors = values
        best = int(np.argmin(losses))
        rises = losses[-1] - losses[best] > noticed(len(real[task])) and errors[-1] > errors[best]
        if rises and accuracies[-1] >= accuracies[best] and above_baseline(real[task], split):
            moved = [
                f"{name.replace('_', ' ')} {of[best]:.3f} to {of[-1]:.3f}"
                for name, of in zip(MEASURES, values, strict=True)
            ]
            rising.append(f"{title} ({', '.join(moved)})")
    if not real:
        return ""
    if not rising:
        return "In the reference run nowhere do validation loss and calibration error rise while accuracy holds."
    return (
        "Validation loss and calibration error rise while accuracy holds, from the epoch of the lowest loss to the "
        f"last, on {joined(rising)}. Where the reliability diagram lies below the diagonal too, that is "
        "over-confidence."
    )

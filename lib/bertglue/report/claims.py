"""The claims of the published report, each with a verdict that follows from records and published numbers.

A smaller encoder confirms no number of BERT-base. It can show a pattern, such as a validation loss that rises while
accuracy holds; and some claims are settled by computation alone.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean

import numpy as np
import yaml
from scipy import stats

from bertglue.evaluation import aggregate
from bertglue.evaluation.metrics import METRIC_TITLES
from bertglue.evaluation.published_scores import (
    PAPER,
    REFERENCE_IMPLEMENTATIONS,
    REPORT,
    TABLE_1_COLUMNS,
    find_published_score,
    published_interval,
)
from bertglue.report.measured_files import COST_GROWTH
from bertglue.report.pages.common import joined, row_title
from bertglue.report.pages.errata import batchwise_bounds, counts_for, log, possible, report, whole_batches
from bertglue.report.pages.error_analysis import statistics
from bertglue.report.pages.modifications import (
    by_title,
    curve_step,
    gain_of_pruning,
    nothing_pruned,
    optimum,
    optimum_said,
)
from bertglue.report.reference_runs import read_real_compressions, runs_by_task
from bertglue.runs.record import parse_json
from bertglue.tasks import TASKS, Task

CONFIRMED, CONTRADICTED, OPEN = "confirmed", "contradicted", "cannot be told here"
NOTICED = 0.01  # by which a loss [nats] or a calibration error has to move in each of several seeds before it counts
NOTICED_IN_FEW = 0.02  # the same of fewer than SEEDS_THAT_TELL
SEEDS_THAT_TELL = 3  # that agree on the direction of a score; of fewer the move has to leave the 95 % interval
RETRAININGS_THAT_TELL = 2  # of each task, with other seeds
SMALL_TRAIN = 10_000  # rows, the report's own bound of a small training set
SIGNIFICANT = 0.05
SUBSTANTIAL = 0.8  # of the memory at the longest length that was measured
FEWEST_TASKS = 6  # to say how something depends on the size of train

RunsOfTask = Mapping[str, list[dict]]


@dataclass(frozen=True)
class Verdict:
    """What is to be said of a claim: the verdict, why, and the page of the book that shows the evidence."""

    verdict: str
    reason: str
    page: str


@dataclass(frozen=True)
class Evidence:
    """What verdicts follow from: {task: runs, one a seed} of the reference run, its calibration, and compressions."""

    final: RunsOfTask = field(default_factory=dict)
    after_mnli: RunsOfTask = field(default_factory=dict)  # those that begin with the encoder of MNLI
    gains: Mapping[str, list[dict]] = field(default_factory=dict)  # over random weights, as `paired_differences`
    compressions: list[dict] = field(default_factory=list)
    growth: dict = field(default_factory=dict)
    reliability: Mapping[str, Mapping[str, list]] = field(default_factory=dict)  # {task: {split: bins of each seed}}


def gather_evidence() -> Evidence:
    """Read the evidence that is kept in the repository."""
    growth = parse_json(COST_GROWTH, "measured data", "`python benchmarks/growth.py --keep` makes it")
    bins = {
        task: {split: one["reliability"] for split, one in found["splits"].items() if "reliability" in one}
        for task, found in statistics().items()
    }
    gains = {task: found["against"]["random"] for task, found in statistics().items() if found["against"]["random"]}
    return Evidence(runs_by_task(), runs_by_task("after-mnli"), gains, read_real_compressions(), growth, bins)


@functools.cache
def read_claims() -> list[dict]:
    """Read the claims, each with `id`, `where` it is made, and the `claim` in other words."""
    return yaml.safe_load(Path(__file__).with_name("claims.yaml").read_text(encoding="utf-8"))


def judge(evidence: Evidence) -> dict[str, Verdict]:
    """Judge every claim, {id: verdict}."""
    return {claim["id"]: RULES[claim["id"]](evidence) for claim in read_claims()}


# --- scores of BERT-base, which published numbers alone can confirm


def agrees_with_others(*names: str) -> Callable[[Evidence], Verdict]:
    """Judge an accuracy of the report by what others publish of BERT-base on the same development split."""

    def rule(evidence: Evidence) -> Verdict:
        said, agreed = [], []
        for name in names:
            one = find_published_score(REPORT, name, "accuracy")
            low, high = published_interval(one)
            others = [find_published_score(who, name, "accuracy").value for who in REFERENCE_IMPLEMENTATIONS]
            agreed += [low <= value <= high for value in others]
            values = joined([f"{value:.3f}{'' if low <= value <= high else ' (outside)'}" for value in others])
            said.append(f"{name} {one.value:.3f} ({low:.3f} to {high:.3f} by its rows alone), others {values}")
        paper = joined([f"{find_published_score(PAPER, name, 'accuracy').value:.3f}" for name in names])
        reason = (
            f"Development and test scores cannot be compared, so that agreement with the paper's {paper} (test) is not "
            f"shown. Development scores of BERT-base can: {'; '.join(said)}. "
        )
        found = OPEN if any(agreed) else CONTRADICTED
        return Verdict(found, reason + ours(evidence, *names), "pages/results")

    return rule


def ours(evidence: Evidence, *names: str) -> str:
    """Describe what the reference run's smaller encoder reaches, which confirms no number of BERT-base."""
    said = []
    for name in names:
        task, split = TABLE_1_COLUMNS[name]
        if runs := evidence.final.get(task):
            low, high = aggregate.mean_interval(runs, split, "accuracy")
            said.append(f"{aggregate.seed_mean(runs, split, 'accuracy').mean:.3f} ({low:.3f} to {high:.3f})")
    return f"MiniLM, a smaller encoder, reaches {joined(said)} here." if said else ""


def rte_accuracy(evidence: Evidence) -> Verdict:
    one = find_published_score(REPORT, "RTE", "accuracy")
    sizes = (one.examples, whole_batches(one.examples))
    if any(counts_for(one.value, rows, 3) for rows in sizes):
        return agrees_with_others("RTE")(evidence)
    low, high = published_interval(one)
    reason = (
        f"As a share of rows {one.value:.3f} is {joined([possible(one.value, rows, 3) for rows in sizes])}; the loss "
        f"printed beside it is {report()['table_1']['RTE']['validation_loss'] / 100:.3f}. Its interval by the rows "
        f"alone is {low:.3f} to {high:.3f}. "
    )
    return Verdict(OPEN, reason + ours(evidence, "RTE"), "pages/errata")


def batchwise(name: str) -> Callable[[Evidence], Verdict]:
    """Judge an F1 of the report, which is probably a batch-wise metric that cannot tell right from wrong."""

    def rule(evidence: Evidence) -> Verdict:
        printed, paper = (find_published_score(who, name, "f1").value for who in (REPORT, PAPER))
        none, full = batchwise_bounds(TABLE_1_COLUMNS[name][0])
        reason = (
            f"{printed:.3f} and {paper:.3f} are {100 * abs(printed - paper):.1f} points apart; and what was printed is "
            f"probably no F1: a batch-wise metric in circulation gives about {none:.2f} with no prediction right and "
            f"{full:.2f} with all right."
        )
        return Verdict(CONTRADICTED, reason, "pages/errata")

    return rule


def cola_accuracy(evidence: Evidence) -> Verdict:
    accuracy, matthews = (
        find_published_score(*which).value for which in ((REPORT, "CoLA", "accuracy"), (PAPER, "CoLA", "matthews"))
    )
    reason = f"{accuracy:.3f} is an accuracy, {matthews:.3f} a Matthews correlation: they cannot be compared. "
    if runs := evidence.final.get("cola"):
        base = runs[0]["baseline"]["validation"]
        scores = {name: fmean(run["metrics"]["validation"][name] for run in runs) for name in base}
        reason += (
            f"On the same rows the majority class has accuracy {base['accuracy']:.3f} at a correlation of 0, and "
            f"MiniLM {scores['accuracy']:.3f} at {scores['matthews']:.3f}."
        )
    return Verdict(CONTRADICTED, reason, "pages/errata")


# --- what the curves show, which the reference run can show too


def after_first_epoch(runs: list[dict], split: str, name: str) -> list[float]:
    """Return of each run by how much a value of a split moves from the first epoch to the last."""
    return [run["history"][-1][split][name] - run["history"][0][split][name] for run in runs]


def moves(changes: list[float], noticed: float = 0.0) -> str:
    """Return in what direction the runs of all seeds moved; a tie, or seeds that disagree, is neither."""
    if all(change > noticed for change in changes):
        return "rises"
    return "falls" if all(change < -noticed for change in changes) else "neither"


def noticed(seeds: int) -> float:
    """Return by how much a loss [nats] or a calibration error has to move in so many seeds before that counts."""
    return NOTICED if seeds >= SEEDS_THAT_TELL else NOTICED_IN_FEW


def not_run(task: str) -> Verdict:
    return Verdict(OPEN, f"The reference run of {TASKS[task].title} is not done yet.", "pages/results")


def loss_rises(name: str, reading: str = "") -> Callable[[Evidence], Verdict]:
    """Judge that the validation loss rises after the first epoch, and what the report reads from it.

    `reading` is what the claim takes the rise for; a calibration error that rises while accuracy holds, of a model that
    is more confident than right, contradicts a fall of confidence.
    """
    task, split = TABLE_1_COLUMNS[name]

    def rule(evidence: Evidence) -> Verdict:
        runs = evidence.final.get(task)
        if not runs or len(runs[0]["history"]) < 2:
            return not_run(task)
        changes = {what: after_first_epoch(runs, split, what) for what in ("loss", "accuracy", "calibration_error")}
        loss, accuracy, calibration = (fmean(values) for values in changes.values())
        reason = (
            f"In the reference run of {TASKS[task].title} validation loss moves by {loss:+.3f} from the first epoch to "
            f"the last, accuracy by {accuracy:+.3f}, calibration error by {calibration:+.3f} ({seeds(runs)}). "
        )
        if moves(changes["loss"], noticed(len(runs))) != "rises":
            return Verdict(OPEN, reason + "That is no rise; BERT-base on all rows may do otherwise.", "pages/results")
        if reading and not above_baseline(runs, split):
            reason += "MiniLM is not above its baseline on this task, so that its confidence says little."
            return Verdict(OPEN, reason, "pages/results")
        if reading and accuracy >= 0 and moves(changes["calibration_error"], noticed(len(runs))) == "rises":
            over = over_confidence(evidence.reliability.get(task, {}).get(split, []))
            if over is None:
                return Verdict(OPEN, reason + "How sure it is at the end was not computed yet.", "pages/results")
            reason += f"At the end its confidence is {over:+.3f} above its accuracy, in the mean. "
            if over > 0:
                reason += f"The loss does rise, but that is no {reading}: the model is surer than it is right."
                return Verdict(CONTRADICTED, reason, "pages/results")
            return Verdict(OPEN, reason + "It is worse calibrated, and not over-confident.", "pages/results")
        return Verdict(CONFIRMED, reason + "The pattern is there.", "pages/results")

    return rule


def over_confidence(bins: list) -> float | None:
    """Return by how much the mean confidence is above the accuracy, over seeds and rows; `bins` as of `reliability`."""
    if not bins:
        return None
    number, confidence, right = np.concatenate([np.array(seed) for seed in bins]).T
    return float(np.average(confidence - right, weights=number))


def above_baseline(runs: list[dict], split: str) -> bool:
    """Return whether the interval of the mean accuracy over seeds and rows lies above the majority class."""
    low, _ = aggregate.mean_interval(runs, split, "accuracy")
    return low > runs[0]["baseline"][split]["accuracy"]


def seeds(runs: list[dict]) -> str:
    return "one seed" if len(runs) == 1 else f"mean of {len(runs)} seeds"


def sst2_loss(evidence: Evidence) -> Verdict:
    losses = [epoch["val_loss"] for epoch in log("SST-2")["epochs"]]
    reason = (
        f"The log of Figure 12, of another run than Table 1, has {joined([f'{loss:.3f}' for loss in losses])}: a rise "
        f"of {100 * (losses[-1] / losses[0] - 1):.0f} %, which is not flat."
    )
    return Verdict(CONTRADICTED, reason, "pages/errata")


def mrpc_curve(evidence: Evidence) -> Verdict:
    runs = evidence.final.get("mrpc")
    if not runs or len(runs[0]["history"]) < 2:
        return not_run("mrpc")
    gains = after_first_epoch(runs, "validation", "accuracy")
    low, high = runs[0]["interval"]["validation"]["accuracy"]
    epochs = range(len(runs[0]["history"]))
    losses = [fmean(run["history"][epoch]["validation"]["loss"] for run in runs) for epoch in epochs]
    best = min(range(len(losses)), key=losses.__getitem__)
    reason = (
        f"Validation loss is {losses[0]:.3f} after the first epoch, lowest after epoch {best + 1} ({losses[best]:.3f}) "
        f"and {losses[-1]:.3f} after the last; accuracy moves from the first to the last by {fmean(gains):+.3f} "
        f"({seeds(runs)}): "
    )
    direction = moves(gains, 0.0 if len(runs) >= SEEDS_THAT_TELL else (high - low) / 2)
    found = {"rises": CONTRADICTED, "falls": CONFIRMED, "neither": OPEN}[direction]
    said = {
        "rises": "it does not fall with the rise of the loss, and stopping after one epoch would have been worse.",
        "falls": "stopping after one epoch would have been better.",
        "neither": "no more than noise, or not in one direction in every seed.",
    }
    return Verdict(found, reason + said[direction], "pages/results")


# --- claims about training and modifications


def small_sets_overfit(evidence: Evidence) -> Verdict:
    points, epochs = [], set()
    for name, runs in evidence.final.items():
        task = TASKS[name]
        if not task.regression:
            epochs.add(runs[0]["epochs"])
            last = [run["history"][-1] for run in runs]
            gap = fmean(row["train"]["accuracy"] - row[task.validation[0]]["accuracy"] for row in last)
            points.append((runs[0]["examples"]["train"], gap, task.title))
    if len(points) < FEWEST_TASKS:
        return Verdict(OPEN, f"The reference run has {len(points)} of the tasks so far.", "pages/results")
    rows, gaps, titles = zip(*sorted(points), strict=True)
    found = stats.spearmanr(rows, gaps)
    said = joined([f"{title} {gap:+.3f}" for title, gap in zip(titles, gaps, strict=True)])
    reason = (
        f"Accuracy on train, during the last epoch with dropout on, less that on validation after it, the smallest "
        f"train first: {said}. Rank correlation with the rows of train {found.statistic:+.2f} "
        f"(p = {found.pvalue:.2f})."
    )
    if len(epochs) > 1:
        reason += f" Epochs differ ({min(epochs)} to {max(epochs)}), so that size and epochs cannot be told apart."
    if found.pvalue >= SIGNIFICANT or len(epochs) > 1:
        return Verdict(OPEN, reason, "pages/results")
    return Verdict(CONFIRMED if found.statistic < 0 else CONTRADICTED, reason, "pages/results")


def small_data_gain(evidence: Evidence) -> Verdict:
    small = {name for name, runs in evidence.final.items() if runs[0]["examples"]["train"] < SMALL_TRAIN}
    gains = [main_difference(TASKS[name], evidence.gains[name]) for name in evidence.gains if name in small]
    if not gains:
        reason = (
            "MiniLM's sizes from random weights were not run on small tasks; of the bundled encoder the page says more."
        )
        return Verdict(OPEN, reason, "pages/pretraining_gain")
    said = joined(
        [
            f"{title} {one['gain']:+.3f} ({one['low']:+.3f} to {one['high']:+.3f}, {METRIC_TITLES[one['metric']]}, "
            f"seeds {one['seeds'][1]} and {one['seeds'][0]})"
            for title, one in gains
        ]
    )
    reason = (
        f"What MiniLM's weights gain over the same encoder from random weights, on tasks with few rows: {said}. Rate "
        "and epochs were chosen for MiniLM's weights alone."
    )
    lacking = sorted(TASKS[name].title for name in small - evidence.gains.keys())
    if lacking or min(min(one["seeds"]) for _, one in gains) < SEEDS_THAT_TELL:
        rest = f", and {joined(lacking)} from random weights are not run" if lacking else ""
        reason += f" It takes {SEEDS_THAT_TELL} seeds of every small task to tell{rest}."
        return Verdict(OPEN, reason, "pages/error_analysis")
    up, down = sum(one["low"] > 0 for _, one in gains), sum(one["high"] < 0 for _, one in gains)
    found = CONFIRMED if up > len(gains) / 2 and not down else CONTRADICTED if down else OPEN
    return Verdict(found, reason, "pages/error_analysis")


def main_difference(task: Task, differences: list[dict]) -> tuple[str, dict]:
    """Return the title and the difference by the metric and on the split that represent a task."""
    split, metric = task.validation[0], task.metrics[0]
    one = next(one for one in differences if (one["split"], one["metric"]) == (split, metric))
    return row_title(task, split), one


def pruning_regularises(evidence: Evidence) -> Verdict:
    said, beyond, pruned = [], [], Counter()
    for title, one in by_title(evidence.compressions).items():
        if nothing_pruned(one):
            said.append(f"{title}: no head was pruned")
            continue
        gain, low, high = gain_of_pruning(one)
        said.append(f"{title} {gain:+.3f} ({low:+.3f} to {high:+.3f})")
        beyond.append((low > 0) - (high < 0))
        pruned[one["task"]] += 1
    reason = f"Retrained with the selected heads against retrained with all, on GLUE: {'; '.join(said)}."
    if pruned and min(pruned.values()) < RETRAININGS_THAT_TELL:
        reason += " The intervals are of the rows; one retraining of a task does not tell."
        return Verdict(OPEN, reason, "pages/modifications")
    if beyond and min(beyond) > 0:
        return Verdict(CONFIRMED, reason, "pages/modifications")
    return Verdict(CONTRADICTED if beyond and max(beyond) < 0 else OPEN, reason, "pages/modifications")


def optimum_by_task(evidence: Evidence) -> Verdict:
    if not evidence.compressions:
        return Verdict(OPEN, "No run was compressed.", "pages/modifications")
    said, same = [], []
    for title, one in by_title(evidence.compressions).items():
        selected, best = sum(map(len, one["selection"]["kept"])), optimum(one)
        said.append(f"{selected} of {sum(one['heads'])} on {title} (optimum of the curve: {optimum_said(one)})")
        same.append(selected == best and curve_step(one) == 1)
    reason = (
        f"A method finds a number without a hand: gates that are trained with a penalty keep {joined(said)}. The "
        "optimum is read off GLUE's development rows, before retraining."
    )
    if all(same):
        return Verdict(CONTRADICTED, reason, "pages/modifications")
    return Verdict(OPEN, reason + " That it is the best number is not shown.", "pages/modifications")


def vocabulary(evidence: Evidence) -> Verdict:
    runs = [run for same in evidence.final.values() for run in same]
    sizes = {run["model"]["sizes"]["vocabulary_size"] for run in runs}
    reason = "Fine-tuning changes weights; the WordPiece vocabulary is a file that stays as it was published."
    if runs:
        entries = joined(sorted(f"{size:,}" for size in sizes))
        reason += f" After all {len(runs)} fine-tunings of the reference run it has {entries} entries, as before."
    return Verdict(CONTRADICTED, reason, "pages/errata")


def memory(evidence: Evidence) -> Verdict:
    points = sorted(evidence.growth.get("length", []), key=lambda row: row["length"])
    if len(points) < 2:
        return Verdict(OPEN, "How memory grows with length was not measured.", "pages/hardware")
    short, long = (
        next((row for row in points if row["length"] == report()["recipe"]["max_length"]), points[0]),
        points[-1],
    )
    less, more = (row["peak_memory_mb"] for row in (short, long))
    reason = (
        f"Measured on a processor, an encoder of {short['layers']} layers: {less:,} MB at {short['length']} tokens and "
        f"{more:,} MB at {long['length']}, the longest that was measured; a step takes "
        f"{long['step'] / short['step']:.1f} times as long."
    )
    return Verdict(CONFIRMED if less < SUBSTANTIAL * more else OPEN, reason, "pages/hardware")


def viability(evidence: Evidence) -> Verdict:
    minutes = sorted(
        (
            runs[0]["timing"]["steady_epoch"] / 60,
            f"{TASKS[name].title}, {runs[0]['examples']['train']:,} rows",
        )
        for name, runs in evidence.final.items()
    )
    reason = "No TPU was at hand: its compiler was, and Table 2's times are first epochs, with compilation."
    if minutes:
        (least, first), (most, last) = minutes[0], minutes[-1]
        reason += (
            f" In the first run of each task of the reference run an epoch of MiniLM took from {least:.1f} ({first}) "
            f"to {most:.1f} minutes ({last}) on a processor."
        )
    return Verdict(OPEN, reason, "pages/viability")


RULES: dict[str, Callable[[Evidence], Verdict]] = {
    "mnli-accuracy": agrees_with_others("MNLI-m", "MNLI-mm"),
    "mnli-loss": loss_rises("MNLI-m", "falling confidence"),
    "qqp-f1": batchwise("QQP"),
    "qqp-loss": loss_rises("QQP", "low confidence"),
    "qnli-accuracy": agrees_with_others("QNLI"),
    "qnli-loss": loss_rises("QNLI"),
    "sst2-accuracy": agrees_with_others("SST-2"),
    "sst2-loss": sst2_loss,
    "cola-accuracy": cola_accuracy,
    "cola-loss": loss_rises("CoLA"),
    "mrpc-curve": mrpc_curve,
    "mrpc-f1": batchwise("MRPC"),
    "rte-accuracy": rte_accuracy,
    "rte-loss": loss_rises("RTE", "lost confidence"),
    "small-sets-overfit": small_sets_overfit,
    "pruning-regularises": pruning_regularises,
    "optimum-by-task": optimum_by_task,
    "small-data-gain": small_data_gain,
    "vocabulary": vocabulary,
    "memory": memory,
    "viability": viability,
}

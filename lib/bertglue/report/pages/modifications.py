"""The page on the proposed modifications: heads pruned in three orders, their number selected, quantized files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.ticker import MaxNLocator

from bertglue.evaluation.aggregate import ERRORS_PER_INTERVAL
from bertglue.evaluation.metrics import METRIC_TITLES
from bertglue.own_tasks import task_of_record
from bertglue.report.figures import color, small_multiples
from bertglue.report.pages.common import dashed, joined
from bertglue.report.reference_runs import MODEL_TITLES, read_real_compressions, runs_by_task
from bertglue.report.tables import LINE_BREAK, table
from bertglue.runs.collection import Runs
from bertglue.runs.record import COMPRESSION_FILE, by_task, read_compression
from bertglue.runs.schemas import ALL_HEADS, SELECTED_HEADS, CompressionRecord
from bertglue.runs.status import FINISHED
from bertglue.tasks import TASKS, title_of

ORDER_TITLES = {"gradient": "gradient of a gate", "magnitude": "weight magnitude", "random": "random order"}
FILE_MARKS = "osD^vPX"  # of kinds of files
AREA_OF_A_MILLISECOND = 12  # of a mark, in square points
STEP_TITLES = {
    (ALL_HEADS, "before"): "as fine-tuned",
    (SELECTED_HEADS, "before"): "the others pruned",
    (SELECTED_HEADS, "after"): "retrained",
    (ALL_HEADS, "after"): "retrained",
}


def read_compressions(paths: Iterable[Path]) -> dict[str, dict]:
    """Read compressions, {title: record}."""
    return by_title(read_compression(path, *CompressionRecord.model_fields) for path in paths)


def load_compressions(runs: Runs) -> dict[str, dict]:
    """Read the compressions of a book's runs of GLUE's tasks, {title: record}; one's own have chapters alone."""
    finished = [state for state in runs.compressions if state["state"] == FINISHED and state["task"] in TASKS]
    return read_compressions(runs.place / state["run"] / COMPRESSION_FILE for state in finished)


def real_compressions() -> dict[str, dict]:
    """Read the compressions on real GLUE, {title: record}."""
    return by_title(read_real_compressions())


def by_title(records: Iterable[dict]) -> dict[str, dict]:
    """Name compressions by their task, in GLUE's order; by encoder and seed too where they differ."""
    records = sorted(records, key=lambda record: (by_task(record), record["seed"]))
    several_encoders = len({record["encoder"] for record in records}) > 1
    seeds = Counter(record["task"] for record in records)
    found = {}
    for record in records:
        title = title_of(record["task"])
        if several_encoders and (encoder := MODEL_TITLES.get(record["encoder"])):
            title += f", {encoder}"
        found[f"{title} (seed {record['seed']})" if seeds[record["task"]] > 1 else title] = record
    return found


def main_split(record: dict) -> tuple[str, str]:
    """Return the validation split and the metric that represent a task."""
    task = task_of_record(record)
    return task.validation[0], task.metrics[0]


def curve(record: dict, order: str) -> np.ndarray:
    """Return a pruning curve, the score by the number of heads left: [seeds, points, (heads, score)]."""
    split, metric = main_split(record)
    seeds = sorted({point["seed"] for point in record["pruning_curve"] if point["order"] == order})
    return np.array(
        [
            [(point["heads"], point["scores"][split][metric]) for point in record["pruning_curve"]
             if (point["order"], point["seed"]) == (order, seed)]
            for seed in seeds
        ]
    )  # fmt: skip


def pruning_curves(found: dict[str, dict]):
    """Draw the metric against the share of heads left, in three orders, and where the selection lies.

    A band reaches from the lowest to the highest of the seeds.
    """

    def draw(axis, record):
        split, metric = main_split(record)
        total = sum(record["heads"])
        for at, (order, title) in enumerate(ORDER_TITLES.items()):
            points = curve(record, order)
            share, scores = points[0, :, 0] / total, points[:, :, 1]
            axis.plot(share, scores.mean(axis=0), "osd"[at] + "-", markersize=4, color=color(at), label=title)
            axis.fill_between(share, scores.min(axis=0), scores.max(axis=0), color=color(at), alpha=0.2, linewidth=0)
        retrained = record["retrained"][SELECTED_HEADS]
        kept = sum(map(len, retrained["kept"])) / total
        score, (low, high) = (retrained["after"][what][split][metric] for what in ("metrics", "interval"))
        bar = [[max(score - low, 0)], [max(high - score, 0)]]
        axis.errorbar(kept, score, bar, fmt="*", color=color(3), markersize=11, capsize=2, label="selected, retrained")
        axis.axhline(record["baseline"][split][metric], color="0.4", linestyle="--", label="baseline")
        axis.set(xlabel="share of heads left", ylabel=METRIC_TITLES[metric])

    return panels(found, draw, size=(2.4, 2.3))


def panels(found: dict[str, dict], draw, **options):
    """Draw a panel for each task; nothing where no run was compressed."""
    return small_multiples(list(found.items()), draw, **options) if found else None


def head_maps(found: dict[str, dict]):
    """Draw which heads of which layer were kept."""

    def draw(axis, record):
        kept = record["selection"]["kept"]
        width = max(record["heads"])
        cells = np.full((len(kept), width), np.nan)
        for layer, heads in enumerate(record["heads"]):
            cells[layer, :heads] = [head in kept[layer] for head in range(heads)]
        axis.imshow(cells, cmap="Blues", vmin=-0.2, vmax=1.2, aspect="auto")
        axis.set(xlabel="head", ylabel="layer", xticks=range(width), yticks=range(len(kept)))
        axis.set_xticklabels(range(1, width + 1))
        axis.set_yticklabels(range(1, len(kept) + 1))

    return panels(found, draw, size=(2.4, 1.5), grid=False)


def optimum(record: dict) -> int:
    """Return the fewest heads at which the gradient order is within a standard error of all heads, on validation.

    Score and standard error are read off validation, which the selection does not use.
    """
    split, metric = main_split(record)
    low, high = record["retrained"][ALL_HEADS]["before"]["interval"][split][metric]
    points = curve(record, "gradient").mean(axis=0)
    least = points[points[:, 0].argmax(), 1] - (high - low) / ERRORS_PER_INTERVAL
    return int(min(heads for heads, score in points if score >= least))


def curve_step(record: dict) -> int:
    """Return how many heads lie between two points of the pruning curve, at most."""
    heads = curve(record, "gradient")[0, :, 0]
    return int(np.abs(np.diff(heads)).max())


def optimum_said(record: dict) -> str:
    """Write the optimum of a pruning curve, and how finely it is known."""
    step = curve_step(record)
    return str(optimum(record)) + (f", in steps of {step}" if step > 1 else "")


def selections(found: dict[str, dict]):
    """List how many heads were selected, on held-out rows, and how many a curve over validation would have kept."""
    rows = []
    for title, record in found.items():
        selection = record["selection"]
        kept = [trial for trial in selection["trials"] if trial["kept"] == selection["kept"]]
        best = max(kept, key=lambda trial: trial["score"], default=None)
        whole = f"{selection['reference']:.3f} ± {selection['error']:.3f}"
        rows.append(
            {
                "task": title,
                "heads": sum(record["heads"]),
                "selected": sum(map(len, selection["kept"])),
                "optimum of the curve": optimum_said(record),
                "held-out mean of the metrics, all heads (± standard error)": whole,
                "the same, selected heads": f"{best['score']:.3f}" if best else "",
                "L0 penalty λ": f"{best['strength']:.3g}" if best else "none was enough",
            }
        )
    return table(pd.DataFrame(rows))


def scores(found: dict[str, dict]):
    """List the scores on validation before and after retraining, with the selected heads and with all."""
    rows = []
    for title, record in found.items():
        split, metric = main_split(record)
        row = {"task": title, "metric": METRIC_TITLES[metric]}
        for (model, step), said in STEP_TITLES.items():
            score, bounds = (record["retrained"][model][step][what][split][metric] for what in ("metrics", "interval"))
            row[f"{model}, {said}"] = f"{score:.3f}{LINE_BREAK}{dashed(*bounds)}"
        gain, low, high = gain_of_pruning(record)
        row["difference by pruning"] = f"{gain:+.3f}{LINE_BREAK}{dashed(low, high)}{LINE_BREAK}{scores_higher(record)}"
        rows.append(row | {"baseline": f"{record['baseline'][split][metric]:.3f}"})
    return table(pd.DataFrame(rows), classes="scores")


def findings(found: dict[str, dict]) -> str:
    """Describe how many heads were pruned, and what that cost."""
    if not found:
        return "No run was compressed in this build."
    said, none = [], []
    for title, record in found.items():
        split, metric = main_split(record)
        if nothing_pruned(record):
            none.append(title)
            continue
        gone = sum(record["heads"]) - sum(map(len, record["selection"]["kept"]))
        before, after = (record["retrained"][model][step]["metrics"][split][metric]
                         for model, step in ((ALL_HEADS, "before"), (SELECTED_HEADS, "after")))  # fmt: skip
        said.append(
            f"{gone} of {sum(record['heads'])} on {title} ({METRIC_TITLES[metric]} {before:.3f} as "
            f"fine-tuned, {after:.3f} after retraining the rest)"
        )
    parts = [f"Pruned heads: {joined(said)}; scores are on validation."] if said else []
    return " ".join([*parts, *([f"No head was pruned on {joined(none)}."] if none else [])])


def nothing_pruned(record: dict) -> bool:
    """Return whether the selected heads are all heads."""
    return sum(record["heads"]) == sum(map(len, record["selection"]["kept"]))


def gain_of_pruning(record: dict) -> tuple[float, float, float]:
    """Return what the selected heads score above all heads, both retrained, and its 95 % interval.

    The interval is of the same rows, resampled together; of a record without it, that of two independent scores.
    """
    split, metric = main_split(record)
    for one in record.get("pruning_gain", []):
        if (one["split"], one["metric"]) == (split, metric):
            return one["gain"], one["low"], one["high"]
    after = [record["retrained"][model]["after"] for model in (SELECTED_HEADS, ALL_HEADS)]
    gain = after[0]["metrics"][split][metric] - after[1]["metrics"][split][metric]
    width = sum(((high - low) / 2) ** 2 for low, high in (model["interval"][split][metric] for model in after)) ** 0.5
    return gain, gain - width, gain + width


def scores_higher(record: dict) -> str:
    """Judge whether the selected heads score above all heads, both retrained, as far as the rows can tell."""
    if nothing_pruned(record):
        return "none pruned"
    _, low, high = gain_of_pruning(record)
    return "higher" if low > 0 else "lower" if high < 0 else "cannot be told"


def compressed_models(found: dict[str, dict]) -> str:
    """Name the classifiers that were compressed."""
    tasks = {}
    for record in found.values():
        encoder = f"{MODEL_TITLES[record['encoder']]} ({sum(record['heads'])} heads)"
        tasks.setdefault(encoder, {})[title_of(record["task"])] = None
    said = joined([f"the {encoder} on {joined(list(titles))}".replace("the MiniLM", "MiniLM")
                   for encoder, titles in tasks.items()])  # fmt: skip
    rows = joined(
        [f"{TASKS[name].title} {runs[0]['examples']['train']:,}" for name, runs in runs_by_task("to-compress").items()]
    )
    trained = f" Rows of train that MiniLM was fine-tuned on, without the held-out tenth: {rows}." if rows else ""
    return f"Here both are carried out on real GLUE: {said}.{trained}"


def strength_findings(found: dict[str, dict]) -> str:
    """Describe which classifiers are above their baseline before pruning."""
    above, others = [], []
    for title, record in found.items():
        split, metric = main_split(record)
        low, _ = record["retrained"][ALL_HEADS]["before"]["interval"][split][metric]
        (above if low > record["baseline"][split][metric] else others).append(title)
    said = f"As fine-tuned, the interval of the score lies above the baseline on {joined(above) or 'no task'}"
    if others:
        said += f", and not on {joined(others)}, where the classifier has learned too little for pruning to mean much"
    return f"{said}."


def loss_findings(found: dict[str, dict]) -> str:
    """Describe whether retraining the pruned model ends with a lower validation loss than retraining all heads."""
    if not found:
        return ""
    lower, higher = [], []
    for title, record in found.items():
        if nothing_pruned(record):
            continue  # it is one model twice
        split, _ = main_split(record)
        ends = [record["retrained"][model]["history"][-1][split]["loss"] for model in (SELECTED_HEADS, ALL_HEADS)]
        (lower if ends[0] < ends[1] else higher).append(f"{title} ({ends[0]:.3f} against {ends[1]:.3f})")
    words = [f"ends lower with the selected heads on {joined(lower)}"] if lower else []
    words += [f"ends higher with them on {joined(higher)}"] if higher else []
    return f"The validation loss {joined(words)}. These are differences of one run each." if words else ""


def losses(found: dict[str, dict]):
    """Draw the validation loss while the classifiers are retrained, with the selected heads and with all."""

    def draw(axis, record):
        split, _ = main_split(record)
        for at, model in enumerate((SELECTED_HEADS, ALL_HEADS)):
            history = record["retrained"][model]["history"]
            values = [row[split]["loss"] for row in history]
            axis.plot([row["epoch"] for row in history], values, "so"[at] + "-", color=color(at), label=model)
        axis.set(xlabel="epoch of retraining", ylabel="validation loss")
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
        axis.set_ylim(0, 1.2 * axis.get_ylim()[1])

    return panels(found, draw)


def file_points(found: dict[str, dict]):
    """Draw each file's score against its size; the area of a mark is the time of one row."""

    def draw(axis, record):
        split, metric = main_split(record)
        kinds = list(dict.fromkeys(file["kind"] for one in found.values() for file in one["files"]))
        for file in record["files"]:
            at, whole = kinds.index(file["kind"]), file["model"] == ALL_HEADS
            look = {"marker": FILE_MARKS[at % len(FILE_MARKS)], "edgecolor": color(at % 6), "alpha": 0.8}
            look["facecolor"] = look["edgecolor"] if whole else "none"
            look["s"] = AREA_OF_A_MILLISECOND * 1000 * file["latency"]["1"]
            place = file["bytes"] / 1e6, file["metrics"][split][metric]
            axis.scatter(*place, label=file["kind"] if whole else None, **look)
        axis.axhline(record["baseline"][split][metric], color="0.4", linestyle="--")
        axis.set(xlabel="MB", ylabel=METRIC_TITLES[metric])

    return panels(found, draw, size=(2.5, 2.5), legend_columns=4)


def files(found: dict[str, dict]):
    """List each file: its size, its latency and peak memory, and its scores on all of validation."""
    rows = []
    for title, record in found.items():
        split, metric = main_split(record)
        for file in record["files"]:
            rows.append(
                {
                    "task": title,
                    "model": file["model"],
                    "weights": file["kind"],
                    "MB": f"{file['bytes'] / 1e6:.2f}",
                    "1 row, ms": f"{1000 * file['latency']['1']:.2f}",
                    "32 rows, ms": f"{1000 * file['latency']['32']:.1f}",
                    "memory, MB": "" if file["peak_memory_mb"] is None else f"{file['peak_memory_mb']}",
                    "metric": METRIC_TITLES[metric],
                    "score": f"{file['metrics'][split][metric]:.3f}",
                    "95 % interval": dashed(*file["interval"][split][metric]),
                    "baseline": f"{record['baseline'][split][metric]:.3f}",
                }
            )
    return table(pd.DataFrame(rows), classes="scores")

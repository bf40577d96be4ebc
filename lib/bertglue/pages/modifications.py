"""The page on the proposed modifications: heads removed in three orders, their number chosen, files of fewer bits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from bertglue.figures import color, small_multiples
from bertglue.metrics import TITLES
from bertglue.pages.common import joined
from bertglue.records import COMPRESSION, PRUNED, WHOLE, read_json
from bertglue.report import table
from bertglue.tasks import TASKS

ORDERS = {"gradient": "gradient of a gate", "magnitude": "weight magnitude", "random": "random order"}
STEPS = {"before": "heads removed", "after": "fine-tuned again"}


def load(paths: str | list[str]) -> dict[str, dict]:
    """Read the compressions under a folder, or of given files, as {task: record}."""
    files = sorted(Path(paths).rglob(COMPRESSION)) if isinstance(paths, str) else [Path(path) for path in paths]
    found = {record["task"]: record for record in (read_json(path, "compression") for path in files)}
    return {name: found[name] for name in TASKS if name in found}


def main_split(record: dict) -> tuple[str, str]:
    """Give the validation split and the metric that stand for a task."""
    task = TASKS[record["task"]]
    return task.validation[0], task.metrics[0]


def curve(record: dict, order: str) -> np.ndarray:
    """Give the score of a sweep by the number of heads that are left, [seeds, (heads, score)]."""
    split, metric = main_split(record)
    seeds = sorted({point["seed"] for point in record["sweep"] if point["order"] == order})
    return np.array(
        [
            [(point["heads"], point["scores"][split][metric]) for point in record["sweep"]
             if (point["order"], point["seed"]) == (order, seed)]
            for seed in seeds
        ]
    )  # fmt: skip


def sweeps(found: dict[str, dict]):
    """Draw the metric against the share of heads that are left, in three orders, and where the choice lies."""

    def draw(axis, record):
        split, metric = main_split(record)
        total = sum(record["heads"])
        for at, (order, title) in enumerate(ORDERS.items()):
            points = curve(record, order)
            share, scores = points[0, :, 0] / total, points[:, :, 1]
            axis.plot(share, scores.mean(axis=0), "osd"[at] + "-", color=color(at), label=title)
            axis.fill_between(share, scores.min(axis=0), scores.max(axis=0), color=color(at), alpha=0.2, linewidth=0)
        again = record["again"][PRUNED]
        kept = sum(map(len, again["kept"])) / total
        score = again["after"]["metrics"][split][metric]
        axis.plot(kept, score, "*", color=color(3), markersize=11, label="chosen, fine-tuned again")
        axis.set(xlabel="share of heads left", ylabel=TITLES[metric])

    return small_multiples([(TASKS[name].title, record) for name, record in found.items()], draw, size=(2.4, 2.3))


def head_maps(found: dict[str, dict]):
    """Draw which heads of which layer were kept."""

    def draw(axis, record):
        kept = record["choice"]["kept"]
        width = max(record["heads"])
        cells = np.full((len(kept), width), np.nan)
        for layer, heads in enumerate(record["heads"]):
            cells[layer, :heads] = [head in kept[layer] for head in range(heads)]
        axis.imshow(cells, cmap="Blues", vmin=-0.2, vmax=1.2, aspect="auto")
        axis.set(xlabel="head", ylabel="layer", xticks=range(width), yticks=range(len(kept)))
        axis.set_xticklabels(range(1, width + 1))
        axis.set_yticklabels(range(1, len(kept) + 1))

    shown = [(TASKS[name].title, record) for name, record in found.items()]
    return small_multiples(shown, draw, size=(2.4, 1.5), grid=False)


def optimum(record: dict) -> int:
    """Give the fewest heads at which the gradient's sweep is still within a standard error of all heads, on validation.

    It has looked at validation, which the choice has not.
    """
    points = curve(record, "gradient").mean(axis=0)
    whole = points[points[:, 0].argmax(), 1]
    return int(min(heads for heads, score in points if score >= whole - record["choice"]["error"]))


def choices(found: dict[str, dict]):
    """List how many heads were chosen, the sweep's optimum, and the scores before and after fine-tuning again."""
    rows = []
    for name, record in found.items():
        split, metric = main_split(record)
        row = {"task": TASKS[name].title, "metric": TITLES[metric], "heads": sum(record["heads"])}
        row |= {"chosen": sum(map(len, record["choice"]["kept"])), "sweep's optimum": optimum(record)}
        for model, again in record["again"].items():
            for step, said in STEPS.items():
                if (model, step) == (WHOLE, "before"):
                    said = "as fine-tuned"
                low, high = again[step]["interval"][split][metric]
                score = again[step]["metrics"][split][metric]
                row[f"{model}, {said}"] = f"{score:.3f} ({low:.3f}\u2060–\u2060{high:.3f})"
        rows.append(row)
    return table(pd.DataFrame(rows), classes="scores")


def findings(found: dict[str, dict]) -> str:
    """Say how many heads went, and whether fine-tuning the smaller model again has a lower validation loss."""
    if not found:
        return "No run was compressed in this build."
    said, lower = [], []
    for name, record in found.items():
        split, _ = main_split(record)
        gone = sum(record["heads"]) - sum(map(len, record["choice"]["kept"]))
        said.append(f"{gone} of {sum(record['heads'])} on {TASKS[name].title}")
        losses = [record["again"][model]["history"][-1][split]["loss"] for model in (PRUNED, WHOLE)]
        if losses[0] < losses[1]:
            lower.append(f"{TASKS[name].title} ({losses[0]:.3f} against {losses[1]:.3f})")
    hope = f"it is lower on {joined(lower)}" if lower else "it is lower on no task"
    return (
        f"The choice removed {joined(said)}. The published report hoped that pruning would regularise: after "
        f"fine-tuning again, the validation loss with the chosen heads is set against that of all heads, after as many "
        f"steps; {hope}."
    )


def losses(found: dict[str, dict]):
    """Draw the validation loss while the classifiers are fine-tuned again, with the chosen heads and with all."""

    def draw(axis, record):
        split, _ = main_split(record)
        for at, (model, again) in enumerate(record["again"].items()):
            history = again["history"]
            values = [row[split]["loss"] for row in history]
            epochs = [row["epoch"] for row in history]
            axis.plot(epochs, values, "so"[at] + "-", color=color(at), label=model)
        axis.set(xlabel="epoch of fine-tuning again", ylabel="validation loss", xticks=epochs, xmargin=0.5)
        axis.set_ylim(0, 1.2 * axis.get_ylim()[1])

    return small_multiples([(TASKS[name].title, record) for name, record in found.items()], draw)


def files(found: dict[str, dict]):
    """List each file: its size, its latency and peak memory, and its scores on all of validation."""
    rows = []
    for name, record in found.items():
        split, metric = main_split(record)
        for file in record["files"]:
            low, high = file["interval"][split][metric]
            rows.append(
                {
                    "task": TASKS[name].title,
                    "model": file["model"],
                    "weights": file["kind"],
                    "MB": f"{file['bytes'] / 1e6:.2f}",
                    "1 row, ms": f"{1000 * file['latency']['1']:.2f}",
                    "32 rows, ms": f"{1000 * file['latency']['32']:.1f}",
                    "memory, MB": file["peak_memory_mb"],
                    TITLES[metric] if len({main_split(r)[1] for r in found.values()}) == 1 else "score": (
                        f"{file['metrics'][split][metric]:.3f} ({low:.3f}\u2060–\u2060{high:.3f})"
                    ),
                }
            )
    return table(pd.DataFrame(rows), classes="scores")

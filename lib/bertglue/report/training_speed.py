"""The speed of fine-tuning beside what people would use instead, and how its cost grows; `make bench` measures it.

`measured/training_speed.json` and `measured/cost_growth.json` hold the last whole results, which README and book show.
"""

from __future__ import annotations

import json
import statistics
import time
from collections import Counter
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.ticker import MaxNLocator

from bertglue.atomic_files import write_text
from bertglue.environment import commit, processor, versions
from bertglue.evaluation.metrics import METRIC_TITLES
from bertglue.evaluation.significance import mean_score, paired_bootstrap
from bertglue.report.figures import FIGURE_STYLE, color, finish
from bertglue.report.measured_files import TRAINING_SPEED
from bertglue.tasks import TASKS

GROWTH_ENCODER = "4 layers of 256 (two layers for the rows)"
OURS = "bertglue"
PEER_PACKAGES = ("torch", "transformers", "tf_keras")
PACKAGES_SHOWN = ("tensorflow", "keras", *PEER_PACKAGES)


def build_result(**measured: list[dict]) -> dict:
    """Build a result: what was measured, on which machine, with which versions."""
    return {
        "processor": processor(),
        "versions": versions(PEER_PACKAGES),
        "commit": commit(),
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        **measured,
    }


def read_result(path: Path = TRAINING_SPEED) -> dict:
    """Read the last whole result."""
    return json.loads(path.read_text(encoding="utf-8"))


def contestants(result: dict, race: str) -> pd.DataFrame:
    """Return the medians over the turns of each contestant of a race, in the order in which they ran.

    Columns: training and evaluation examples a second, seconds from the start of the process to the end of the first
    step and to its own end, peak memory [MB], the metric's mean over the turns, shares of the matrix-product peak (ours
    alone), how many times as fast as it we train, and what our metric is above its own, with the 95 % interval.
    """
    setting = next(setting for setting in result["settings"] if setting["name"] == race)
    runs = [run for run in result["runs"] if run["race"] == race]
    rates = {(run["contestant"], run["turn"]): run["examples"] / run["epochs"][-1] for run in runs}
    labels, rows = read_digits(setting["labels"]), {}
    predicted = {
        name: np.array([read_digits(run["predictions"]) for run in runs if run["contestant"] == name])
        for name in dict.fromkeys(run["contestant"] for run in runs)
    }
    for name, predictions in predicted.items():
        own = [run for run in runs if run["contestant"] == name]

        def median(value, own=own):
            return statistics.median(value(run) for run in own)

        rows[name] = {
            "precision": own[0]["precision"],
            "training": median(lambda run: rates[run["contestant"], run["turn"]]),
            "evaluation": median(lambda run: len(run["predictions"]) / run["evaluate"]),
            "first_step": median(lambda run: run["first_step"]),
            "whole": median(lambda run: run["whole"]),
            "memory": median(lambda run: run["peak_memory_mb"]),
            "score": mean_score(setting["metric"], labels, predictions),
            "peak_share": median(lambda run: run.get("peak_share", float("nan"))),
            "ahead": median(lambda run: rates[OURS, run["turn"]] / rates[run["contestant"], run["turn"]]),
            "gain": paired_bootstrap(setting["metric"], labels, predictions, predicted[OURS]),
        }
    return pd.DataFrame.from_dict(rows, orient="index")


def read_digits(text: str) -> np.ndarray:
    """Read labels that are written as one digit a row."""
    return np.array(list(text), dtype="int64")


def races(result: dict) -> list[str]:
    return list(dict.fromkeys(run["race"] for run in result["runs"]))


def summary(result: dict) -> pd.DataFrame:
    """Return training examples a second of each race and contestant, and how many times as fast we are; ours last."""
    rows, names = [], list(dict.fromkeys(run["contestant"] for run in result["runs"]))
    for race in races(result):
        rows.append({"encoder, rows of": race})
        for name, row in contestants(result, race).iterrows():
            ahead = "" if name == OURS else f" ({row['ahead']:.1f} x)"
            rows[-1][name] = f"{rate_text(row['training'])}{ahead}"
    columns = ["encoder, rows of", *(name for name in names if name != OURS), OURS]
    return pd.DataFrame(rows, columns=columns).fillna("")


def rate_text(rate: float) -> str:
    """Format examples a second: whole from 100 on, below with three digits."""
    return f"{rate:,.0f}" if rate >= 100 else f"{rate:.3g}"


def details(result: dict) -> pd.DataFrame:
    """Format the times and the memory of each race and contestant.

    Examples a second, seconds from the start of the process to the end of the first step and to its own end, memory.
    """
    rows = [
        {
            "encoder, rows of": race,
            "contestant": name,
            "precision": found["precision"],
            "trained/s": rate_text(found["training"]),
            "evaluated/s": rate_text(found["evaluation"]),
            "first step, s": f"{found['first_step']:.1f}",
            "whole, s": f"{found['whole']:.0f}",
            "GB": f"{found['memory'] / 1000:.1f}",
        }
        for race in races(result)
        for name, found in contestants(result, race).iterrows()
    ]
    return pd.DataFrame(rows)


def scores(result: dict) -> pd.DataFrame:
    """Format the task's metric of each race and contestant, and the paired difference that ours is above it."""
    settings, rows = {setting["name"]: setting for setting in result["settings"]}, []
    for race in races(result):
        for name, found in contestants(result, race).iterrows():
            gain, low, high = found["gain"]
            rows.append(
                {
                    "encoder, rows of": race,
                    "contestant": name,
                    "metric": METRIC_TITLES[settings[race]["metric"]],
                    "score": f"{found['score']:.3f}",
                    "ours above it": "" if name == OURS else f"{gain:+.3f} ({low:+.3f} to {high:+.3f})",
                }
            )
    return pd.DataFrame(rows)


def conditions(result: dict) -> str:
    """Describe in a sentence or two where and of what this was measured."""
    share = {race: contestants(result, race).loc[OURS, "peak_share"] for race in races(result)}
    shares = ", ".join(f"{value:.0%} ({race})" for race, value in share.items())
    packages = ", ".join(f"{name} {version}" for name, version in result["versions"].items() if name in PACKAGES_SHOWN)
    turns = {race: max(run["turn"] for run in result["runs"] if run["race"] == race) for race in share}
    counts = ", ".join(f"{count} ({race})" for race, count in turns.items())
    once = " Of one turn no spread is known." if min(turns.values()) == 1 else ""
    precisions = ", ".join(sorted({f"{run['contestant']} in {run['precision']}" for run in result["runs"]}))
    return (
        f"Examples a second in the last epoch; turns, over which a median is taken: {counts}.{once} Precision: "
        f"{precisions}. "
        f"{result['processor']}; {packages}; {result['date']}. "
        f"The matrix products of {OURS} reach a share of the rate of one large product in the same process: {shares}."
    )


def headline(result: dict) -> str:
    """Describe in a sentence how many times as fast as the fastest other contestant of each race we train."""
    said, fastest, turns = {}, {}, Counter()
    for race in races(result):
        others = contestants(result, race).drop(OURS)
        name, (encoder, task) = others["training"].idxmax(), race.split(", ")
        said.setdefault(encoder, []).append(f"{others.loc[name, 'ahead']:.1f} on {TASKS[task].title}")
        fastest[name] = None
        turns[max(run["turn"] for run in result["runs"] if run["race"] == race)] += 1
    counts = " or ".join(map(str, sorted(turns)))
    multiples = "; ".join(f"{encoder} {', '.join(each)}" for encoder, each in said.items())
    return (
        f"Training speed on two cores, times the fastest peer's ({' or '.join(fastest)}): {multiples} "
        f"(turns: {counts})."
    )


def keep_result(result: dict, path: Path = TRAINING_SPEED) -> None:
    """Make a result the one that the book shows; turns not run anew stay, if nothing else changed."""
    write_result(merge(read_result(path), result) if path.exists() else result, path)


def comparable(before: dict, result: dict) -> bool:
    """Return whether two results are from the same machine and the same packages."""
    return all(before[key] == result[key] for key in ("processor", "versions"))


def merge(before: dict, result: dict) -> dict:
    """Merge the turns of an earlier result that were not run again, if machine and packages are the same."""
    if not comparable(before, result):
        return result
    anew = {(run["race"], run["turn"]) for run in result["runs"]}
    settings = {setting["name"]: setting for setting in [*before["settings"], *result["settings"]]}
    runs = [*(run for run in before["runs"] if (run["race"], run["turn"]) not in anew), *result["runs"]]
    return {
        **result,
        "settings": list(settings.values()),
        "runs": sorted(runs, key=lambda run: (list(settings).index(run["race"]), run["turn"])),
    }


def write_result(result: dict, path: Path) -> None:
    """Write a result, one measurement a line."""
    lines = []
    for key, value in result.items():
        rows = ",\n  ".join(json.dumps(row) for row in value) if isinstance(value, list) else ""
        lines.append(f" {json.dumps(key)}: " + (f"[\n  {rows}\n ]" if rows else json.dumps(value)))
    write_text(path, "{\n" + ",\n".join(lines) + "\n}\n")


def growth_figure(result: dict):
    """Draw time and peak memory against rows, length and layers."""
    rows, length, layers = (pd.DataFrame(result[key]) for key in ("rows", "length", "layers"))
    panels = (
        (rows["rows"], rows["tokenize"], "rows", "tokenized and cached [s]"),
        (rows["rows"], rows["peak_memory_mb"] / 1000, "rows", "peak memory [GB]"),
        (length["length"], length["step"] * 1000, "length of the rows", "training step [ms]"),
        (length["length"], length["peak_memory_mb"] / 1000, "length of the rows", "peak memory [GB]"),
        (layers["layers"], layers["step"] * 1000, "layers", "training step [ms]"),
        (layers["layers"], layers["peak_memory_mb"] / 1000, "layers", "peak memory [GB]"),
    )
    with plt.style.context(FIGURE_STYLE):
        figure, axes = plt.subplots(3, 2, figsize=(7, 7))
        for at, (across, up, xlabel, ylabel) in zip(axes.flat, panels, strict=True):
            at.plot(across, up, "o-", color=color(0))
            at.set(xlabel=xlabel, ylabel=ylabel, ylim=(0, 1.1 * up.max()))
            at.xaxis.set_major_locator(MaxNLocator(integer=True))
        for at in axes[0]:
            at.set_xscale("log")
        figure.tight_layout()
    return finish(figure)


def growth_findings(result: dict) -> str:
    """Describe in a sentence what the ends of the curves are."""
    few, many = result["rows"][0], result["rows"][-1]
    rate = many["rows"] / many["tokenize"]
    peaks = [f"{end['peak_memory_mb'] / 1000:.2f} GB" for end in (few, many)]
    return (
        f"{many['rows']:,} rows are tokenized and cached in {many['tokenize']:.0f} s ({rate:,.0f} a second), and "
        f"training on them peaks at {peaks[1]}, against {peaks[0]} on {few['rows']:,}. Made-up rows of the shape of "
        f"QQP; steps of 32 rows in float32, {GROWTH_ENCODER} where nothing else is said. "
        f"{result['processor']}, {result['date']}."
    )

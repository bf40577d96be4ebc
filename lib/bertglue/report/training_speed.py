"""The speed of fine-tuning beside what people would use instead, and how its cost grows; `make bench` measures it.

`measured/training_speed.json` and `measured/cost_growth.json` hold the last whole results, which README and book show.
"""

from __future__ import annotations

import statistics

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.ticker import MaxNLocator

from bertglue.evaluation.metrics import METRIC_FUNCTIONS, METRIC_TITLES
from bertglue.evaluation.significance import mean_score, paired_bootstrap
from bertglue.report.figures import FIGURE_STYLE, color, finish
from bertglue.report.race_results import (
    OURS,
    by_encoder,
    multiple,
    races,
    rate_text,
    small_pages,
    turn_counts,
    turns_said,
    where_measured,
)

GROWTH_ENCODER = "4 layers of 256 (two layers for the rows)"
TRIAL_ROWS = 1000  # of train, below which a race is a trial of some steps, and says so


def contestants(result: dict, race: str) -> pd.DataFrame:
    """Return the medians over the turns of each contestant of a race, in the order in which they ran.

    Columns: training and evaluation examples a second, seconds from the start of the process to the end of the first
    step and to its own end, peak memory [MB], the metric's mean over the turns, shares of the matrix-product peak (ours
    alone), how many times as fast as it we train, with the least and the most of the turns, and what our metric is
    above its own, with the 95 % interval.
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

        ahead = [rates[OURS, run["turn"]] / rates[name, run["turn"]] for run in own]
        rows[name] = {
            "precision": own[0]["precision"],
            "training": median(lambda run: rates[run["contestant"], run["turn"]]),
            "evaluation": median(lambda run: len(run["predictions"]) / run["evaluate"]),
            "first_step": median(lambda run: run["first_step"]),
            "whole": median(lambda run: run["whole"]),
            "memory": median(lambda run: run["peak_memory_mb"]),
            "score": mean_score(setting["metric"], labels, predictions),
            "peak_share": median(lambda run: run.get("peak_share", float("nan"))),
            "ahead": statistics.median(ahead),
            "ahead_range": (min(ahead), max(ahead)),
            "gain": paired_bootstrap(setting["metric"], labels, predictions, predicted[OURS]),
        }
    return pd.DataFrame.from_dict(rows, orient="index")


def read_digits(text: str) -> np.ndarray:
    """Read labels that are written as one digit a row."""
    return np.array(list(text), dtype="int64")


def summary(result: dict) -> pd.DataFrame:
    """Return training examples a second of each race and contestant, and how many times as fast we are; ours last.

    Of several turns the least and the most of these multiples follow the median.
    """
    rows, names = [], list(dict.fromkeys(run["contestant"] for run in result["runs"]))
    for race in races(result):
        rows.append({"encoder, rows of": race})
        for name, row in contestants(result, race).iterrows():
            rows[-1][name] = rate_text(row["training"]) + ("" if name == OURS else f" ({multiple(row)})")
    columns = ["encoder, rows of", *(name for name in names if name != OURS), OURS]
    return pd.DataFrame(rows, columns=columns).fillna("")


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
    """Format the task's metric of each race and contestant, and the paired difference that ours is above it.

    The baseline predicts the more frequent of these labels.
    """
    settings, rows = {setting["name"]: setting for setting in result["settings"]}, []
    for race in races(result):
        labels, metric = read_digits(settings[race]["labels"]), settings[race]["metric"]
        baseline = METRIC_FUNCTIONS[metric](labels, np.full_like(labels, np.bincount(labels).argmax()))
        for name, found in contestants(result, race).iterrows():
            gain, low, high = found["gain"]
            rows.append(
                {
                    "encoder, rows of": race,
                    "contestant": name,
                    "rows": len(labels),
                    "metric": METRIC_TITLES[metric],
                    "baseline": f"{baseline:.3f}",
                    "score": f"{found['score']:.3f}",
                    "ours above it": "" if name == OURS else f"{gain:+.3f} ({low:+.3f} to {high:+.3f})",
                }
            )
    return pd.DataFrame(rows)


def conditions(result: dict) -> str:
    """Describe in a sentence or two where and of what this was measured."""
    share = {race: contestants(result, race).loc[OURS, "peak_share"] for race in races(result)}
    shares = ", ".join(f"{value:.0%} ({race})" for race, value in share.items())
    precisions = ", ".join(sorted({f"{run['contestant']} in {run['precision']}" for run in result["runs"]}))
    return (
        f"Examples a second in the last epoch. {row_counts(result)} {turn_counts(result)} Precision: {precisions}. "
        f"Large arrays lay on huge pages in {small_pages(result)}. "
        f"{where_measured(result)}. "
        f"The matrix products of {OURS} reach a share of the rate of one large product in the same process: {shares}."
    )


def row_counts(result: dict) -> str:
    """Describe how many rows of train, and of validation, each race has."""
    counts = {one["name"]: f"{one['train'] or 'all'}/{one['validation'] or 'all'}" for one in result["settings"]}
    said = ", ".join(f"{counts[race]} ({race})" for race in races(result))
    return f"Rows of train/validation: {said}."


def headline(result: dict, in_bfloat16: dict) -> str:
    """Describe in a sentence how many times as fast as the fastest other contestant of each race we train.

    `in_bfloat16` is the result on a processor that multiplies in it.
    """
    cores = result["processor"].split(",")[0]
    (said, fastest), (also, _) = (multiples(one) for one in (result, in_bfloat16))
    return (
        f"Training speed on {cores}, times the fastest peer's ({fastest}): {said}; on a processor with bfloat16 {also}."
    )


def multiples(result: dict) -> tuple[str, str]:
    """Format how many times as fast we are on each race, with the numbers of turns, and name the fastest others."""
    said, fastest, settings = [], {}, {setting["name"]: setting for setting in result["settings"]}
    for race in races(result):
        others = contestants(result, race).drop(OURS)
        name, (encoder, task) = others["training"].idxmax(), race.split(", ")
        if (rows := settings[race]["train"]) and rows < TRIAL_ROWS:
            encoder += f" ({rows} rows)"
        said.append((encoder, task, f"{others.loc[name, 'ahead']:.1f}"))
        fastest[name] = None
    return f"{by_encoder(said)} (turns: {turns_said(result)})", " or ".join(fastest)


def growth_figure(result: dict):
    """Draw time and peak memory against rows, length and layers."""
    rows, length, layers = (pd.DataFrame(result[key]) for key in ("rows", "length", "layers"))
    panels = (
        (rows["rows"], rows["tokenize"], "rows", "tokenized and cached [s]"),
        (rows["rows"], rows["peak_memory_mb"] / 1000, "rows", "peak memory [GB]"),
        (length["length"], length["step"] * 1000, "sequence length [tokens]", "training step [ms]"),
        (length["length"], length["peak_memory_mb"] / 1000, "sequence length [tokens]", "peak memory [GB]"),
        (layers["layers"], layers["step"] * 1000, "layers", "training step [ms]"),
        (layers["layers"], layers["peak_memory_mb"] / 1000, "layers", "peak memory [GB]"),
    )
    with plt.style.context(FIGURE_STYLE):
        figure, axes = plt.subplots(3, 2, figsize=(7, 5))
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

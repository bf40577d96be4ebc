"""The speed of fine-tuning beside what people would use instead, and how its cost grows; `make bench` measures it.

`measured/training_speed.json` and `measured/cost_growth.json` hold the last whole results, which README and book show.
"""

from __future__ import annotations

import json
import re
import statistics
import time
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.ticker import MaxNLocator

from bertglue.atomic_files import write_text
from bertglue.environment import commit, processor, versions
from bertglue.report.figures import FIGURE_STYLE, color, finish
from bertglue.report.measured_files import TRAINING_SPEED

GROWTH_ENCODER = "4 layers of 256 (two layers for the rows)"
README_FILE = Path(__file__).parents[3] / "README.md"
OURS = "bertglue"
PEER_PACKAGES = ("torch", "transformers", "tf_keras")
PACKAGES_SHOWN = ("tensorflow", "keras", *PEER_PACKAGES)
README_BEGIN, README_END = (
    "<!-- speed: from lib/bertglue/report/measured/training_speed.json -->\n",
    "<!-- end of speed -->\n",
)


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

    Columns: training and evaluation examples a second, seconds from text to the end of the first epoch, peak memory
    [MB], accuracy, share of the matrix-product peak (ours alone), how many times as fast as it we train.
    """
    runs = [run for run in result["runs"] if run["race"] == race]
    rates = {(run["contestant"], run["turn"]): run["examples"] / run["epochs"][-1] for run in runs}
    rows = {}
    for name in dict.fromkeys(run["contestant"] for run in runs):
        own = [run for run in runs if run["contestant"] == name]

        def median(value, own=own):
            return statistics.median(value(run) for run in own)

        rows[name] = {
            "precision": own[0]["precision"],
            "training": median(lambda run: rates[run["contestant"], run["turn"]]),
            "evaluation": median(lambda run: run["evaluated"] / run["evaluate"]),
            "first_epoch": median(lambda run: run["tokenize"] + run["epochs"][0]),
            "memory": median(lambda run: run["peak_memory_mb"]),
            "accuracy": statistics.fmean(run["accuracy"] for run in own),
            "evaluated": own[0]["evaluated"],
            "peak_share": median(lambda run: run.get("peak_share", float("nan"))),
            "ahead": median(lambda run: rates[OURS, run["turn"]] / rates[run["contestant"], run["turn"]]),
        }
    return pd.DataFrame.from_dict(rows, orient="index")


def races(result: dict) -> list[str]:
    return list(dict.fromkeys(run["race"] for run in result["runs"]))


def summary(result: dict) -> pd.DataFrame:
    """Return training examples a second of each race and contestant, and how many times as fast we are."""
    rows = []
    for race in races(result):
        found = contestants(result, race)
        rows.append({"encoder, rows of": race})
        for name, row in found.iterrows():
            ahead = "" if name == OURS else f" ({row['ahead']:.1f} x)"
            rows[-1][name] = f"{rate_text(row['training'])}{ahead}"
    return pd.DataFrame(rows)


def rate_text(rate: float) -> str:
    """Format examples a second: whole from 100 on, below with three digits."""
    return f"{rate:,.0f}" if rate >= 100 else f"{rate:.3g}"


def details(result: dict, race: str) -> pd.DataFrame:
    """Format everything that was measured in a race; one row a contestant.

    Examples a second, seconds from text to the end of the first epoch, peak memory.
    """
    found = contestants(result, race)
    errors = (found["accuracy"] * (1 - found["accuracy"]) / found["evaluated"]) ** 0.5
    return pd.DataFrame(
        {
            "contestant": found.index,
            "precision": found["precision"].to_list(),
            "trained/s": [rate_text(value) for value in found["training"]],
            "evaluated/s": [rate_text(value) for value in found["evaluation"]],
            "first epoch, s": [f"{value:.1f}" for value in found["first_epoch"]],
            "memory, GB": [f"{value / 1000:.1f}" for value in found["memory"]],
            "accuracy": [f"{a:.3f} ± {e:.3f}" for a, e in zip(found["accuracy"], errors, strict=True)],
        }
    )


def conditions(result: dict) -> str:
    """Describe in a sentence or two where and of what this was measured."""
    share = {race: contestants(result, race).loc[OURS, "peak_share"] for race in races(result)}
    shares = ", ".join(f"{value:.0%} ({race})" for race, value in share.items())
    packages = ", ".join(f"{name} {version}" for name, version in result["versions"].items() if name in PACKAGES_SHOWN)
    turns = {race: max(run["turn"] for run in result["runs"] if run["race"] == race) for race in share}
    counts = ", ".join(str(count) for count in turns.values())
    return (
        f"Examples a second in the last epoch, medians over turns ({counts} of them, from top to bottom). "
        f"{result['processor']}; {packages}; {result['date']}. "
        f"The matrix products of {OURS} reach a share of the rate of one large product in the same process: {shares}."
    )


def markdown(result: dict) -> str:
    """Write the summary and its conditions, as the README has them."""
    table = summary(result).to_markdown(index=False, disable_numparse=True)
    return f"{table}\n\n{conditions(result)}\n"


def keep_result(result: dict, path: Path = TRAINING_SPEED, readme: Path = README_FILE) -> None:
    """Make a result the one that the README and the book show; races not run anew stay, if nothing else changed."""
    result = merge(read_result(path), result) if path.exists() else result
    write_result(result, path)
    before = readme.read_text(encoding="utf-8")
    section = re.compile(re.escape(README_BEGIN) + ".*?" + re.escape(README_END), re.DOTALL)
    write_text(readme, section.sub(lambda _: f"{README_BEGIN}\n{markdown(result)}\n{README_END}", before))


def merge(before: dict, result: dict) -> dict:
    """Merge the races of an earlier result that were not run again, if machine and packages are the same."""
    if any(before[key] != result[key] for key in ("processor", "versions")):
        return result
    merged = dict(result)
    for key, name in (("settings", "name"), ("runs", "race")):
        anew = {row[name] for row in result[key]}
        names = dict.fromkeys(row[name] for row in [*before[key], *result[key]])
        rows = {n: [row for row in (result if n in anew else before)[key] if row[name] == n] for n in names}
        merged[key] = [row for group in rows.values() for row in group]
    return merged


def write_result(result: dict, path: Path) -> None:
    """Write a result, one measurement a line."""
    lines = []
    for key, value in result.items():
        rows = ",\n  ".join(json.dumps(row) for row in value) if isinstance(value, list) else ""
        lines.append(f" {json.dumps(key)}: " + (f"[\n  {rows}\n ]" if rows else json.dumps(value)))
    write_text(path, "{\n" + ",\n".join(lines) + "\n}\n")


def growth_figure(result: dict):
    """Draw time against rows, length and layers, and the peak memory against rows."""
    rows, length, layers = (pd.DataFrame(result[key]) for key in ("rows", "length", "layers"))
    panels = (
        (rows["rows"], rows["tokenize"], "rows", "tokenized and cached [s]"),
        (rows["rows"], rows["peak_memory_mb"] / 1000, "rows", "peak memory [GB]"),
        (length["length"], length["step"] * 1000, "length of the rows", "training step [ms]"),
        (layers["layers"], layers["step"] * 1000, "layers", "training step [ms]"),
    )
    with plt.style.context(FIGURE_STYLE):
        figure, axes = plt.subplots(2, 2, figsize=(7, 5))
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

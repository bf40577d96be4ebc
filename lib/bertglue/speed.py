"""How fast fine-tuning is beside what people would use instead; `make bench` measures it.

`speed.json` beside this file holds the last whole result, from which the README and the book show their figures.
"""

from __future__ import annotations

import json
import re
import statistics
import sys
import time
from pathlib import Path

import pandas as pd

from bertglue.environment import commit, processor, versions
from bertglue.records import write_text

RECORDED = Path(__file__).with_name("speed.json")
README = Path(__file__).parents[2] / "README.md"
OURS = "bertglue"
PEERS = ("torch", "transformers", "tf_keras")
BEGIN, END = "<!-- speed: from lib/bertglue/speed.json -->\n", "<!-- end of speed -->\n"


def describe(settings: list[dict], runs: list[dict]) -> dict:
    """Put a result together: what was measured, of what, on which machine."""
    return {
        "processor": processor(),
        "versions": versions(PEERS),
        "commit": commit(),
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "settings": settings,
        "runs": runs,
    }


def recorded(path: Path = RECORDED) -> dict:
    """Read the last whole result."""
    return json.loads(path.read_text(encoding="utf-8"))


def contestants(result: dict, race: str) -> pd.DataFrame:
    """Give the medians over the turns of each contestant of a race, in the order in which they ran.

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
    """Give training examples a second of each race and contestant, and how many times as fast we are."""
    rows = []
    for race in races(result):
        found = contestants(result, race)
        rows.append({"encoder, rows of": race})
        for name, row in found.iterrows():
            ahead = "" if name == OURS else f" ({row['ahead']:.1f} x)"
            rows[-1][name] = f"{row['training']:.3g}{ahead}"
    return pd.DataFrame(rows)


def details(result: dict, race: str) -> pd.DataFrame:
    """Word everything that was measured in a race; one row a contestant."""
    found = contestants(result, race)
    errors = (found["accuracy"] * (1 - found["accuracy"]) / found["evaluated"]) ** 0.5
    return pd.DataFrame(
        {
            "contestant": found.index,
            "precision": found["precision"].to_list(),
            "training, examples/s": [f"{value:.3g}" for value in found["training"]],
            "evaluation, examples/s": [f"{value:.3g}" for value in found["evaluation"]],
            "text to first epoch, s": [f"{value:.1f}" for value in found["first_epoch"]],
            "peak memory, GB": [f"{value / 1000:.1f}" for value in found["memory"]],
            "accuracy": [f"{a:.3f} ± {e:.3f}" for a, e in zip(found["accuracy"], errors, strict=True)],
        }
    )


def conditions(result: dict) -> str:
    """Say in a sentence or two where and of what this was measured."""
    share = {race: contestants(result, race).loc[OURS, "peak_share"] for race in races(result)}
    shares = ", ".join(f"{value:.0%} ({race})" for race, value in share.items())
    packages = ", ".join(f"{name} {version}" for name, version in result["versions"].items() if name in SHOWN)
    turns = max(run["turn"] for run in result["runs"])
    return (
        f"Examples a second in the last epoch, medians of {turns} turns (12x768 and embedded: one). "
        f"{result['processor']}; {packages}; {result['date']}. Matrix products of bertglue as a share of the rate of one "
        f"large product, in the same process: {shares}."
    )


SHOWN = ("tensorflow", "keras", "torch", "transformers", "tf_keras")


def markdown(result: dict) -> str:
    """Write the summary and its conditions, as the README has them."""
    table = summary(result).to_markdown(index=False, disable_numparse=True)
    return f"{table}\n\n{conditions(result)}\n"


def keep(result: dict, path: Path = RECORDED, readme: Path = README) -> None:
    """Make a result the one that the README and the book show."""
    runs = ",\n  ".join(json.dumps(run) for run in result["runs"])
    head = json.dumps({key: value for key, value in result.items() if key != "runs"}, indent=1)
    write_text(path, head[:-2] + ',\n "runs": [\n  ' + runs + "\n ]\n}\n")
    before = readme.read_text(encoding="utf-8")
    section = re.compile(re.escape(BEGIN) + ".*?" + re.escape(END), re.DOTALL)
    write_text(readme, section.sub(lambda _: f"{BEGIN}\n{markdown(result)}\n{END}", before))


if __name__ == "__main__":
    sys.exit(print(markdown(recorded())))

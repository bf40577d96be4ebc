"""Results of races: contestants in turns, each measurement with the machine and the packages that it was made on."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

import pandas as pd

from bertglue.atomic_files import write_text
from bertglue.environment import commit, processor, versions
from bertglue.tasks import TASKS

TRAINING_PEERS = ("torch", "transformers", "tf_keras")
PREDICTION_PEERS = ("torch", "transformers", "onnxruntime")
OURS = "bertglue"  # among the contestants
PACKAGES_SHOWN = ("tensorflow", "keras", *dict.fromkeys(TRAINING_PEERS + PREDICTION_PEERS))


def build_result(peers: Sequence[str] = TRAINING_PEERS, **measured: list[dict]) -> dict:
    """Build a result: what was measured, on which machine, with which versions; `peers` are packages beside ours."""
    return {
        "processor": processor(),
        "versions": versions(peers),
        "commit": commit(),
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        **measured,
    }


def read_result(path: Path) -> dict:
    """Read the last whole result."""
    return json.loads(path.read_text(encoding="utf-8"))


def where_measured(result: dict) -> str:
    """Describe the machine, the packages and the day of the last turn of a result."""
    packages = ", ".join(f"{name} {version}" for name, version in result["versions"].items() if name in PACKAGES_SHOWN)
    return f"{result['processor']}; {packages}; last turn on {result['date']}"


def small_pages(result: dict) -> str:
    """Name the turns whose processes did not keep large arrays on huge pages, after `all turns`."""
    small = dict.fromkeys(f"{run['race']}, turn {run['turn']}" for run in result["runs"] if not run["huge_pages"])
    return "all turns" + (f" but {'; '.join(small)}" if small else "")


def races(result: dict) -> list[str]:
    return list(dict.fromkeys(run["race"] for run in result["runs"]))


def turns(result: dict) -> dict[str, int]:
    """Return how many turns each race has."""
    return {race: max(run["turn"] for run in result["runs"] if run["race"] == race) for race in races(result)}


def turn_counts(result: dict) -> str:
    """Describe how many turns each race has."""
    counts = ", ".join(f"{count} ({race})" for race, count in turns(result).items())
    once = " Of one turn no spread is known." if min(turns(result).values()) == 1 else ""
    return f"Turns, over which a median is taken: {counts}.{once}"


def multiple(row: pd.Series) -> str:
    """Format how many times as fast we are: `2.0 x`, and of several turns `2.0 x, 1.9 to 2.1`."""
    low, high = (f"{end:.1f}" for end in row["ahead_range"])
    return f"{row['ahead']:.1f} x" + (f", {low} to {high}" if low != high else "")


def by_encoder(said: Iterable[tuple[str, str, str]]) -> str:
    """Format (encoder, task, how many times as fast we are) as a sentence's part, the tasks of an encoder together."""
    found: dict[str, list[str]] = {}
    for encoder, task, ahead in said:
        found.setdefault(encoder, []).append(f"{ahead} on {TASKS[task].title}")
    return "; ".join(f"{encoder} {', '.join(each)}" for encoder, each in found.items())


def turns_said(result: dict) -> str:
    """Name the numbers of turns that races have: `1 or 3`."""
    return " or ".join(map(str, sorted(set(turns(result).values()))))


def rate_text(rate: float) -> str:
    """Format examples a second: whole from 100 on, below with three digits."""
    return f"{rate:,.0f}" if rate >= 100 else f"{rate:.3g}"


def keep_result(result: dict, path: Path) -> None:
    """Make a result the one that the book shows; turns not run anew stay, if machine and packages are the same."""
    write_result(merge(read_result(path), result) if path.exists() else result, path)


class Keeper:
    """Gathers the turns of races; where there is a path, each goes into the result that is kept there as it comes."""

    def __init__(self, path: Path | None = None):
        self.path, self.total = path, {}

    def __call__(self, result: dict) -> None:
        self.total = merge(self.total, result) if self.total else result
        if self.path:
            keep_result(result, self.path)

    @property
    def result(self) -> dict:
        """Return what is kept, or else what was gathered."""
        return read_result(self.path) if self.path else self.total


def has_turn(path: Path, race: str, turn: int, peers: Sequence[str] = TRAINING_PEERS) -> bool:
    """Return whether a turn of a race is in the result that is kept, from this machine and these packages."""
    if not path.exists() or not comparable(result := read_result(path), build_result(peers)):
        return False
    return any(run["race"] == race and run["turn"] == turn for run in result["runs"])


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

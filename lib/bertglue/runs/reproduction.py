"""A finished run, repeated from what its record says, and held to it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bertglue.errors import InputError
from bertglue.own_tasks import task_of_record
from bertglue.parameters import Parameters
from bertglue.runs.record import LOGITS_FILE, RECORD_FILE, read_logits, read_record

COMPARED_ENVIRONMENT = ("machine", "device", "devices", "precision", "threads", "commit")  # of the environment


def recipe(run: Path, output: Path, preprocessor: str | None = None) -> Parameters:
    """Read the parameters of a finished run, to repeat it in another folder.

    A record may come from elsewhere: the preprocessing SavedModel that it names is run only where it is given here too.
    """
    if output.exists():
        raise InputError(f"{output} is there already; remove it, or name another folder with --output")
    record = read_record(run / RECORD_FILE, "parameters")
    recorded = record["parameters"]
    backend = recorded.get("backend") or record.get("backend")  # as KERAS_BACKEND chose it
    try:
        parameters = Parameters.check({**recorded, "backend": backend, "run_dir": str(output)})
    except InputError as error:
        raise InputError(f"{run / RECORD_FILE}: {error}") from None
    if parameters.preprocessor != preprocessor:
        raise InputError(
            f"{run} was made with preprocessor {parameters.preprocessor}, and --preprocessor is {preprocessor}; "
            "give the same if you trust its graph, which would be run"
        )
    return parameters


def recorded_threads(run: Path) -> int | None:
    """Return how many threads a run computed on; another number rounds sums differently."""
    return read_record(run / RECORD_FILE, "environment")["environment"].get("threads")


@dataclass(frozen=True)
class Comparison:
    """The differences of a repetition: {split: largest difference of logits}, unequal scores, and environment."""

    logits: dict[str, float]
    scores: dict[str, tuple[float, float]]
    circumstances: dict[str, tuple[str, str]]

    @property
    def identical(self) -> bool:
        return not self.scores and not any(self.logits.values())

    def lines(self) -> list[list[str]]:
        """Format the comparison as rows of a table: what, before, now."""
        rows = [[f"logits of {split}", "", "the same to the bit" if not gap else f"differ by up to {gap:.2g}"]
                for split, gap in self.logits.items()]  # fmt: skip
        rows += [[name, f"{before:.6f}", f"{now:.6f}"] for name, (before, now) in self.scores.items()]
        return rows + [[name, before, now] for name, (before, now) in self.circumstances.items()]


def compare(run: Path, again: Path) -> Comparison:
    """Compare a repetition with the run: its logits, its scores, and under what circumstances each was made."""
    first, second = (read_record(folder / RECORD_FILE, "metrics", "environment") for folder in (run, again))
    before, now = (
        read_logits(folder / LOGITS_FILE, task_of_record(record)) for folder, record in ((run, first), (again, second))
    )
    shapes = [{name: array.shape for name, array in logits.items()} for logits in (before, now)]
    scored = [{split: set(scores) for split, scores in record["metrics"].items()} for record in (first, second)]
    if shapes[0] != shapes[1] or scored[0] != scored[1]:
        raise InputError(f"{run} and {again} predict different rows; are the data the same? (source, glue_dir)")
    scores = {
        f"{split}, {name}": (value, second["metrics"][split][name])
        for split, values in first["metrics"].items()
        for name, value in values.items()
        if value != second["metrics"][split][name]
    }
    made = [circumstances(record) for record in (first, second)]
    changed = {name: (made[0].get(name, ""), made[1].get(name, "")) for name in made[0] | made[1]}
    return Comparison(
        {split: float(np.abs(before[split] - now[split]).max(initial=0)) for split in before},
        scores,
        {name: pair for name, pair in changed.items() if pair[0] != pair[1]},
    )


def circumstances(record: dict) -> dict[str, str]:
    """Pick of a record what may change a result beside its recipe."""
    found = record["environment"]
    named = {"backend": str(record.get("backend"))} | {name: str(found.get(name)) for name in COMPARED_ENVIRONMENT}
    return named | found.get("versions", {})

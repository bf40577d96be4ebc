"""The runs of a profile: which finished, what became of the others, and where each left its files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from bertglue.atomic_files import write_json
from bertglue.runs.record import (
    LABELS_FILE,
    LOGITS_FILE,
    read_arrays,
    read_results,
)
from bertglue.runs.status import (
    COMPRESSIONS_KEY,
    FAILED,
    FINISHED,
    MISMATCHED,
    NOT_RUN,
    STATUS_FILE,
    inspect_compression,
    inspect_run,
    read_status,
)


class Runs(dict):
    """The record of each task that has a finished run, {task: record}; of several runs of a task, the first.

    `records` are those of all finished runs.

    `states` lists every run that was asked for and what became of it, `compressions` the same of the compressions, and
    `place` is the folder of `results.json`.
    """

    def __init__(
        self, records=(), states: list[dict] | None = None, place: Path = Path(), compressions: list[dict] = ()
    ):
        self.records = list(records)
        super().__init__({record["task"]: record for record in reversed(self.records)})
        self.place, self.compressions = place, list(compressions)
        finished = [{"task": task, "state": FINISHED, "reason": ""} for task in self]
        self.states = finished if states is None else states

    def missing(self, task: str) -> str:
        """Return in a word why a task has no finished run."""
        found = {state["state"] for state in self.states if state["task"] == task} - {FINISHED}
        return next((word for word in (FAILED, MISMATCHED) if word in found), NOT_RUN)

    def folder(self, task: str) -> Path:
        return self.place / self[task]["run"]

    def labels_and_logits(self, task: str, split: str):
        """Return the labels [rows] and the logits [rows, outputs] of a split that was scored."""
        return self.labels_and_logits_of(self[task], split)

    def labels_and_logits_of(self, record: dict, split: str):
        """Return the same of one of several runs of a task."""
        folder = self.place / record["run"]
        return read_arrays(folder / LABELS_FILE)[split], read_arrays(folder / LOGITS_FILE)[split]


def load_runs(path: str | Path) -> Runs:
    """Read `results.json` and, beside it, the states; where there is none yet, nothing was run."""
    path = Path(path)
    if not path.exists():
        print(f"{path} is not there yet (`make book` writes it), so nothing is shown as run")
        return Runs()
    states = path.with_name(STATUS_FILE)
    if not states.exists():
        return Runs(read_results(path), None, path.parent)
    return Runs(read_results(path), read_status(states), path.parent, read_status(states, COMPRESSIONS_KEY))


def collect_runs(expected: Mapping[str, dict], target: Path, logs: Path, compressions: Mapping[str, str] | None = None):
    """Write `results.json` from the folders that hold what was asked for, and `status.json` about all of them.

    `expected` is {folder: parameters}. A folder without a record failed, if there is a log of it; one whose record
    is of other parameters is mismatched. Neither is in `results.json`. `compressions` is {folder: task} of the
    compressions that were asked for.
    """
    records, states = [], []
    for folder, parameters in expected.items():
        state, reason, record = inspect_run(Path(folder), parameters, logs)
        name = str(Path(folder).relative_to(target.parent))
        if record:
            records.append({"run": name, **record})
        keys = ("task", "learning_rate", "seed")
        states.append({**{key: parameters[key] for key in keys}, "run": name, "state": state, "reason": reason})
    smaller = []
    for folder, task in (compressions or {}).items():
        state, reason = inspect_compression(Path(folder), logs)
        smaller.append({"task": task, "run": str(Path(folder).relative_to(target.parent)), "state": state,
                        "reason": reason})  # fmt: skip
    write_json(target.with_name(STATUS_FILE), {"runs": states, COMPRESSIONS_KEY: smaller})
    write_json(target, records)

"""The runs of a profile: which finished, what became of the others, and where each left its files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from bertglue.atomic_files import write_json
from bertglue.checked_files import find_problem
from bertglue.errors import InputError
from bertglue.own_tasks import is_own_name
from bertglue.runs.record import (
    COMPRESSION_FILE,
    MAKE_BOOK,
    RECORD_FILE,
    by_task,
    read_compression,
    read_items,
    read_predictions,
)
from bertglue.runs.schemas import CompressionRecord, ListedRecord
from bertglue.runs.status import (
    COMPRESSIONS_KEY,
    FAILED,
    FINISHED,
    MISMATCHED,
    NOT_RUN,
    STATUS_FILE,
    check_left_files,
    inspect_compression,
    inspect_run,
    is_compression_of,
    read_status,
    required_keys,
)
from bertglue.tasks import TASKS


class Runs(dict):
    """The record of each task that has a finished run, {task: record}; of several runs of a task, the first.

    `records` are those of all finished runs.

    `states` lists every run that was asked for and what became of it, `compressions` the same of the compressions, and
    `place` is the folder of `results.json`. All this is of GLUE's tasks; `own` and `own_compressions` list the states
    of the others, which share no table with them and have pages of their own.
    """

    def __init__(
        self, records=(), states: list[dict] | None = None, place: Path = Path(), compressions: list[dict] = ()
    ):
        self.records = list(records)
        super().__init__({record["task"]: record for record in reversed(self.records)})
        self.place, self.compressions = place, list(compressions)
        finished = [{"task": task, "state": FINISHED, "reason": ""} for task in self]
        self.states = finished if states is None else states
        self.own: list[dict] = []
        self.own_compressions: list[dict] = []

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
        return read_predictions(self.place / record["run"], record)[split]


def load_runs(path: str | Path) -> Runs:
    """Read `results.json` and, beside it, the states; where there is none yet, nothing was run.

    A run is shown as failed, with the reason, where its record, its predictions, its texts or its compression cannot
    be read.
    """
    path = Path(path)
    if not path.exists():
        print(f"{path} is not there yet (`make book` writes it), so nothing is shown as run")
        return Runs()
    records, lost = read_listed(path)
    states = path.with_name(STATUS_FILE)
    if not states.exists():
        return of_glue(records, [*Runs(records).states, *lost] if lost else None, path.parent)
    compressions = [checked_compression(path.parent, state) for state in read_status(states, COMPRESSIONS_KEY)]
    return of_glue(records, merge_states(read_status(states), records, lost, path), path.parent, compressions)


def of_glue(records: list[dict], states: list[dict] | None, place: Path, compressions: list[dict] = ()) -> Runs:
    """Gather the runs of GLUE's tasks, beside them the states of those of one's own."""
    ours = [[one for one in found or () if one["task"] in TASKS] for found in (records, states, compressions)]
    runs = Runs(ours[0], None if states is None else ours[1], place, ours[2])
    runs.own, runs.own_compressions = (
        [one for one in found or () if one["task"] not in TASKS] for found in (states, compressions)
    )
    return runs


def read_listed(path: Path) -> tuple[list[dict], list[dict]]:
    """Read the records of `results.json` that are whole; the others as states of failed runs."""
    records, lost = [], []
    for number, item in enumerate(read_items(path), 1):
        where = f"{path}, run {number}"
        try:
            if wrong := find_problem(item, ListedRecord):
                raise InputError(f"{where}: {wrong}; {MAKE_BOOK}")
            check_left_files(path.parent / item["run"], item)
            records.append(item)
        except InputError as error:
            known = item if isinstance(item, dict) else {}
            if known.get("task") in list(TASKS) or (known.get("own_task") and is_own_name(known.get("task"))):
                run = known["run"] if isinstance(known.get("run"), str) else where
                lost.append({"task": known["task"], "run": run, "state": FAILED, "reason": str(error)})
            else:
                print(error)
    return sorted(records, key=by_task), lost


def merge_states(states: list[dict], records: list[dict], lost: list[dict], path: Path) -> list[dict]:
    """Mark each run as failed that was finished when the states were written, and whose record is not whole now."""
    whole = {record["run"] for record in records}
    reasons = {state["run"]: state["reason"] for state in lost}
    shown = [
        {**state, "state": FAILED, "reason": reasons.get(state["run"], f"{path} does not list it; {MAKE_BOOK}")}
        if state["state"] == FINISHED and state["run"] not in whole
        else state
        for state in states
    ]
    return shown + [state for state in lost if state["run"] not in {state["run"] for state in states}]


def checked_compression(place: Path, state: dict) -> dict:
    """Mark a compression as failed whose record cannot be read."""
    if state["state"] == FINISHED:
        try:
            read_compression(place / state["run"] / COMPRESSION_FILE, *required_keys(CompressionRecord))
        except InputError as error:
            return {**state, "state": FAILED, "reason": str(error)}
    return state


def collect_runs(
    expected: Mapping[str, dict],
    target: Path,
    logs: Path,
    compressions: Mapping[str, str] | None = None,
    identities: Mapping[str, str] | None = None,
):
    """Write `results.json` from the folders that hold what was asked for, and `status.json` about all of them.

    `expected` is {folder: parameters}. A folder without a record failed, if there is a log of it; one whose record
    is of other parameters is mismatched. Neither is in `results.json`. `compressions` is {folder: task} of the
    compressions that were asked for, which count where they are of a run that is listed, and `identities` {folder:
    identity} of runs.
    """
    records, states = [], []
    for folder, parameters in expected.items():
        state, reason, record = inspect_run(Path(folder), parameters, logs, (identities or {}).get(folder))
        name = str(Path(folder).relative_to(target.parent))
        if record:
            records.append({"run": name, **record})
        keys = ("task", "learning_rate", "seed")
        states.append({**{key: parameters[key] for key in keys}, "run": name, "state": state, "reason": reason})
    smaller = []
    for folder, task in (compressions or {}).items():
        state, reason = inspect_compression(Path(folder), logs)
        run = target.parent / task / Path(folder).name
        if state == FINISHED and not is_compression_of(f"{folder}/{COMPRESSION_FILE}", f"{run}/{RECORD_FILE}"):
            state, reason = MISMATCHED, f"it is of an earlier run than {run}"
        elif state == FINISHED and str(run.relative_to(target.parent)) not in {record["run"] for record in records}:
            state, reason = MISMATCHED, f"its run, {run}, is not in this book"
        smaller.append({"task": task, "run": str(Path(folder).relative_to(target.parent)), "state": state,
                        "reason": reason})  # fmt: skip
    write_json(target.with_name(STATUS_FILE), {"runs": states, COMPRESSIONS_KEY: smaller})
    write_json(target, records)

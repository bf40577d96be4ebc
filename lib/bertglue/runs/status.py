"""The status of a book's runs; the command ends with an error that names each run that is not in the book."""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

from bertglue.checked_files import FileSchema, find_problem, read_object
from bertglue.errors import InputError, exit_status
from bertglue.own_tasks import task_of_record
from bertglue.runs.record import (
    COMPRESSION_FILE,
    MAKE_BOOK,
    RECORD_FILE,
    RUN_AGAIN,
    read_compression,
    read_predictions,
    read_record,
)
from bertglue.runs.schemas import CompressionRecord, RunRecord, Status
from bertglue.runs.slurm_reason import slurm_reason
from bertglue.runs.text_samples import read_text_samples

FINISHED, FAILED, MISMATCHED, NOT_RUN = "finished", "failed", "mismatched", "not run"
STATUS_FILE = "status.json"  # beside results.json
IDENTITY_FILE = "identity.txt"  # in the folder of a run of a book: its parameters, and the digests of what it read
RUNS_KEY, COMPRESSIONS_KEY = "runs", "compressions"  # what it lists
# may differ within one book
FREE_WITHIN_BOOK = {"run_dir", "cache_dir", "glue_dir", "samples", "tracking", "device", "save_every"}


def read_status(path: Path, what: str = RUNS_KEY) -> list[dict]:
    """Read the state of each run, or of each compression.

    `task`, `run` (its folder), `state` and `reason`; of a run also `learning_rate` and `seed`.
    """
    return read_object(path, Status, "file of the states of runs", MAKE_BOOK)[what]


def inspect_run(
    folder: Path, parameters: dict, logs: Path, identity: str | None = None
) -> tuple[str, str, dict | None]:
    """Return the state of a run's folder, the reason where it is not finished, and its record where it is.

    `identity` is what the run's own has to be, where it has one (see `Plan.identity`).
    """
    log = logs / f"{folder.parent.name}-{folder.name}.log"
    if not (folder / RECORD_FILE).exists():
        return *(failed_download(folder.parent.name, logs, log) or unfinished(log)), None
    try:
        record = read_record(folder / RECORD_FILE)
        if found := difference(record, parameters, folder, identity):
            return *lost_or_mismatched(folder, logs, log, *found), None
        if lacking := [key for key in required_keys(RunRecord) if key not in record]:
            return MISMATCHED, f"an older version made it, without {lacking[0]}; remove {folder}", None
        if wrong := find_problem(record, RunRecord):
            raise InputError(f"{folder / RECORD_FILE} is no run record ({wrong}); {RUN_AGAIN}")
        check_left_files(folder, record)
    except InputError as error:
        return FAILED, str(error), None
    return FINISHED, "", record


def difference(record: dict, parameters: dict, folder: Path, identity: str | None) -> tuple[str, str] | None:
    """Return what a run has other parameters, data or encoder in than is asked for, and a sentence of that."""
    found = record.get("parameters", {}) | {"task": record["task"]}
    for name, value in parameters.items():
        if name not in FREE_WITHIN_BOOK and found.get(name, value) != value:
            return f"{name} {found[name]!r}", f"{name} is {found[name]!r} there, and {value!r} in this book"
    path = folder / IDENTITY_FILE
    if identity is not None and path.exists() and path.read_text(encoding="utf-8") != identity:
        return "other data or another encoder", "its data or its encoder have changed since"
    return None


def lost_or_mismatched(folder: Path, logs: Path, log: Path, there: str, said: str) -> tuple[str, str]:
    """Return the state and the reason of a run that is not the one asked for: the try to replace it failed, or none."""
    lost = failed_download(folder.parent.name, logs, log)
    if not lost and log.exists() and folder.with_name(f"{folder.name}.partial").exists():  # which a run that ends moves
        lost = FAILED, f"{unfinished(log)[1]} (log: {log})"
    if lost:
        return FAILED, f"{lost[1]}; the run that was there before stays, with {there}, and is not in this book"
    return MISMATCHED, f"{said}; remove {folder}"


def required_keys(schema: type[FileSchema]) -> list[str]:
    return [key for key, field in schema.model_fields.items() if field.is_required()]


def check_left_files(folder: Path, record: dict) -> None:
    """Check the files that a finished run left beside its record, as far as pages read them."""
    read_predictions(folder, record)
    read_text_samples(folder, task_of_record(record))


def inspect_compression(folder: Path, logs: Path) -> tuple[str, str]:
    """Return the state of a compression's folder, and the reason where it is not finished."""
    if not (folder / COMPRESSION_FILE).exists():
        return unfinished(logs / f"compress-{folder.parent.name}-{folder.name}.log")
    try:
        record = read_compression(folder / COMPRESSION_FILE)
        if lacking := [key for key in required_keys(CompressionRecord) if key not in record]:
            return MISMATCHED, f"an older version made it, without {lacking[0]}; remove {folder}"
        read_compression(folder / COMPRESSION_FILE, *required_keys(CompressionRecord))
    except InputError as error:
        return FAILED, str(error)
    return FINISHED, ""


def is_compression_of(compression: str | Path, record: str | Path) -> bool:
    """Return whether a compression is there and is of the run that the record is of."""
    try:
        found, run = read_compression(Path(compression)), read_record(Path(record))
    except InputError:
        return False
    return found.get("run_finished", run.get("finished")) == run.get("finished")


def unfinished(log: Path) -> tuple[str, str]:
    """Return the state and the reason of a job that left no record: what SLURM says of it, or how its log ends."""
    if reason := slurm_reason(log):
        return FAILED, reason
    return (FAILED, last_line(log)) if log.exists() else (NOT_RUN, "")


def failed_download(task: str, logs: Path, log: Path) -> tuple[str, str] | None:
    """Return the state and the reason of a run whose data or encoder could not be fetched, since its own log began."""
    fetch, fetched = logs / f"fetch-{task}.log", logs.parent / "fetched" / f"{task}.txt"
    if not fetch.exists() or fetched.exists() or (log.exists() and log.stat().st_mtime > fetch.stat().st_mtime):
        return None
    return FAILED, f"{last_line(fetch)} (log: {fetch})"


def last_line(log: Path) -> str:
    """Return the line that a log ends with, without the codes that color it."""
    lines = [line for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    return re.sub(r"\x1b\[[0-9;]*m", "", lines[-1]).strip()[:300] if lines else "its log is empty"


def check_status(path: Path) -> None:
    """End with an InputError that names each run that is not in the book."""
    states = read_status(path) + read_status(path, COMPRESSIONS_KEY)
    missing = [state for state in states if state["state"] != FINISHED]
    if missing:
        raise InputError(f"the book lacks {len(missing)} of its {len(states)} runs and compressions: {named(missing)}")


def check_replaceable(path: Path, book: Path) -> None:
    """End with an InputError where no run finished and a book is there, which one without any run would replace."""
    states = read_status(path)
    if book.exists() and not any(state["state"] == FINISHED for state in states):
        raise InputError(f"no run finished, so {book} stays as it was: {named(states)}")


def named(states: list[dict]) -> str:
    return "; ".join(f"{run['run']}: {run['state']} ({run['reason'] or 'no log'})" for run in states)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bertglue.runs.status", description=__doc__)
    parser.add_argument("status", type=Path, help="the status.json of a profile")
    parser.add_argument(
        "--before", type=Path, help="a book that is to be replaced: is there a run to show in its place?"
    )
    options = parser.parse_args(arguments)
    if options.before:
        return exit_status(lambda: check_replaceable(options.status, options.before))
    return exit_status(lambda: check_status(options.status))


if __name__ == "__main__":
    sys.exit(main())

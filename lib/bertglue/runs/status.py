"""The status of a book's runs; the command ends with an error that names each run that is not in the book."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from bertglue.errors import InputError, exit_status, one_line

FINISHED, FAILED, MISMATCHED, NOT_RUN = "finished", "failed", "mismatched", "not run"
STATUS_FILE = "status.json"  # beside results.json
RUNS_KEY, COMPRESSIONS_KEY = "runs", "compressions"  # what it lists


def read_status(path: Path, what: str = RUNS_KEY) -> list[dict]:
    """Read the state of each run, or of each compression.

    `task`, `run` (its folder), `state` and `reason`; of a run also `learning_rate` and `seed`.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))[what]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} holds no states of runs ({one_line(error)}); `make book` writes it") from None


def check_status(path: Path) -> None:
    """End with an InputError that names each run that is not in the book."""
    states = read_status(path) + read_status(path, COMPRESSIONS_KEY)
    missing = [state for state in states if state["state"] != FINISHED]
    if missing:
        named = "; ".join(f"{run['run']}: {run['state']} ({run['reason'] or 'no log'})" for run in missing)
        raise InputError(f"the book lacks {len(missing)} of its {len(states)} runs and compressions: {named}")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bertglue.runs.status", description=__doc__)
    parser.add_argument("status", type=Path, help="the status.json of a profile")
    options = parser.parse_args(arguments)
    return exit_status(lambda: check_status(options.status))


if __name__ == "__main__":
    sys.exit(main())

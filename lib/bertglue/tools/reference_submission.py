"""The reference run's predictions of GLUE's test splits, as the zip that the leaderboard takes; no text is in it."""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

from bertglue.errors import exit_status
from bertglue.runs.leaderboard import check_submission, write_submission
from bertglue.runs.record import LOGITS_FILE, RECORD_FILE
from bertglue.tasks import TASKS
from bertglue.tools.reference_plan import LOGITS, logits_of, record_of

SUBMISSION = LOGITS / "submission.zip"
SUBMITTED = "final/{task}-0"  # the unit of each task, whose test predictions are kept too


def submit() -> str:
    """Write the submission from what is kept of the first final run of every task; what is lacking is filled."""
    units = {task: SUBMITTED.format(task=task) for task in TASKS}
    if missing := [unit for unit in units.values() if not record_of(unit).exists()]:
        return f"no submission yet: {', '.join(missing)} of the reference run are not kept"
    with tempfile.TemporaryDirectory() as scratch:
        for task, unit in units.items():
            folder = Path(scratch, task)
            folder.mkdir()
            shutil.copy(record_of(unit), folder / RECORD_FILE)
            shutil.copy(logits_of(unit), folder / LOGITS_FILE)
        sources = write_submission(Path(scratch), SUBMISSION, fill=True)
    check_submission(SUBMISSION)
    filled = [name for name, source in sources.items() if source.startswith("filled")]
    return f"{SUBMISSION}" + (f", filled with the first label: {', '.join(filled)}" if filled else "")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bertglue.tools.reference_submission", description=__doc__)
    parser.parse_args(arguments)
    return exit_status(lambda: print(submit()))


if __name__ == "__main__":
    sys.exit(main())

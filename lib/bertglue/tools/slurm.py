"""SLURM: what a run asks of it, and the jobs of an earlier make that are still in its queue."""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path

from bertglue.encoder_names import BUNDLED_NAMES
from bertglue.errors import InputError, exit_status, one_line
from bertglue.parameters import Parameters
from bertglue.tasks import get_task

# Examples a second that a slow machine of the kind trains on, and the memory that a run takes there. Generous: a run
# that reaches its limit is stopped, resumes at the next try, and is given more each time.
BUNDLED_RATE, BUNDLED_MEMORY = 100, 8_000  # [MB]
OTHER_RATE, OTHER_MEMORY = 60, 32_000
START_MINUTES = 30  # to load, tokenize, evaluate and write
SHORTEST_ROW = 40  # bytes of a file of one's own
QUEUE_WAIT = 15  # seconds from one look at the queue to the next


def minutes(parameters: Parameters, attempt: int = 1) -> int:
    """Return the time limit to ask for [minutes], by the rows of the whole of GLUE's task and the encoder."""
    rate = BUNDLED_RATE if parameters.encoder in BUNDLED_NAMES else OTHER_RATE
    return attempt * (START_MINUTES + round(train_rows(parameters) * parameters.epochs / rate / 60))


def train_rows(parameters: Parameters) -> int:
    """Return the rows of train: GLUE's, or about those of one's own file."""
    if parameters.files:
        path = Path(parameters.files["train"]).expanduser()
        return path.stat().st_size // SHORTEST_ROW if path.is_file() else 0
    from bertglue.evaluation.published_scores import published_numbers  # it loads scipy; only a cluster asks

    title = {"mnli": "MNLI-m"}.get(parameters.task, get_task(parameters.task).title)
    return published_numbers()["glue_examples"][title][0]


def memory_mb(parameters: Parameters, attempt: int = 1) -> int:
    """Return the memory to ask for [MB]."""
    return attempt * (BUNDLED_MEMORY if parameters.encoder in BUNDLED_NAMES else OTHER_MEMORY)


def gres(parameters: Parameters, name: str) -> str:
    """Return the generic resource to ask for: a GPU where the profile wants one, under the cluster's name for it."""
    return name if parameters.device == "gpu" else ""


def jobs_of(checkout: Path) -> dict[str, str]:
    """Return the jobs in the queue that were submitted from a checkout: {id: state}."""
    command = ["squeue", "--me", "--noheader", "--format=%i|%T|%Z"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except FileNotFoundError:
        raise InputError("squeue is not here; CLUSTER=slurm is for a machine from which SLURM takes jobs") from None
    except subprocess.CalledProcessError as error:
        raise InputError(f"SLURM does not answer ({one_line(Exception(error.stderr))})") from None
    rows = [line.split("|", 2) for line in done.stdout.splitlines()]
    return {job: state for job, state, folder in rows if Path(folder) == checkout}


def wait_for_earlier_jobs(checkout: Path) -> None:
    """Wait until no job of an earlier make of this checkout is left: what it finishes is not submitted again."""
    said = False
    while jobs := jobs_of(checkout):
        if not said:
            print(
                f"waiting for {len(jobs)} jobs of an earlier make, so that none is submitted twice "
                f"(scancel {' '.join(jobs)} ends them)",
                flush=True,
            )
            said = True
        time.sleep(QUEUE_WAIT)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bertglue.tools.slurm", description=wait_for_earlier_jobs.__doc__)
    parser.add_argument("checkout", type=Path, help="the folder that jobs were submitted from")
    options = parser.parse_args(arguments)
    return exit_status(lambda: wait_for_earlier_jobs(options.checkout.resolve()))


if __name__ == "__main__":
    sys.exit(main())

"""Keep to one make at a time in a checkout, also after one that was killed while its jobs went on.

`python -m bertglue.tools.lock FOLDER COMMAND...` becomes the command and holds the lock of a make;
`python -m bertglue.tools.lock --job 9` locks descriptor 9 for the shell that has opened it, on the file of jobs.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from bertglue.errors import InputError
from bertglue.locks import PATIENCE, lock

MAKE_FILE, JOBS_FILE = "in-use", "jobs"  # in the folder
# What a job of Snakemake begins with: it holds a lock, also where the make that started it was killed, and the next
# make waits for it. Opened for reading too: a shared lock on NFS needs that.
HOLD = "exec 9<> .snakemake/jobs && python -m bertglue.tools.lock --job 9"


def hold(path: Path, patience: float = 0.0) -> int | None:
    """Lock a file for this process and what it becomes; return its descriptor, None where another process has it."""
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    if not lock(file, patience=patience):
        os.close(file)
        return None
    os.ftruncate(file, 0)
    os.write(file, str(os.getpid()).encode())
    os.set_inheritable(file, True)
    return file


def take(folder: Path) -> int:
    """Lock a checkout for a make, once no job of an earlier one is left; return the descriptor.

    Raises:
        InputError: another make has it, which is named.
    """
    folder.mkdir(parents=True, exist_ok=True)
    file = hold(folder / MAKE_FILE, PATIENCE)
    if file is None:
        holder = (folder / MAKE_FILE).read_text(errors="replace").strip() or "unknown"
        raise InputError(
            f"another make works in this checkout (process {holder}); wait until it ends, or stop it, and try again"
        )
    jobs = os.open(folder / JOBS_FILE, os.O_RDWR | os.O_CREAT, 0o666)
    if not lock(jobs):
        print("waiting for the jobs of an earlier make, which was killed, so that none runs twice", flush=True)
        lock(jobs, wait=True)
    os.close(jobs)
    return file


def main(arguments: list[str]) -> int:
    if arguments[0] == "--job":
        lock(int(arguments[1]), shared=True, wait=True)
        return 0
    folder, *command = arguments
    try:
        take(Path(folder))
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2  # as for other input: nothing was begun
    except OSError as error:
        print(
            f"error: {error.filename} cannot be written ({error.strerror}); clone into a folder of yours",
            file=sys.stderr,
        )
        return 2
    os.execvp(command[0], command)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

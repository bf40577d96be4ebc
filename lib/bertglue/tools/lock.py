"""Run one command at a time in a checkout: `python -m bertglue.tools.lock FILE COMMAND...`.

The system holds the lock for the command's processes and drops it with the last of them, however they end.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from bertglue.errors import InputError


def hold(path: Path) -> int | None:
    """Lock a file for this process and what it starts; return its descriptor, None where another process has it."""
    import fcntl  # not on Windows, where make is not either

    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(file)
        return None
    os.ftruncate(file, 0)
    os.write(file, str(os.getpid()).encode())
    os.set_inheritable(file, True)
    return file


def take(path: Path) -> int:
    """Lock a file, or raise an InputError that names the process which has it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    file = hold(path)
    if file is None:
        holder = path.read_text(errors="replace").strip() or "unknown"
        raise InputError(
            f"another make works in this checkout (process {holder}); wait until it ends, or stop it, and try again"
        )
    return file


def main(arguments: list[str]) -> int:
    path, *command = arguments
    try:
        take(Path(path))
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2  # as for other input: nothing was begun
    os.execvp(command[0], command)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Locks that the system drops with the process that holds them, however it ends."""

from __future__ import annotations

import errno
import os
import time
from pathlib import Path

from bertglue.errors import InputError

# what file systems without locks answer
NOT_SUPPORTED = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL, errno.EBADF}
# Seconds to wait for a process that has just been killed: it keeps its locks until it has ended, which takes a moment
# where it is large or the cores are busy.
PATIENCE, PAUSE = 5.0, 0.1
_claimed: dict[tuple[int, int], int] = {}  # descriptors of the folders that this process writes to


def lock(descriptor: int, *, shared: bool = False, wait: bool = False, patience: float = 0.0) -> bool:
    """Lock an open file for this process and those that inherit it; return False where another one has it.

    Where the file system has no locks, that is printed in a line, and nothing is locked.

    Args:
        descriptor: of the open file.
        shared: with others who share it too.
        wait: until it is free, however long.
        patience: seconds to go on trying.
    """
    import fcntl  # not on Windows, where make is not either

    try:
        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        if patience <= 0:
            return False
        time.sleep(PAUSE)
        return lock(descriptor, shared=shared, patience=patience - PAUSE)
    except OSError as error:
        if error.errno not in NOT_SUPPORTED:
            raise
        print("this file system has no locks: take care that no other process writes here", flush=True)
    return True


def claim_folder(folder: Path) -> None:
    """Make this process the only one that writes to a run's folder, as long as it lives.

    Raises:
        InputError: another process writes there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder, os.O_RDONLY)
    about = os.fstat(descriptor)
    if (about.st_dev, about.st_ino) in _claimed:
        os.close(descriptor)
    elif lock(descriptor, patience=PATIENCE):
        _claimed[about.st_dev, about.st_ino] = descriptor
    else:
        os.close(descriptor)
        raise InputError(f"another process writes to {folder}; wait until it ends, or give another run_dir")

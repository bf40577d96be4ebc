"""Files that appear whole or not at all."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from bertglue.errors import InputError, one_line


@contextlib.contextmanager
def write_atomically(path: Path) -> Iterator[Path]:
    """Yield a temporary path to write to; at the end it becomes `path`, which never exists in part.

    A full disk, or a folder that cannot be written to, is an InputError.
    """
    partial = partial_of(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        remove_abandoned(path)
        yield partial
        os.replace(partial, path)
    except OSError as error:
        raise write_error(path, error) from None
    finally:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)


@contextlib.contextmanager
def write_folder(folder: Path) -> Iterator[Path]:
    """Yield an empty folder to write to; at the end it takes the place of `folder`, which never exists in part."""
    partial = partial_of(folder)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        remove_abandoned(folder)
        shutil.rmtree(partial, ignore_errors=True)  # of a killed process that had the same number
        partial.mkdir()
        yield partial
        shutil.rmtree(folder, ignore_errors=True)
        partial.rename(folder)
    except OSError as error:
        raise write_error(folder, error) from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def partial_of(path: Path) -> Path:
    """Return where this process writes what becomes a file or a folder."""
    return path.with_name(f"partial.{platform.node()}-{os.getpid()}.{path.name}")


def remove_abandoned(path: Path) -> None:
    """Remove what killed processes of this machine left of their attempts to write a file or a folder."""
    here = re.compile(rf"partial\.{re.escape(platform.node())}-(\d+)\.{re.escape(path.name)}")
    for file in path.parent.iterdir():
        found = here.fullmatch(file.name)
        if found and int(found[1]) != os.getpid() and not is_alive(int(found[1])):
            shutil.rmtree(file, ignore_errors=True) if file.is_dir() else file.unlink(missing_ok=True)


def is_alive(process: int) -> bool:
    """Return whether a process of this machine is running."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def write_error(path: Path, error: OSError, remedy: str = "name another folder") -> InputError:
    said = error.strerror or one_line(error)
    return InputError(f"{path} cannot be written ({said}); free space there, or {remedy}")


def write_text(path: Path, text: str) -> Path:
    """Write a file whole or not at all."""
    with write_atomically(path) as partial:
        partial.write_text(text, encoding="utf-8")
    return path


def write_json(path: Path, value, indent: int | None = 1) -> Path:
    return write_text(path, json.dumps(value, indent=indent, allow_nan=False) + "\n")

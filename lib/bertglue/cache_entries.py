"""Entries of a cache: folders that say of themselves, in a file written last, that they are whole."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import uuid
from collections.abc import Callable
from pathlib import Path
from shutil import rmtree

from bertglue.atomic_files import write_error
from bertglue.errors import InputError

MANIFEST_FILE = "whole.json"  # written last: size and digest of every other file


def cached(folder: Path, make: Callable[[Path], None], remedy: str) -> Path:
    """Return the folder of an entry, made anew where it is not there, or not whole: emptied, cut, edited or closed.

    `make` fills an empty folder, which gets the entry's name when all of it is written. What cannot be written, or
    belongs to another user, is an InputError that ends with `remedy`.
    """
    try:
        if os.path.lexists(folder):
            if is_whole(folder):
                return folder
            check_replaceable(folder, remedy)
            print(f"{folder} was damaged; it is made anew", flush=True)
        make_entry(folder, make)
    except PermissionError as error:
        raise closed(folder, error, remedy) from None
    except OSError as error:
        raise write_error(folder, error, remedy) from None
    return folder


def is_whole(folder: Path) -> bool:
    """Return whether each file that the manifest names is there as it was written."""
    try:
        listed = json.loads((folder / MANIFEST_FILE).read_text(encoding="utf-8"))
        found = describe_files(folder)
        return bool(listed) and all(found.get(name) == value for name, value in listed.items())
    except (OSError, ValueError, AttributeError):
        return False


def describe_files(folder: Path) -> dict[str, list]:
    """Return size [bytes] and digest of each file in a folder but its manifest."""
    paths = [path for path in folder.rglob("*") if path.is_file() and path != folder / MANIFEST_FILE]
    return {path.relative_to(folder).as_posix(): [path.stat().st_size, digest(path)] for path in paths}


def digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "blake2b").hexdigest()


def make_entry(folder: Path, make: Callable[[Path], None]) -> None:
    """Fill a folder under a name of this process's own, and give it the entry's name when its manifest is written."""
    partial = folder.with_name(f"{folder.name}.{uuid.uuid4().hex}.partial")
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial.mkdir()  # the umask says who may read it; mkdtemp would close it to all others
    try:
        make(partial)
        (partial / MANIFEST_FILE).write_text(json.dumps(describe_files(partial)), encoding="utf-8")
        install(partial, folder)
    finally:
        remove(partial)


def install(partial: Path, folder: Path) -> None:
    """Rename a finished folder to the entry's name, which another run may have taken meanwhile."""
    if os.path.lexists(folder) and not is_whole(folder):
        damaged = partial.with_suffix(".damaged")
        with contextlib.suppress(FileNotFoundError):  # another run was faster
            folder.rename(damaged)
            remove(damaged)
    try:
        partial.rename(folder)
    except OSError:
        if not is_whole(folder):
            raise


def remove(path: Path) -> None:
    """Remove a file or a folder, also one that its owner may not read."""
    with contextlib.suppress(OSError):
        if path.is_symlink() or not path.is_dir():
            return path.unlink()
        open_folders(path)
    rmtree(path, ignore_errors=True)


def open_folders(folder: Path) -> None:
    folder.chmod(0o700)
    for child in folder.iterdir():
        if child.is_dir() and not child.is_symlink():
            open_folders(child)


def check_replaceable(folder: Path, remedy: str) -> None:
    """Check that an entry that is not whole belongs to this user; another's is not taken away."""
    if os.geteuid() not in (0, folder.lstat().st_uid):
        raise InputError(
            f"{folder} is damaged or closed to you, and belongs to {owner(folder)}; have it opened (chmod -R a+rX) or "
            f"removed, or {remedy}"
        )


def check_owner(folder: Path, remedy: str) -> None:
    """Check that a folder, and a link that stands for it, belong to this user; somebody else may have put it there."""
    for status in (os.lstat, os.stat):
        with contextlib.suppress(OSError):  # it is not there yet
            if status(folder).st_uid != os.geteuid():
                raise InputError(f"{folder} belongs to {owner(folder)} and not to you; remove it, or {remedy}")


def closed(folder: Path, error: PermissionError, remedy: str) -> InputError:
    """Describe why an entry cannot be written: whose the folder is that this user may not change."""
    there = next((place for place in folder.parents if os.path.lexists(place)), folder.parent)
    return InputError(f"{there} belongs to {owner(there)}, and you may not write there ({error.strerror}); {remedy}")


def owner(path: Path) -> str:
    try:
        return path.owner()
    except (KeyError, OSError):  # a user without a name here
        return f"user {path.lstat().st_uid}"

"""A copy of what a user clones, for tests that run whole commands in it."""

import shutil
from pathlib import Path

from paths import ROOT

COPIED = ("Makefile", "Snakefile", "_config.yml", "notebooks", "book", "params", "lib")


def copy_checkout(folder: Path) -> Path:
    """Copy the files that `make book` works with; the environment is the one that runs the tests."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("_build", "__pycache__"))
        else:
            shutil.copy(source, folder / name)
    return folder

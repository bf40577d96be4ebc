"""A copy of what a user clones, for tests that run whole commands in it."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from paths import ROOT

BIN = Path(sys.executable).parent
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


def type_line(folder: Path, command: str, **environment) -> str:
    """Run a line of shell as a user types it, with this Python's commands on the path; return all that it says."""
    environment = {**os.environ, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}", "COLUMNS": "200", **environment}
    done = subprocess.run(
        ["bash", "-ec", command], cwd=folder, env=environment, capture_output=True, text=True, timeout=900
    )
    assert done.returncode == 0, f"{command}\n{(done.stdout + done.stderr)[-3000:]}"
    return done.stdout + done.stderr


def console_blocks(guide: Path) -> list[str]:
    """Return the blocks of a guide that a user types."""
    return re.findall(r"^```console\n(.*?)```", guide.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)

"""The refusal of a Python or a system that has no packages, before anything is installed."""

import re
import subprocess
import sys

import pytest
from paths import ROOT

from bertglue.tools.check_python import refusal


@pytest.mark.parametrize("version", [(3, 11), (3, 12), (3, 13)])
@pytest.mark.parametrize(("system", "machine"), [("Linux", "x86_64"), ("Linux", "aarch64"), ("Darwin", "arm64")])
def test_what_has_packages_is_let_through(version, system, machine):
    assert refusal(version, system, machine) is None


@pytest.mark.parametrize(
    ("version", "system", "machine", "said"),
    [
        (
            (3, 10),
            "Linux",
            "x86_64",
            "this is Python 3.10, and 3.11, 3.12 or 3.13 is needed: make PYTHON=",
        ),
        ((3, 14), "Linux", "x86_64", "this is Python 3.14, and 3.11"),
        ((3, 12), "Darwin", "x86_64", "TensorFlow is no longer made for Intel Macs; use Colab"),
        ((3, 12), "Windows", "AMD64", "Windows is not supported, .* on Windows use WSL"),
    ],
)
def test_what_has_none_is_told_what_to_do(version, system, machine, said):
    assert re.match(said, refusal(version, system, machine))


def test_make_ends_with_that_line_and_makes_nothing(tmp_path):
    old = tmp_path / "python"
    code = 'import runpy, sys; sys.version_info = (3, 14); runpy.run_path(sys.argv[1], run_name="__main__")'
    old.write_text(f'#!/bin/sh\nexec "{sys.executable}" -c \'{code}\' "$@"\n')
    old.chmod(0o755)
    given = [f"PYTHON={old}", f"READY={tmp_path}/ready", "BIN=nowhere"]
    done = subprocess.run(["make", "book", *given], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode != 0
    assert done.stderr.splitlines()[0].startswith("error: this is Python 3.14")
    assert not list(tmp_path.glob("ready"))

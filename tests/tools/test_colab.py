"""The set-up cell, run against the packages that Colab's images have."""

import subprocess
import sys
from importlib.metadata import requires
from pathlib import Path

import nbformat
import pytest
from packaging.utils import canonicalize_name
from paths import ROOT, TESTS

from bertglue import InputError, colab

LISTS = TESTS / "tools" / "colab_packages"
NOTEBOOK = ROOT / "notebooks" / "finetune.ipynb"


def image(name):
    lines = (LISTS / f"{name}.txt").read_text().splitlines()
    pairs = [line.split("==") for line in lines if not line.startswith("#")]
    return {canonicalize_name(package): version for package, version in pairs}


def names(requirements):
    return {requirement.split(">")[0].split("<")[0] for requirement in requirements}


def test_the_tpu_image_lacks_tensorflow_and_keeps_jax():
    installed = image("tpu")
    wanted = names(colab.missing(requires("bertglue"), installed))
    assert wanted == {"tensorflow", "tensorflow-text", "tensorflow-hub", "importlib_resources"}
    assert colab.has_tpu(installed)


def test_the_gpu_image_lacks_nothing():
    assert colab.missing(requires("bertglue"), image("gpu")) == []
    assert not colab.has_tpu(image("gpu"))


def test_what_is_there_in_too_old_a_version_is_named():
    with pytest.raises(InputError, match=r"this image has keras 3.8.0 \(needed: >=3.13\); choose another runtime"):
        colab.missing(requires("bertglue"), {**image("gpu"), "keras": "3.8.0"})


@pytest.fixture
def commands(monkeypatch):
    """Record the commands that would be run, and what pip would be held to."""
    seen = []

    def run(command, **options):
        constraints = command[command.index("--constraint") + 1] if "--constraint" in command else None
        seen.append((command, Path(constraints).read_text().splitlines() if constraints else []))
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setenv("KERAS_BACKEND", "tensorflow")
    return seen


def run_cell(monkeypatch, packages):
    """Run the notebook's own cell as in Colab: the library is not there until pip has been called for it."""
    cell = next(c for c in nbformat.read(NOTEBOOK, 4).cells if "setup" in c.metadata.get("tags", []))
    monkeypatch.setenv("COLAB_RELEASE_TAG", "test")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setattr(colab, "installed_versions", lambda: packages)
    exec(cell.source, {})


def test_the_cell_on_the_tpu_image(commands, monkeypatch):
    run_cell(monkeypatch, image("tpu"))
    (library, _), (rest, held) = commands
    assert library[:4] == [sys.executable, "-m", "pip", "install"]
    assert "--no-deps" in library
    assert library[-1].startswith("bertglue @ git+")
    assert not any(word.startswith(("jax", "keras", "numpy")) for word in rest)
    assert {"jax==0.7.2", "keras==3.13.2", "numpy==2.0.2", "libtpu==0.0.21"} <= set(held)
    assert colab.os.environ["KERAS_BACKEND"] == "jax"


def test_the_cell_on_the_gpu_image(commands, monkeypatch):
    run_cell(monkeypatch, image("gpu"))
    ((library, _),) = commands
    assert "--no-deps" in library
    assert colab.os.environ["KERAS_BACKEND"] == "tensorflow"


def test_the_cell_does_nothing_elsewhere(commands, monkeypatch):
    cell = next(c for c in nbformat.read(NOTEBOOK, 4).cells if "setup" in c.metadata.get("tags", []))
    monkeypatch.delenv("COLAB_RELEASE_TAG", raising=False)
    exec(cell.source, {})
    assert commands == []


def test_what_pip_complains_of_is_one_line(monkeypatch):
    complaint = "WARNING: x\nERROR: No matching distribution found for tensorflow>=2.20\n"
    monkeypatch.setattr(subprocess, "run", lambda command, **o: subprocess.CompletedProcess(command, 1, "", complaint))
    with pytest.raises(
        InputError, match=r"could not install tensorflow>=2.20: ERROR: No matching distribution"
    ) as error:
        colab.install(["tensorflow>=2.20"], {})
    assert "\n" not in str(error.value)

"""The set-up cell, run against the packages that Colab's images have."""

import os
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
    assert wanted == {"tensorflow", "tensorflow-text", "tensorflow-hub", "importlib_resources", "ai-edge-litert"}
    assert colab.has_tpu(installed)


@pytest.mark.parametrize("name", ["cpu", "gpu"])
def test_the_other_images_lack_little(name):
    assert names(colab.missing(requires("bertglue"), image(name))) == {"importlib_resources", "ai-edge-litert"}
    assert not colab.has_tpu(image(name))


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
    monkeypatch.setattr(colab, "too_new_for_protobuf", lambda installed: None)
    return seen


def run_cell(monkeypatch, packages):
    """Run the notebook's own cell as in Colab: the library is not there until pip has been called for it."""
    cell = next(c for c in nbformat.read(NOTEBOOK, 4).cells if "setup" in c.metadata.get("tags", []))
    monkeypatch.setenv("COLAB_RELEASE_TAG", "test")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name if name in packages else None)
    monkeypatch.setattr(colab, "installed_versions", lambda: packages)
    exec(cell.source, {})


def test_the_cell_on_the_tpu_image(commands, monkeypatch):
    monkeypatch.delenv("KERAS_BACKEND")
    run_cell(monkeypatch, image("tpu"))
    (library, _), (rest, held) = commands
    assert library[:4] == [sys.executable, "-m", "pip", "install"]
    assert "--no-deps" in library
    assert library[-1].startswith("bertglue @ git+")
    assert not any(word.startswith(("jax", "keras", "numpy")) for word in rest)
    assert {"jax==0.7.2", "keras==3.13.2", "numpy==2.1.3", "libtpu==0.0.21.1"} <= set(held)
    assert os.environ["KERAS_BACKEND"] == "jax"


def test_the_cell_on_the_gpu_image(commands, monkeypatch):
    run_cell(monkeypatch, image("gpu"))
    (library, _), (rest, _) = commands
    assert "--no-deps" in library
    assert {word.partition(">")[0] for word in rest[-2:]} == {"importlib_resources", "ai-edge-litert"}
    assert os.environ["KERAS_BACKEND"] == "tensorflow"


def test_the_cell_does_nothing_elsewhere(commands, monkeypatch):
    cell = next(c for c in nbformat.read(NOTEBOOK, 4).cells if "setup" in c.metadata.get("tags", []))
    monkeypatch.delenv("COLAB_RELEASE_TAG", raising=False)
    exec(cell.source, {})
    assert commands == []


@pytest.fixture
def path(tmp_path, monkeypatch):
    """Put packages on the path, as (folder, name, version, code of schema_pb2)."""

    def add(folder, name, version, code=""):
        about = tmp_path / folder / f"{name.replace('-', '_')}-{version}.dist-info"
        about.mkdir(parents=True)
        (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        schema = tmp_path / folder / "tensorflow_metadata/proto/v0/schema_pb2.py"
        schema.parent.mkdir(parents=True, exist_ok=True)
        schema.write_text(code)
        monkeypatch.syspath_prepend(str(tmp_path / folder))

    return add


def test_of_two_copies_on_the_path_the_first_counts(path):
    path("behind", "bertglue-example", "1.0")
    path("before", "bertglue-example", "2.0")
    assert colab.installed_versions()["bertglue-example"] == "2.0"


@pytest.mark.parametrize(
    ("protobuf", "older"), [("5.29.6", "tensorflow-metadata<1.18"), ("6.31.1", None), ("7.1", None)]
)
def test_metadata_of_a_newer_protobuf_is_noticed(path, protobuf, older):
    code = "_runtime_version.ValidateProtobufRuntimeVersion(\n  _runtime_version.Domain.PUBLIC,\n  6,\n  31,\n  1,\n)"
    path("image", "tensorflow-metadata", "1.21.0", code)
    assert colab.too_new_for_protobuf({"tensorflow-metadata": "1.21.0", "protobuf": protobuf}) == older


def test_metadata_that_names_no_protobuf_is_kept(path):
    path("image", "tensorflow-metadata", "1.17.3", "from google.protobuf import descriptor\n")
    assert colab.too_new_for_protobuf({"tensorflow-metadata": "1.17.3", "protobuf": "5.29.6"}) is None
    assert colab.too_new_for_protobuf({"protobuf": "5.29.6"}) is None


def test_drive_is_in_colab_alone():
    with pytest.raises(InputError, match="Drive can be mounted in Colab alone"):
        colab.on_drive("runs/notebook")


def test_what_pip_complains_of_is_one_line(monkeypatch):
    complaint = "WARNING: x\nERROR: No matching distribution found for tensorflow>=2.20\n"
    monkeypatch.setattr(subprocess, "run", lambda command, **o: subprocess.CompletedProcess(command, 1, "", complaint))
    with pytest.raises(
        InputError, match=r"could not install tensorflow>=2.20: ERROR: No matching distribution"
    ) as error:
        colab.install(["tensorflow>=2.20"], {})
    assert "\n" not in str(error.value)

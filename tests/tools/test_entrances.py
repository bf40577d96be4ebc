"""One small task through each entrance, whole: the command, papermill with files, and the notebook as Colab runs it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from checkout import copy_checkout
from paths import ROOT
from small_glue import write_glue

pytestmark = pytest.mark.whole

NOTEBOOK = ROOT / "notebooks/finetune.ipynb"
BIN = Path(sys.executable).parent
FILES = [ROOT / "params/profiles/glue.yaml", ROOT / "params/tasks/rte.yaml"]


def call(folder: Path, *command, **environment) -> str:
    """Run a command in a folder as a user does, with this Python's commands on the path."""
    environment = {**os.environ, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}", **environment}
    done = subprocess.run(
        list(map(str, command)), cwd=folder, env=environment, capture_output=True, text=True, timeout=500
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Run RTE by each entrance, the same values written as one writes them there; give the folders."""
    place = tmp_path_factory.mktemp("entrances")
    elsewhere = place / "in Colab"
    elsewhere.mkdir()
    write_glue(place / "glue")
    common = {"glue_dir": place / "glue", "cache_dir": place / "cache", "epochs": 1, "learning_rate": "2e-5"}
    given = [word for name, value in common.items() for word in ("-p", f"{name}={value}")]
    call(ROOT, "bertglue", "run", "rte", "--profile", "glue", *given, "--output", place / "command")
    given = [word for name, value in common.items() for word in ("-p", name, value)]
    files = [word for path in FILES for word in ("-f", path)]
    (place / "papermill").mkdir()
    call(
        *(place, "papermill", NOTEBOOK, place / "papermill/finetune.ipynb", *files, *given),
        *("-p", "run_dir", place / "papermill"),
    )
    text = f"profile: glue\nsource: folder\ntask: rte\nmax_length: 128\nhold_out: 0.0\nglue_dir: {place / 'glue'}\n"
    text += f"epochs: 1\nlearning_rate: 2e-5\nrun_dir: {place / 'colab'}\ncache_dir: {place / 'cache'}\n"
    (place / "colab").mkdir()
    call(
        *(elsewhere, "papermill", NOTEBOOK, place / "colab/finetune.ipynb", "-y", text),
        COLAB_RELEASE_TAG="release-colab",
    )
    return {name: place / name for name in ("command", "papermill", "colab")}


def test_the_key_of_the_class_passes_its_own_checks_and_the_gaps_stop(tmp_path):
    given = ("-p", "train_rows", 64, "-p", "epochs", 1, "-p", "run_dir", tmp_path / "runs")
    call(tmp_path, "papermill", ROOT / "notebooks/class_key.ipynb", "key.ipynb", *given)
    with pytest.raises(AssertionError, match="NotImplementedError"):
        call(tmp_path, "papermill", ROOT / "notebooks/class.ipynb", "gaps.ipynb", *given)


def test_from_the_folder_of_notebooks_runs_lie_in_the_checkout(tmp_path):
    """As an editor starts a kernel, in the folder of the notebook that is open."""
    folder = copy_checkout(tmp_path / "my clone")
    write_glue(folder / "glue")
    given = {"task": "rte", "source": "folder", "glue_dir": folder / "glue", "epochs": 1, "max_length": 24}
    words = [word for name, value in given.items() for word in ("-p", name, value)]
    call(folder / "notebooks", "papermill", "finetune.ipynb", tmp_path / "made.ipynb", *words)
    assert (folder / "runs/notebook/record.json").exists()
    assert not (folder / "notebooks/runs").exists()
    said = [output.get("text", "") for cell in nbformat.read(tmp_path / "made.ipynb", 4).cells
            for output in cell.get("outputs", [])]  # fmt: skip
    assert f"in {folder}/runs/notebook:\n" in said


def test_every_entrance_trains_the_same(runs):
    records = {name: json.loads((folder / "record.json").read_text()) for name, folder in runs.items()}
    command = records.pop("command")
    assert command["parameters"]["learning_rate"] == 2e-5
    assert command["examples"]["train"] == 64
    for record in records.values():
        assert record["parameters"] == command["parameters"]
        assert record["metrics"] == command["metrics"]
        assert record["examples"] == command["examples"]


def test_the_notebook_runs_to_its_end_in_colab_where_the_library_is_there(runs):
    cells = nbformat.read(runs["colab"] / "finetune.ipynb", 4).cells
    code = [cell for cell in cells if cell.cell_type == "code"]
    assert all(cell.execution_count for cell in code)
    setup = next(cell for cell in code if "setup" in cell.metadata.get("tags", []))
    assert "is ready" in "".join(output.get("text", "") for output in setup.outputs)

"""The repository: notebooks without outputs, one address, no registry's host in the lock."""

import json
import re
import shutil

import nbformat
import pytest
from papermill.iorw import read_yaml_file
from paths import ROOT
from typer.testing import CliRunner

from bertglue import cli
from bertglue.parameters import CompressionParameters, Parameters, PretrainingParameters, is_parameter
from bertglue.runs import execute
from bertglue.tasks import TASKS
from bertglue.tools import sync_address
from bertglue.tools.book_plan import parameter_files, read_plan

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebooks_are_committed_without_outputs(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(cell.outputs == [] and cell.execution_count is None for cell in code)
    assert sum("parameters" in cell.metadata.get("tags", []) for cell in code) == 1


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebooks_hold_no_logic(path):
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type == "code" and "setup" not in cell.metadata.get("tags", []):
            assert not re.search(r"^\s*(def|class|for|while|if|try)\b", cell.source, re.MULTILINE), cell.source


def finetune_cell(tag):
    return tagged_cell(ROOT / "notebooks" / "finetune.ipynb", tag)


def tagged_cell(path, tag):
    notebook = nbformat.read(path, as_version=4)
    return next(cell.source for cell in notebook.cells if tag in cell.metadata.get("tags", []))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_notebook_is_set_up_in_colab_alike(path):
    assert tagged_cell(path, "setup") == finetune_cell("setup")


def parameters_cell() -> dict:
    """The names that the notebook's parameter cell binds, and their values."""
    namespace = {}
    exec(finetune_cell("parameters"), {}, namespace)
    return namespace


def test_the_parameters_cell_names_every_parameter_with_its_default():
    namespace = parameters_cell()
    assert set(namespace) == set(Parameters.model_fields)
    assert Parameters.check(namespace) == Parameters()


@pytest.mark.parametrize("profile", sorted((ROOT / "params/profiles").glob("*.yaml")), ids=lambda path: path.stem)
@pytest.mark.parametrize("task", TASKS)
def test_papermill_and_the_library_read_the_same_parameters_from_files(profile, task, monkeypatch):
    """Papermill sets over the cell's values what the files give; the library sets it over its defaults."""
    monkeypatch.chdir(ROOT)
    files = parameter_files(profile.stem, task)
    assert as_papermill_reads(files) == Parameters.from_files(*files)


def as_papermill_reads(files) -> Parameters:
    namespace = parameters_cell()
    for path in files:
        namespace |= read_yaml_file(str(path))
    return Parameters.from_notebook(namespace)


@pytest.mark.parametrize("profile", ["toy", "full"])
def test_a_task_may_have_values_of_its_own_in_one_profile(profile, tmp_path, monkeypatch):
    """The notebook, the library, the book's plan and the command take the same files, the task's own last."""
    shutil.copytree(ROOT / "params", tmp_path / "params")
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "notebooks/finetune.ipynb").touch()
    monkeypatch.chdir(tmp_path)
    before = Parameters.from_files(*parameter_files(profile, "rte"))
    (tmp_path / f"params/tasks/{profile}").mkdir()
    (tmp_path / f"params/tasks/{profile}/rte.yaml").write_text("epochs: 7\nlearning_rate: 5e-5\n")
    expected = before.model_copy(update={"epochs": 7, "learning_rate": 5e-5})
    assert as_papermill_reads(parameter_files(profile, "rte")) == expected
    plan = read_plan({"profile": profile, "tasks": "rte cola"}, 1)
    assert plan.parameters["rte"] == expected
    assert plan.parameters["cola"].epochs == before.epochs
    assert json.loads(plan.identity("rte"))["epochs"] == 7  # so that a finished run with other values is made again
    executed = []
    monkeypatch.setattr(execute, "execute", executed.append)
    monkeypatch.setattr(execute, "read_record", lambda path: {})
    monkeypatch.setattr(cli, "show_results", lambda folders: None)
    CliRunner().invoke(cli.app, ["run", "rte", "--profile", profile, "--output", "r"], catch_exceptions=False)
    assert executed == [expected.model_copy(update={"run_dir": "r"})]
    named = ["run", "rte", "--profile", profile, "-p", "profile=mine", "-p", "run_dir=there"]
    CliRunner().invoke(cli.app, named, catch_exceptions=False)
    assert executed[1] == expected.model_copy(update={"run_dir": "there", "profile": "mine"})
    other = "full" if profile == "toy" else "toy"
    assert len(parameter_files(other, "rte")) == 2


@pytest.mark.parametrize(("name", "kind"), [("pretrain", PretrainingParameters), ("compress", CompressionParameters)])
def test_other_parameters_cells_name_every_parameter_with_its_default(name, kind):
    namespace = {}
    exec(tagged_cell(ROOT / "notebooks" / f"{name}.ipynb", "parameters"), {}, namespace)
    assert set(namespace) == set(kind.model_fields)
    assert kind.check(namespace) == kind()


@pytest.mark.parametrize("colab", [True, False])
@pytest.mark.parametrize("installed", [True, False])
def test_setup_installs_the_library_in_colab_only_and_once(monkeypatch, colab, installed):
    calls, set_up = [], []
    monkeypatch.setattr("subprocess.run", lambda command, check: calls.append(command))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object() if installed else None)
    monkeypatch.setattr("bertglue.colab.set_up", lambda: set_up.append(True))
    monkeypatch.delenv("COLAB_RELEASE_TAG", raising=False)
    if colab:
        monkeypatch.setenv("COLAB_RELEASE_TAG", "release-colab")
    exec(finetune_cell("setup"), {})
    assert len(calls) == (colab and not installed)
    assert all(sync_address.repository(ROOT) in call[-1] for call in calls)
    assert len(set_up) == colab  # also when the library is there: a restarted kernel needs its backend


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_what_the_setup_leaves_in_the_notebook_is_no_parameter(path, monkeypatch):
    """In Colab the cells share one namespace, which the check of the parameters reads."""
    monkeypatch.setattr("subprocess.run", lambda command, check: None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setattr("bertglue.colab.set_up", lambda: [])
    monkeypatch.setenv("COLAB_RELEASE_TAG", "release-colab")
    namespace = {}
    exec(tagged_cell(path, "setup"), namespace)
    assert [name for name, value in namespace.items() if is_parameter(name, value)] == []


@pytest.mark.parametrize("name", sync_address.files(ROOT))
def test_the_address_is_the_one_of_pyproject(name):
    text = (ROOT / name).read_text(encoding="utf-8")
    assert sync_address.repository(ROOT) in text
    assert sync_address.carry(text, sync_address.repository(ROOT)) == text
    assert sync_address.repository(ROOT) not in sync_address.carry(text, "someone/else").replace("bertglue @", "")


def test_the_lock_holds_exact_versions_hashes_and_no_address():
    lock = (ROOT / "requirements.lock").read_text()
    assert "://" not in lock
    assert "--hash=sha256:" in lock
    names = re.findall(r"^([a-z0-9._-]+)(\S*)", lock, re.MULTILINE)
    assert names
    assert all(version.startswith("==") or version.startswith("[") for _, version in names)

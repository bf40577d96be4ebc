"""What `bertglue run` starts: the environment of the kernel."""

import os
from pathlib import Path

import papermill
import pytest
from papermill.parameterize import parameterize_path

from bertglue import Parameters
from bertglue.environment import HUGE_PAGES, MALLOC_VARIABLE
from bertglue.errors import InputError
from bertglue.places import PACKAGED, find_notebook
from bertglue.runs import execute


@pytest.mark.parametrize(("asked", "found"), [(None, HUGE_PAGES), ("glibc.malloc.check=1", "glibc.malloc.check=1")])
def test_a_kernel_starts_with_huge_pages_unless_the_user_says_otherwise(tmp_path, monkeypatch, asked, found):
    seen = {}
    monkeypatch.setenv(MALLOC_VARIABLE, asked or "")
    if asked is None:
        monkeypatch.delenv(MALLOC_VARIABLE)
    monkeypatch.setattr(papermill, "execute_notebook", lambda *given, **options: seen.update(os.environ))
    execute.execute(Parameters(task="rte", run_dir=str(tmp_path / "run")))
    assert seen[MALLOC_VARIABLE] == found


def test_a_file_in_place_of_the_folder_is_refused_in_a_line(tmp_path):
    (tmp_path / "notes.txt").write_text("notes")
    with pytest.raises(InputError, match=r"notes.txt cannot be written \(File exists\)"):
        execute.execute(Parameters(task="rte", run_dir=str(tmp_path / "notes.txt")))
    assert (tmp_path / "notes.txt").read_text() == "notes"


@pytest.fixture
def notebook(monkeypatch):
    """What papermill is asked for, in place of running it."""
    asked = {}
    monkeypatch.setattr(papermill, "execute_notebook", lambda *given, **options: asked.update(options, paths=given[:2]))
    return asked


@pytest.mark.parametrize(
    ("wrong", "message"),
    [({"source": "folder"}, "glue_dir is not given"), ({"encoder": "./none"}, "'./none' is no encoder")],
)
def test_wrong_input_leaves_the_notebook_of_a_finished_run(tmp_path, notebook, wrong, message):
    with pytest.raises(InputError, match=message):
        execute.execute(Parameters(task="rte", run_dir=str(tmp_path / "run"), **wrong))
    assert not notebook
    assert not (tmp_path / "run").exists()


def test_braces_in_a_folder_are_no_pattern_of_papermills(tmp_path, notebook):
    folder = tmp_path / "runs {task} {"
    execute.execute(Parameters(task="rte", run_dir=str(folder)))
    paths = [Path(parameterize_path(path, {"task": "rte"})) for path in notebook["paths"]]
    assert paths == [find_notebook(), folder / "finetune.ipynb"]


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (
            PermissionError(13, "Permission denied"),
            r"run cannot be written \(Permission denied\); free space there, or",
        ),
        (RuntimeError("Kernel didn't respond in 600 seconds"), r"did not start \(Kernel didn't respond in 600 seconds"),
    ],
)
def test_what_papermill_cannot_do_is_one_line(tmp_path, monkeypatch, error, message):
    def fail(*given, **options):
        raise error

    monkeypatch.setattr(papermill, "execute_notebook", fail)
    with pytest.raises(InputError, match=message):
        execute.execute(Parameters(task="rte", run_dir=str(tmp_path / "run")))


@pytest.mark.parametrize(("machines", "ends"), [(1, "immediate"), (2, None)])
def test_a_kernel_ends_at_once_unless_other_machines_wait_for_it(tmp_path, notebook, machines, ends):
    execute.execute(Parameters(task="rte", machines=machines, run_dir=str(tmp_path / "run")))
    assert notebook.get("shutdown_kernel") == ends


def test_the_notebook_of_another_project_is_not_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "notebooks/finetune.ipynb").write_text("{}")
    assert find_notebook().is_relative_to(PACKAGED)
    (tmp_path / "Snakefile").touch()  # a checkout of this one
    assert not find_notebook().is_relative_to(PACKAGED)

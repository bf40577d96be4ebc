"""What `bertglue run` starts: the environment of the kernel."""

import os

import papermill
import pytest

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


def test_the_notebook_of_another_project_is_not_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "notebooks/finetune.ipynb").write_text("{}")
    assert find_notebook().is_relative_to(PACKAGED)
    (tmp_path / "Snakefile").touch()  # a checkout of this one
    assert not find_notebook().is_relative_to(PACKAGED)

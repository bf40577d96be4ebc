"""What `bertglue run` starts: the environment of the kernel."""

import os

import papermill
import pytest

from bertglue import Parameters
from bertglue.environment import HUGE_PAGES, MALLOC_VARIABLE
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

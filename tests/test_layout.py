"""The house: every file is known to git, each package says what it is for, names have one meaning, docstrings hold."""

import ast
import doctest
import importlib
import inspect
import re
import shutil
import subprocess
import sys
from collections import defaultdict

import pytest
from paths import ROOT

import bertglue
from bertglue.parameters import Parameters
from bertglue.report.measured_files import MEASURED

LIBRARY = ROOT / "lib" / "bertglue"
MODULES = sorted(path for path in LIBRARY.rglob("*.py"))
PUBLIC = ("Parameters", "evaluate", "get_task", "load_data", "load_encoder", "load_preprocessor", "train")


def names(paths):
    return [str(path.relative_to(LIBRARY)) for path in paths]


def test_git_lists_every_file_of_the_library():
    """An entry of .gitignore such as `runs/` would hide a package of that name from everybody but its author."""
    if not shutil.which("git") or not (ROOT / ".git").exists():
        pytest.skip("not a checkout of the repository")
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "lib", "tests"]
    listed = set(subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines())
    there = {
        str(path.relative_to(ROOT))
        for folder in ("lib", "tests")
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and path.suffix != ".pyc" and not re.search(r"\.egg-info|\.ipynb_checkpoints", str(path))
    }
    assert there <= listed


def packages():
    return sorted(path.parent for path in LIBRARY.rglob("__init__.py") if path.parent != LIBRARY)


@pytest.mark.parametrize("folder", packages(), ids=lambda folder: folder.name)
def test_a_package_says_what_it_is_for_and_holds_no_code(folder):
    tree = ast.parse((folder / "__init__.py").read_text(encoding="utf-8"))
    assert len(tree.body) == 1, "an __init__.py holds its docstring alone"
    said = ast.get_docstring(tree)
    assert re.search(r"\bTakes\b", said)
    assert re.search(r"\bGives\b|Nothing else imports", said)


def test_every_folder_with_code_is_a_package():
    assert {path.parent for path in MODULES} == {LIBRARY, *packages()}


def constants(path):
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        for target in targets:
            for name in [target, *getattr(target, "elts", [])]:
                if isinstance(name, ast.Name) and name.id.isupper():
                    yield name.id


def test_a_constant_has_one_meaning():
    where = defaultdict(list)
    for path in MODULES:
        for name in constants(path):
            where[name].append(path.name)
    shared = {name: paths for name, paths in where.items() if len(paths) > 1}
    assert shared == {"FREE_ON_RESUME": ["pretrain.py", "callbacks.py"]}  # the same of two kinds of run


@pytest.mark.parametrize("path", MODULES, ids=names(MODULES))
def test_docstrings_begin_with_the_usual_verbs(path):
    unusual = {"Give", "Gives", "Say", "Says", "Tell", "Tells", "Word", "Hold", "Let's"}
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            said = ast.get_docstring(node) or ""
            assert said.split(" ")[0] not in unusual, f"{getattr(node, 'name', path.name)}: {said}"


def sections(said):
    return dict(re.findall(r"^(\w+):\n((?:    .*\n|\n)+)", said + "\n", re.MULTILINE))


@pytest.mark.parametrize("name", PUBLIC)
def test_a_public_docstring_names_every_argument(name):
    thing = getattr(bertglue, name)
    found = sections(inspect.getdoc(thing))
    arguments = set(thing.model_fields) if thing is Parameters else set(inspect.signature(thing).parameters)
    assert set(re.findall(r"^    (\w+): ", found["Args"], re.MULTILINE)) == arguments
    assert found["Source"].strip()
    assert "Returns" in found or thing is Parameters
    assert "Raises" in found or "InputError" not in inspect.getsource(importlib.import_module(thing.__module__))


@pytest.mark.parametrize("name", PUBLIC)
def test_a_public_docstring_has_an_example_that_runs(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # whatever it writes goes there
    thing = getattr(bertglue, name)
    (example,) = doctest.DocTestFinder(recurse=False).find(thing, name, globs={})
    assert example.examples
    report = []
    runner = doctest.DocTestRunner(verbose=False, optionflags=doctest.NORMALIZE_WHITESPACE)
    runner.run(example, out=report.append)
    assert not runner.failures, "".join(report)


def test_measured_data_are_listed_with_their_commands():
    listed = re.findall(r"^\| `([\w.]+)` \| .+ \| .*(?:make|python) .+ \|$", (MEASURED / "README.md").read_text(), re.M)
    made_at_last = {
        "reference_statistics.json",
        "reference_explanations",
    }  # there as soon as a final unit of the reference run is
    found = {path.name for path in MEASURED.iterdir() if path.suffix != ".md"}
    assert sorted(listed) == sorted(found | made_at_last)


def test_the_name_for_colabs_cells_stays():
    """Notebooks that people saved call it by this name."""
    from bertglue.colab import set_up

    assert callable(set_up)


def test_importing_the_package_loads_no_framework():
    code = "import bertglue, sys; bertglue.Parameters; print(sorted({'keras', 'tensorflow', 'jax'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_make_book_plans_without_the_packages_that_are_slow_to_load():
    """With nothing to do it takes a second or two; scipy and scikit-learn alone would double that."""
    code = (
        "import sys; from bertglue.tools import book_plan; from bertglue.runs import status; "
        "print(sorted({'keras', 'tensorflow', 'jax', 'scipy', 'sklearn', 'pandas', 'matplotlib'} & set(sys.modules)))"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT).stdout
    assert said.splitlines()[-1] == "[]"

"""The notebooks in Colab, each from its first cell to its last, in the packages of Colab's images and their Python.

`make test-colab` makes the images (.colab/IMAGE, from the lists in colab_packages) and runs all of this in each;
`make test-whole` runs the first few tests, on the TPU's image alone. What stands in for Colab: a copy of the image
with a kernel of its own, the variable that Colab sets, a folder that is not the checkout, and this working tree as a
repository in the place of the address.
"""

import json
import os
import random
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from paths import ROOT
from small_glue import TASKS, WORDS, write_glue
from small_tfds import write_archives

from bertglue.environment import versions

pytestmark = pytest.mark.whole

ADDRESS = "https://github.com/bertglue/bertglue"
TPU = pytest.param("tpu", marks=pytest.mark.xdist_group("tpu"))
ALL = (
    TPU,
    *(pytest.param(name, marks=[pytest.mark.colab, pytest.mark.xdist_group(name)]) for name in ("cpu", "gpu")),
)
ALL_SLOW = tuple(
    pytest.param(name, marks=[pytest.mark.colab, pytest.mark.xdist_group(name)]) for name in ("tpu", "cpu", "gpu")
)
SMALL = {"epochs": 1, "max_length": 24}


class Image:
    """A runtime of Colab: an image's packages, which set-up adds to, and a folder to work in."""

    def __init__(self, name: str, folder: Path, repository: Path):
        packages = ROOT / ".colab" / name
        if not (packages / "ready").exists():
            pytest.skip(f"{packages} is not there: make {packages.relative_to(ROOT)}/ready (it needs a Python 3.13)")
        self.name, self.folder = name, folder / "content"
        self.folder.mkdir()
        self.packages = folder / "packages"  # by hard links; pip replaces files, and never writes into one
        shutil.copytree(packages, self.packages, copy_function=os.link, symlinks=True)
        self.python = self.packages / "bin" / "python"
        kernel = folder / "jupyter/kernels/colab"
        kernel.mkdir(parents=True)
        command = [str(self.python), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        kernel.joinpath("kernel.json").write_text(
            json.dumps({"argv": command, "display_name": "Colab", "language": "python"})
        )
        kept = {name: value for name, value in os.environ.items() if name not in ("KERAS_BACKEND", "PYTHONPATH")}
        self.environment = {
            **kept, "COLAB_RELEASE_TAG": "release-colab-external_20260819", "JUPYTER_PATH": str(folder / "jupyter"),
            "GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": f"url.{repository}.insteadOf", "GIT_CONFIG_VALUE_0": ADDRESS,
            "PATH": f"{self.packages / 'bin'}{os.pathsep}{os.environ['PATH']}",
        }  # fmt: skip

    def run(self, notebook, parameters: dict, **environment) -> list[str]:
        """Run a notebook to its last cell; return what its cells printed. Nothing may stand on standard error."""
        path = self.folder / "notebook.ipynb"
        nbformat.write(notebook, path)
        values = [word for name, value in parameters.items() for word in ("-y", json.dumps({name: value}))]
        done = subprocess.run(
            [sys.executable, "-m", "papermill", path, path, "-k", "colab", "--no-progress-bar", *values],
            cwd=self.folder, env={**self.environment, **environment}, capture_output=True, text=True, timeout=900,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-3000:]
        cells = [cell for cell in nbformat.read(path, 4).cells if cell.cell_type == "code"]
        assert all(cell.execution_count for cell in cells)
        streams = [output for cell in cells for output in cell.outputs if output.output_type == "stream"]
        # of a pip whose configuration names a folder that is not there
        complaints = [
            line
            for output in streams
            if output.name == "stderr"
            for line in output.text.splitlines()
            if "is ignored: it is neither a file nor a directory" not in line
        ]
        assert complaints == []
        return [line for output in streams if output.name == "stdout" for line in output.text.splitlines()]

    def set_up(self) -> "Image":
        """Run the set-up cell alone, unless the library is there; the kernel that it ran in ends."""
        if "bertglue" not in self.installed():
            notebook = read("finetune")
            notebook.cells = [cell for cell in notebook.cells if "setup" in cell.metadata.get("tags", [])]
            self.run(notebook, {})
        return self

    def installed(self) -> dict[str, str]:
        """Return name and version of the packages that load."""
        code = "import importlib.metadata as m; print(*(f'{d.name}=={d.version}' for d in m.distributions()))"
        said = subprocess.run([self.python, "-c", code], capture_output=True, text=True, check=True).stdout
        return dict(item.split("==") for item in said.split())


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    """Commit this working tree, as it is, to a repository of its own."""
    folder = tmp_path_factory.mktemp("repository")
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    names = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
    for name in filter(None, names):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    me = ["-c", "user.name=test", "-c", "user.email=test@localhost"]
    for command in (["init", "--quiet"], ["add", "--all"], ["commit", "--quiet", "--message", "as it is"]):
        subprocess.run(["git", *me, *command], cwd=folder, check=True)
    return folder


@pytest.fixture(scope="module")
def images(tmp_path_factory, repository):
    """Give each image once, new at the first call."""
    made = {}

    def image(name: str) -> Image:
        if name not in made:
            made[name] = Image(name, tmp_path_factory.mktemp(name), repository)
        return made[name]

    return image


@pytest.fixture(scope="module")
def glue(tmp_path_factory) -> Path:
    """Nine tasks with few rows."""
    folder = tmp_path_factory.mktemp("data") / "glue"
    write_glue(folder, tuple(TASKS), train=48, dev=12, test=4)
    return folder


def read(name: str):
    return nbformat.read(ROOT / "notebooks" / f"{name}.ipynb", 4)


def record(image: Image, folder: str = "runs/notebook") -> dict:
    return json.loads((image.folder / folder / "record.json").read_text())


@pytest.mark.parametrize("name", ALL)
def test_the_first_run_installs_what_is_missing_and_changes_nothing_silently(repository, name, tmp_path):
    image = Image(name, tmp_path, repository)
    before = image.installed()
    said = image.run(read("finetune"), SMALL)
    after = image.installed()
    assert "bertglue" in after
    assert said[0] == "installing bertglue from its repository ..."
    changed = {package for package in before if after[package] != before[package]}
    replaced = {line.split()[1] for line in said if line.startswith("replacing ")}
    assert changed == replaced == (set() if name == "tpu" else {"tensorflow-metadata"})
    assert record(image)["backend"] == ("jax" if name == "tpu" else "tensorflow")
    assert record(image)["environment"]["versions"]["keras"] == before["keras"]


@pytest.mark.parametrize("name", ALL)
def test_the_second_run_finds_everything_there(images, name):
    image = images(name).set_up()
    said = image.run(read("finetune"), SMALL)
    version = versions(("bertglue",))["bertglue"]
    assert said[0] == f"bertglue {version} is ready{', with JAX for the TPU' if name == 'tpu' else ''}"
    assert record(image)["backend"] == ("jax" if name == "tpu" else "tensorflow")


@pytest.mark.parametrize("name", ALL)
def test_after_a_restart_between_set_up_and_the_rest(images, name):
    image = images(name).set_up()
    notebook = read("finetune")
    notebook.cells = [cell for cell in notebook.cells if "setup" not in cell.metadata.get("tags", [])]
    image.run(notebook, SMALL)
    assert record(image)["backend"] == ("jax" if name == "tpu" else "tensorflow")


@pytest.mark.parametrize("name", ALL_SLOW)
def test_only_the_task_is_changed_and_all_cells_are_run_again_for_each_of_the_nine(images, glue, name):
    """In one kernel, as somebody does who changes `task` and chooses "Run all"."""
    image = images(name).set_up()
    notebook, again = read("finetune"), []
    given = {"source": "folder", "glue_dir": str(glue), **SMALL}
    tasks = ("sst2", "cola", "mrpc", "stsb", "qqp", "mnli", "qnli", "rte", "wnli")
    for task in tasks:
        for cell in read("finetune").cells:
            if "parameters" in cell.metadata.get("tags", []):
                cell.source = re.sub(r'^task = "sst2"', f'task = "{task}"', cell.source, flags=re.MULTILINE)
                cell.source += "".join(f"\n{key} = {value!r}" for key, value in given.items())
                cell.metadata.tags = []
            cell.id = f"{task}-{cell.id}"
            again.append(cell)
            if cell.source.startswith("from bertglue.runs.record"):
                cell.source += f"\nassert record['task'] == {task!r}"
    notebook.cells = again
    image.run(notebook, {})
    assert record(image)["task"] == tasks[-1]


@pytest.mark.parametrize("name", ALL_SLOW)
def test_tensorflow_datasets_prepares_and_reads_a_task(images, glue, name, tmp_path):
    image = images(name).set_up()
    package = next(image.packages.glob("lib/python3*/site-packages/tensorflow_datasets"))
    shutil.copytree(glue / "RTE", tmp_path / "glue/RTE")
    archives = write_archives(tmp_path, package, tmp_path / "glue")
    said = image.run(read("finetune"), {"task": "rte", "source": "tfds", "run_dir": "runs/tfds", **SMALL}, **archives)
    assert any(line.startswith("glue/rte: downloading and preparing it in") for line in said)
    assert record(image, "runs/tfds")["examples"] == {"train": 43, "held_out": 5, "validation": 12, "test": 4}


def stand_in_for_colab(folder: Path, **modules: str) -> None:
    """Write modules of `google.colab` for PYTHONPATH; the real ones talk to the browser."""
    (folder / "google/colab").mkdir(parents=True)
    (folder / "google/colab/__init__.py").write_text("output = None\n")  # which JAX imports where it finds Colab
    for name, content in modules.items():
        (folder / "google/colab" / f"{name}.py").write_text(content)


@pytest.mark.parametrize("name", ALL_SLOW)
def test_a_file_of_ones_own_by_the_upload_cell_of_the_guide(images, name, tmp_path):
    """What stands in for the upload writes the file where Colab's does: into the folder of the kernel."""
    image = images(name).set_up()
    rows = [f"{mood} {WORDS[i % len(WORDS)]} no {i},{mood}" for i in range(80) for mood in ("good", "bad", "mixed")]
    upload = "def upload():\n    open('train.csv', 'w').write({!r})\n".format("\n".join(["text,class", *rows]))
    stand_in_for_colab(tmp_path, files=upload)
    guide = (ROOT / "book/guides/own_data.md").read_text()
    (cell,) = re.findall(r"```python\n(from google.colab import .*?)```", guide, re.DOTALL)
    notebook = read("finetune")
    place = next(i for i, found in enumerate(notebook.cells) if "setup" in found.metadata.get("tags", [])) + 1
    notebook.cells.insert(place, nbformat.v4.new_code_cell(cell))
    own = {"task": "mine", "files": {"train": "train.csv"}, "label": "class", "run_dir": "runs/mine"}
    image.run(notebook, {**own, **SMALL}, PYTHONPATH=str(tmp_path))
    assert record(image, "runs/mine")["own_task"]["labels"] == ["bad", "good", "mixed"]


@pytest.mark.parametrize("name", ALL_SLOW)
def test_the_drive_cell_keeps_the_run_there(images, name, tmp_path):
    """Colab's own module is not on an index; what stands in for it has the one function that is called."""
    image = images(name).set_up()
    stand_in_for_colab(tmp_path, drive="def mount(place):\n    print('mounted at', place)\n")
    notebook = read("finetune")
    cell = next(cell for cell in notebook.cells if "drive" in cell.metadata.get("tags", []))
    cell.source = cell.source.replace("# ", "").replace("run_dir)", f"run_dir, {str(tmp_path)!r})")
    said = image.run(notebook, SMALL, PYTHONPATH=str(tmp_path))
    place = tmp_path / "MyDrive/bertglue/runs/notebook"
    assert f"the run is kept in {place}; after a disconnection run all cells again, and it resumes" in said
    assert (place / "record.json").exists()


@pytest.mark.parametrize("name", ALL_SLOW)
def test_compress(images, name):
    image = images(name).set_up()
    image.run(read("finetune"), SMALL)
    few = {"pruning_seeds": 1, "pruning_rows": 16, "pruning_step": 4, "trials": 1, "trial_rows": 64}
    image.run(read("compress"), few)
    assert (image.folder / "runs/compressed/compression.json").exists()


@pytest.mark.parametrize("name", ALL_SLOW)
def test_pretrain_and_fine_tune_what_it_made(images, name):
    image = images(name).set_up()
    rng = random.Random(0)
    documents = [
        "\n".join(" ".join(f"{' '.join(rng.choices(WORDS, k=9))}.".capitalize() for _ in range(6)) for _ in range(2))
        for _ in range(400)
    ]
    (image.folder / "text.txt").write_text("\n\n".join(documents))
    sizes = {"hidden_size": 32, "intermediate_size": 64, "heads": [2], "max_positions": 32, "stages": [[32, 6]]}
    recipe = {"vocabulary_size": 1000, "batch_size": 8, "save_every": 3, "evaluate_batches": 1}
    image.run(read("pretrain"), {"texts": ["text.txt"], **sizes, **recipe})
    image.run(read("finetune"), {"encoder": "runs/pretraining/encoder", **SMALL})
    assert record(image)["encoder"] == "runs/pretraining/encoder"

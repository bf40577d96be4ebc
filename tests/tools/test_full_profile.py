"""`make book PROFILE=full`, whole: GLUE by tensorflow-datasets from small archives, and an encoder of TF Hub's format.

With a GPU in the machine that the packages cannot use (simulated), it stops; with DEVICE=cpu it goes to its end.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import tensorflow_datasets
from checkout import copy_checkout
from fake_gpus import fake_gpus
from small_glue import write_glue
from small_tfds import write_archives

pytestmark = pytest.mark.whole


@pytest.fixture(scope="module")
def place(tmp_path_factory, hub_dir):
    """A checkout, archives of two tasks, and the command that builds a book of them on this machine."""
    folder = copy_checkout(tmp_path_factory.mktemp("a server") / "in a folder")
    write_glue(folder / "glue", ("RTE", "CoLA"), train=64, dev=24, test=8)
    data = write_archives(folder / "tfds", Path(tensorflow_datasets.__file__).parent, folder / "glue")
    shutil.rmtree(folder / "glue")
    encoder = next(path.parent for path in hub_dir.rglob("saved_model.pb") if "preprocess" not in path.parent.name)
    environment = {**os.environ, **data, "PATH": fake_gpus(folder / "bin", 1)}
    given = ["PROFILE=full", "TASKS=rte cola", f"ENCODER={encoder}", "READY=", f"BIN={Path(sys.executable).parent}"]

    def make(*more):
        return subprocess.run(
            ["make", "book", *given, *more], cwd=folder, env=environment, capture_output=True, text=True, timeout=900
        )

    return folder, make


def test_it_stops_where_a_gpu_would_be_left_unused(place):
    folder, make = place
    done = make("TASKS=rte")
    assert done.returncode != 0
    (last,) = [line for line in done.stderr.splitlines() if line.startswith("the book lacks")]
    assert "rte/lr2e-05-seed0: failed (InputError: this machine has 1 NVIDIA GPU, and tensorflow sees none" in last
    assert not (folder / "runs/full/rte/lr2e-05-seed0").exists()


def test_on_the_processor_it_goes_to_its_end(place):
    folder, make = place
    done = make("DEVICE=cpu")
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    assert "the book: book/_build/html/index.html" in done.stdout.splitlines()
    for task in ("rte", "cola"):
        assert (folder / f"book/_build/html/tasks/{task}.html").exists()
    records = json.loads((folder / "runs/full/results.json").read_text())
    assert {record["task"]: record["examples"] for record in records} == {
        task: {"train": 64, "validation": 24, "test": 8} for task in ("rte", "cola")
    }
    assert {record["epochs"] for record in records} == {3}
    assert {record["source"] for record in records} == {"tfds"}

"""What the graph asks of each run is what the run does: a small book of two seeds and two learning rates, run whole."""

import itertools
import json
import os
import subprocess
import sys
from pathlib import Path

import keras
import pytest
from checkout import copy_checkout
from small_glue import write_glue

from bertglue.models.saved_classifier import load_classifier

pytestmark = pytest.mark.whole

# no two values are alike, nor those of the library
PROFILE = """profile: tiny
source: folder
encoder: bundled
batch_size: 16
evaluation_batch_size: 12
epochs: 1
max_length: 24
learning_rate: 5.0e-4
weight_decay: 0.03
warmup_fraction: 0.25
dropout: 0.2
encoder_dropout: 0.3
hold_out: 0.125
"""
SEEDS, RATES, CORES, JOBS = (3, 1), (3e-4, 1e-3), 6, 2


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Run the graph up to `results.json`, as `make book` calls it, in a copy of the checkout."""
    folder = copy_checkout(tmp_path_factory.mktemp("whole"))
    write_glue(folder / "glue")
    (folder / "params/profiles/tiny.yaml").write_text(PROFILE)
    config = {
        "profile": "tiny", "tasks": "rte", "seeds": " ".join(map(str, SEEDS)), "compress": "none", "jobs": JOBS,
        "learning_rates": " ".join(f"{rate:g}" for rate in RATES), "glue_dir": "glue", "encoder": "",
    }  # fmt: skip
    command = [sys.executable, "-m", "snakemake", "runs/tiny/results.json", "--cores", str(CORES), "--resources"]
    command += [f"run={JOBS}", "accelerator=840", "--nolock", "--config", *(f"{k}={v}" for k, v in config.items())]
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-3000:]
    return folder / "runs/tiny"


def test_the_results_are_the_runs_that_were_asked_for_in_that_order(place):
    records = json.loads((place / "results.json").read_text())
    asked = list(itertools.product(RATES, SEEDS))
    assert [(record["learning_rate"], record["seed"]) for record in records] == asked
    assert [record["run"] for record in records] == [f"rte/lr{rate:g}-seed{seed}" for rate, seed in asked]
    status = json.loads((place / "status.json").read_text())
    assert [run["state"] for run in status["runs"]] == ["finished"] * 4


@pytest.mark.parametrize(("rate", "seed"), itertools.product(RATES, SEEDS))
def test_every_run_did_what_its_folder_says(place, rate, seed):
    folder = place / "rte" / f"lr{rate:g}-seed{seed}"
    record = json.loads((folder / "record.json").read_text())
    parameters = record["parameters"]
    assert (parameters["learning_rate"], parameters["seed"], parameters["task"]) == (rate, seed, "rte")
    assert (parameters["profile"], parameters["source"], parameters["glue_dir"]) == ("tiny", "folder", "glue")
    assert (parameters["batch_size"], parameters["evaluation_batch_size"], parameters["max_length"]) == (16, 12, 24)
    assert (parameters["weight_decay"], parameters["warmup_fraction"], parameters["epochs"]) == (0.03, 0.25, 1)
    assert record["examples"] == {"train": 56, "validation": 24, "held_out": 8}
    assert record["environment"]["threads"] == CORES // JOBS
    assert len(record["history"]) == 1
    assert {"finetune.ipynb", "finetune.html", "logits.npz", "texts.json", "model.keras"} <= {
        file.name for file in folder.iterdir()
    }
    assert not (folder.parent / f"{folder.name}.partial").exists()


def test_seeds_and_learning_rates_make_a_difference(place):
    losses = {json.loads(path.read_text())["history"][0]["train"]["loss"] for path in place.glob("rte/*/record.json")}
    assert len(losses) == 4


def test_each_dropout_is_where_its_parameter_says(place):
    classifier, preprocessor = load_classifier(place / "rte" / f"lr{RATES[0]:g}-seed{SEEDS[0]}")
    assert classifier.get_layer("pooled_dropout").rate == 0.2
    encoder = classifier.get_layer("encoder")
    assert {layer.rate for layer in encoder.layers if isinstance(layer, keras.layers.Dropout)} == {0.3}
    assert encoder.get_layer("layer_0_self_attention").dropout == 0.3
    assert preprocessor.seq_length == 24

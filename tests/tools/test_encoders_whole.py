"""Encoders of other formats and of finished runs, through whole books: a folder, an archive, a run of the same book."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from checkout import copy_checkout
from published_encoders import random_weights, write_google, write_huggingface
from savedmodels import VOCABULARY
from small_glue import WORDS, write_glue

pytestmark = pytest.mark.whole

ENTRIES = [*VOCABULARY, *(word for word in WORDS if len(word) > 1)]
SIZES = {"vocab_size": len(ENTRIES), "max_position_embeddings": 128}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A checkout in a folder with a space, with small GLUE files and encoders, and the command that builds a book."""
    folder = copy_checkout(tmp_path_factory.mktemp("encoders") / "with a space")
    write_glue(folder / "glue", ("RTE", "WNLI", "CoLA"), train=64, dev=24, test=0)
    weights = random_weights(**SIZES)
    write_huggingface(folder / "my bert", weights, vocabulary=ENTRIES, **SIZES)
    google = write_google(folder / "google", weights, vocabulary=ENTRIES, **SIZES)
    shutil.make_archive(str(folder / "google"), "zip", google)
    environment = {**os.environ, "TFHUB_CACHE_DIR": str(folder / "cache")}

    def make(*given):
        command = ["make", "book", "PROFILE=glue", "GLUE_DIR=glue", "COMPRESS=none", "READY=", *given]
        command.append(f"BIN={Path(sys.executable).parent}")
        return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=900)

    return folder, make


def records(folder):
    found = json.loads((folder / "runs/glue/results.json").read_text())
    return {record["task"]: record for record in found}


def test_a_folder_and_then_the_encoder_of_a_run(place):
    """The intermediate task's run is made first, and is in the book too; other tasks begin with the encoder itself."""
    folder, make = place
    done = make("ENCODER=my bert", "TASKS=rte cola", "INTERMEDIATE=wnli")
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    found = records(folder)
    first = "runs/glue/wnli/lr2e-05-seed0"
    assert {task: record["encoder"] for task, record in found.items()} == {
        "wnli": "my bert", "cola": "my bert", "rte": first
    }  # fmt: skip
    origins = {task: record["encoder_origin"] for task, record in found.items()}
    assert origins["wnli"] == origins["cola"] != origins["rte"]
    assert origins["rte"]["place"] == first
    page = (folder / "book/_build/html/pages/model.html").read_text()
    assert first in page
    assert origins["cola"]["sha256"][:12] in page


def test_nothing_is_run_again_where_nothing_changed(place):
    folder, make = place
    before = (folder / "runs/glue/rte/lr2e-05-seed0/record.json").stat().st_mtime_ns
    done = make("ENCODER=my bert", "TASKS=rte cola", "INTERMEDIATE=wnli")
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    assert (folder / "runs/glue/rte/lr2e-05-seed0/record.json").stat().st_mtime_ns == before


def test_another_encoder_makes_every_run_again_at_once(place):
    """Also those that begin with the run of the intermediate task, which is made again before them."""
    folder, make = place
    before = records(folder)
    shutil.copytree(folder / "my bert", folder / "another bert")
    done = make("ENCODER=another bert", "TASKS=rte cola", "INTERMEDIATE=wnli")
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    found = records(folder)
    assert {task: record["encoder"] for task, record in found.items()} == {
        "wnli": "another bert", "cola": "another bert", "rte": before["rte"]["encoder"]
    }  # fmt: skip
    assert all(found[task]["finished"] > before[task]["finished"] for task in found)


def test_an_archive_is_the_same_encoder(place):
    folder, make = place
    before = records(folder)["cola"]["encoder_origin"]
    done = make("ENCODER=google.zip", "TASKS=cola")
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    record = records(folder)["cola"]
    assert record["encoder"] == "google.zip"
    assert record["encoder_origin"] == before | {"place": "google.zip"}


def test_what_is_no_bert_ends_before_any_run_in_one_line(place):
    folder, make = place
    config = folder / "roberta" / "config.json"
    shutil.copytree(folder / "my bert", folder / "roberta")
    config.write_text(json.dumps(json.loads(config.read_text()) | {"model_type": "roberta"}))
    done = make("ENCODER=roberta", "TASKS=cola")
    assert done.returncode != 0
    assert "roberta/config.json is of a model of type 'roberta', which computes otherwise than BERT" in done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def test_the_profile_of_a_laptop(place):
    """With the values that the reference run chose for the task, where it has chosen any."""
    folder, make = place
    done = make("PROFILE=laptop", "ENCODER=my bert", "TASKS=cola")
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    (record,) = json.loads((folder / "runs/laptop/results.json").read_text())
    chosen = folder / "params/tasks/laptop/cola.yaml"
    wanted = yaml.safe_load(chosen.read_text()) if chosen.exists() else {}
    assert {name: record[name] for name in wanted} == wanted
    assert (record["parameters"]["save_every"], record["max_length"]) == (200, 128)
    assert (folder / "book/_build/html/tasks/cola.html").exists()

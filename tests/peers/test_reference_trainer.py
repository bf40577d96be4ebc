"""A unit of the reference run by Hugging Face's Trainer leaves what a run of this project leaves."""

import os
import subprocess
import sys

import numpy as np
import pytest
from paths import ROOT
from published_encoders import random_weights, write_huggingface
from savedmodels import VOCABULARY
from small_glue import WORDS, write_glue

from bertglue.runs.paired_comparison import compare_runs
from bertglue.runs.record import read_logits, read_record
from bertglue.tasks import TASKS

ENTRIES = [*VOCABULARY, *(word for word in WORDS if len(word) > 1)]
SIZES = {"vocab_size": len(ENTRIES), "max_position_embeddings": 128}


@pytest.mark.parametrize("task", ["rte", "stsb"])
def test_its_record_and_its_logits(tmp_path, task):
    write_glue(tmp_path / "glue", ("RTE", "STS-B"), train=64, dev=24, test=0)
    write_huggingface(tmp_path / "bert", random_weights(**SIZES), vocabulary=ENTRIES, **SIZES)
    for seed in (0, 1):
        values = {
            "glue_dir": tmp_path / "glue",
            "encoder": tmp_path / "bert",
            "epochs": 2,
            "seed": seed,
            "max_length": 32,
        }
        given = [word for name, value in values.items() for word in ("-p", f"{name}={value}")]
        command = [sys.executable, "benchmarks/reference_trainer.py", task, "--profile", "laptop", *given]
        done = subprocess.run(
            [*command, "--output", tmp_path / f"run{seed}"], cwd=ROOT, capture_output=True, text=True,
            env=os.environ | {"OMP_NUM_THREADS": "1"}, timeout=600,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-3000:]
    record = read_record(tmp_path / "run0/record.json", "metrics", "parameters", "environment", "examples")
    assert (record["backend"], record["environment"]["threads"], record["examples"]["train"]) == ("torch", 1, 64)
    assert set(record["metrics"]["validation"]) == set(TASKS[task].metrics)
    first, second = (read_logits(tmp_path / f"run{seed}/logits.npz", TASKS[task])["validation"] for seed in (0, 1))
    assert first.shape == (24, TASKS[task].outputs)
    assert not np.array_equal(first, second)
    _, differences = compare_runs(tmp_path / "run0", tmp_path / "run1")
    assert [difference.metric for difference in differences] == list(TASKS[task].metrics)


def test_an_unknown_parameter_is_one_line(tmp_path):
    command = [sys.executable, "benchmarks/reference_trainer.py", "rte", "--profile", "laptop", "-p", "epoch=1"]
    done = subprocess.run([*command, "--output", tmp_path / "run"], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stderr.splitlines()[-1][:25]) == (1, "unknown parameter 'epoch'")
    assert not (tmp_path / "run").exists()

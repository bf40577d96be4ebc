"""`make bench` and `make bench-prediction`, from the first line to the tables, on few rows."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from paths import ROOT
from small_glue import write_glue

JAX = os.environ.get("KERAS_BACKEND") == "jax"


def raced(name: str, folder: Path) -> str:
    """Run a race on few rows; return what it prints."""
    write_glue(folder / "glue", ("SST-2",), train=64, dev=24)
    race = ["--glue-dir", folder / "glue", "--only", "bundled", "--rows", "40", "--turns", "1"]
    done = subprocess.run(
        [sys.executable, f"benchmarks/{name}.py", *race], cwd=ROOT, capture_output=True, text=True, timeout=900,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.mark.skipif(JAX, reason="raced once, on TensorFlow, as `make bench` races")
def test_a_race_ends_with_its_tables(tmp_path):
    shown = raced("training", tmp_path)
    turns = re.findall(r"^bundled, sst2, turn 1, (.*): [\d,.]+ examples a second$", shown, re.MULTILINE)
    assert turns == ["run_glue", "run_glue, dynamic", "hub.KerasLayer", "bertglue"]
    assert "Turns, over which a median is taken: 1 (bundled, sst2)" in shown
    for column in ("encoder, rows of", "first step, s", "ours above it"):
        assert re.search(rf"^\|.*{column}.*\|$", shown, re.MULTILINE), column


@pytest.mark.skipif(JAX, reason="raced once, on TensorFlow, as `make bench-prediction` races")
def test_a_race_in_prediction_ends_with_its_table(tmp_path):
    shown = raced("prediction", tmp_path)
    assert "Rows: 40 (bundled, sst2). Turns, over which a median is taken: 1 (bundled, sst2)." in shown
    rows = [line.split(" | ") for line in shown.splitlines() if line.startswith("| bundled, sst2")]
    assert [row[1].strip() for row in rows] == [
        "transformers, pipeline", "transformers, sorted by length", "ONNX Runtime, sorted by length",
        "ONNX Runtime, int8, sorted by length", "bertglue", "bertglue, --precision auto",
    ]  # fmt: skip
    same = [float(row[-1].rstrip("% |")) for row in rows]
    assert same[2] == same[4] == 100  # float32 and float32
    assert min(same) >= 90


def test_a_race_that_is_not_there_is_answered_with_those_that_are(tmp_path):
    done = subprocess.run(
        [sys.executable, "benchmarks/training.py", "--glue-dir", tmp_path, "--only", "large"],
        cwd=ROOT, capture_output=True, text=True, timeout=100,
    )  # fmt: skip
    assert done.returncode == 2
    assert "no race is called large; there are MiniLM, mrpc;" in done.stderr


@pytest.mark.parametrize("race", ["training", "prediction"])
@pytest.mark.parametrize("option", ["--rows", "--turns"])
def test_no_rows_and_no_turns_are_refused(tmp_path, race, option):
    done = subprocess.run(
        [sys.executable, f"benchmarks/{race}.py", "--glue-dir", tmp_path, option, "0"],
        cwd=ROOT, capture_output=True, text=True, timeout=100,
    )  # fmt: skip
    assert done.returncode == 2
    assert f"argument {option}: is 0; give a whole number of at least 1" in done.stderr

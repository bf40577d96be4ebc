"""`make reference` in a clone where nothing is kept, with a small plan: killed, gone on with, runs lost, repeated."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import yaml
from checkout import copy_checkout
from paths import ROOT
from small_glue import write_glue

pytestmark = pytest.mark.whole

KEPT = "lib/bertglue/report/measured/reference"
SMALL = {"encoder": "bundled", "max_length": 32}
CHOSEN = ["learning_rate", "epochs"]
PLAN = {
    "profile": "laptop",
    "stages": [
        {"name": "rate", "title": "rates", "tasks": ["wnli"], "each": {"learning_rate": [1e-4, 1e-3]},
         "parameters": {**SMALL, "hold_out": 0.2, "epochs": 1}},
        {"name": "epochs", "title": "epochs", "tasks": ["wnli"], "each": {"epochs": [2]}, "chosen": CHOSEN[:1],
         "parameters": {**SMALL, "hold_out": 0.2}},
        {"name": "final", "title": "final", "tasks": ["wnli"], "each": {"seed": [0]}, "chosen": CHOSEN,
         "parameters": SMALL},
        {"name": "after", "title": "after", "tasks": ["wnli"], "each": {"seed": [1]}, "chosen": CHOSEN,
         "parameters": {"max_length": 32}, "encoder_of": "final/wnli-0"},
        {"name": "to-compress", "title": "run", "tasks": ["wnli"], "each": {"seed": [0]}, "chosen": CHOSEN,
         "parameters": {**SMALL, "hold_out": 0.2}},
        {"name": "compressed", "title": "compressed", "tasks": ["wnli"], "each": {"seed": [0]},
         "compresses": "to-compress",
         "parameters": {"pruning_step": 4, "pruning_seeds": 1, "pruning_rows": 16, "trials": 1, "trial_rows": 32}},
    ],
}  # fmt: skip
UNITS = [
    "rate/wnli-0.0001", "rate/wnli-0.001", "epochs/wnli-2", "final/wnli-0", "after/wnli-1", "to-compress/wnli-0",
    "compressed/wnli-0",
]  # fmt: skip


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A checkout with a small plan, in which nothing is kept, and the command."""
    folder = copy_checkout(tmp_path_factory.mktemp("reference") / "my clone")
    shutil.rmtree(folder / KEPT, ignore_errors=True)
    shutil.rmtree(folder / "params/tasks/laptop", ignore_errors=True)
    (folder / "benchmarks").mkdir()
    shutil.copy(ROOT / "benchmarks/reference.smk", folder / "benchmarks")
    (folder / "params/reference.yaml").write_text(yaml.safe_dump(PLAN))
    write_glue(folder / "my glue", ("WNLI",), train=80, dev=24, test=8)
    command = ["make", "reference", "GLUE_DIR=my glue", "READY=", f"BIN={Path(sys.executable).parent}"]
    return folder, command


def kept(folder) -> dict[str, str]:
    return {unit: path.read_text() for unit in UNITS if (path := folder / KEPT / f"{unit}.json").exists()}


def run(place, *given) -> str:
    folder, command = place
    done = subprocess.run([*command, *given], cwd=folder, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    assert "Traceback" not in done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def made(place):
    """Kill it once the first unit is kept, and let it go on to its end; give what was kept before and after."""
    folder, command = place
    first = subprocess.Popen([*command], cwd=folder, start_new_session=True, stdout=subprocess.DEVNULL)
    while not kept(folder):
        assert first.poll() is None
        time.sleep(0.1)
    os.killpg(first.pid, signal.SIGKILL)
    first.wait()
    before = kept(folder)
    run(place)
    return before, kept(folder)


def test_after_a_kill_it_goes_on_to_its_end(place, made):
    before, after = made
    assert list(after) == UNITS
    assert before == {unit: after[unit] for unit in before}, "a unit that is kept is not run again"
    folder, _ = place
    chosen = yaml.safe_load((folder / "params/tasks/laptop/wnli.yaml").read_text())
    records = {unit: json.loads(text) for unit, text in after.items()}
    best = max(UNITS[:3], key=lambda unit: records[unit]["metrics"]["held_out"]["accuracy"])
    assert chosen == {name: records[best][name] for name in CHOSEN}
    for unit in UNITS[3:5]:
        assert {name: records[unit][name] for name in CHOSEN} == chosen
        assert (folder / f"benchmarks/reference/{unit}.npz").exists()
    assert records["after/wnli-1"]["encoder_origin"]["place"] == "runs/reference/final/wnli-0"
    assert "glue_dir" not in records["final/wnli-0"]["parameters"]
    smaller = records["compressed/wnli-0"]
    assert smaller["learning_rate"] == chosen["learning_rate"]
    assert [point["heads"] for point in smaller["pruning_curve"][:3]] == [8, 4, 0]
    assert {one["metric"] for one in smaller["pruning_gain"]} == {"accuracy"}
    assert "my glue" not in after["compressed/wnli-0"]
    explained = json.loads((folder / KEPT).with_name("reference_explanations").joinpath("wnli.json").read_text())
    assert explained["unit"] == "final/wnli-0"
    first, *others = explained["sentences"]
    assert len(first["attention"][0][0]) == len(first["tokens"]) == len(first["attributions"])
    assert not any("attention" in one for one in others)
    with np.load(folder / "benchmarks/reference/final/wnli-0.npz") as logits:
        assert {split: len(rows) for split, rows in logits.items()} == {"validation": 24, "test": 8}
    statistics = json.loads((folder / KEPT).with_name("reference_statistics.json").read_text())
    ((seed,),) = (statistics["wnli"]["splits"]["validation"]["confusion"],)
    assert sum(map(sum, seed)) == 24


def test_where_the_runs_are_gone_nothing_is_run_again_but_what_a_new_unit_begins_with(place, made):
    _, after = made
    folder, _ = place
    shutil.rmtree(folder / "runs")
    shutil.rmtree(folder / ".snakemake")
    run(place)
    assert not (folder / "runs/reference/final").exists()
    assert kept(folder) == after
    (folder / KEPT / "after/wnli-1.json").unlink()
    run(place)
    assert (folder / "runs/reference/final/wnli-0/record.json").exists()
    again = kept(folder)
    assert {unit: again[unit] for unit in UNITS[:4]} == {unit: after[unit] for unit in UNITS[:4]}
    metrics = [json.loads(texts["after/wnli-1"])["metrics"] for texts in (after, again)]
    assert metrics[0] == metrics[1]


def test_a_unit_is_repeated_to_the_same_scores(place, made):
    assert "final/wnli-0: the same scores" in run(place, "AGAIN=final/wnli-0")


def test_it_says_what_is_kept_and_what_it_needs(place, made):
    folder, command = place
    assert run(place, "LIST=yes").count("kept") == len(UNITS)
    done = subprocess.run([*command, "GLUE_DIR="], cwd=folder, capture_output=True, text=True, timeout=60)
    assert (done.returncode, "make reference GLUE_DIR=..." in done.stderr) == (2, True)

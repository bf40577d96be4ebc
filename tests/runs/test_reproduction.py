"""A run repeated from its record: with the same parameters, and held to the same answers."""

import json
import os

import numpy as np
import pytest
from made_runs import write_run
from typer.testing import CliRunner

from bertglue import cli
from bertglue.atomic_files import write_json
from bertglue.environment import THREADS_VARIABLE
from bertglue.errors import InputError
from bertglue.parameters import Parameters
from bertglue.runs import reproduction
from bertglue.runs.record import RECORD_FILE, read_arrays

PARAMETERS = Parameters(task="rte", epochs=2, learning_rate=1e-3, seed=3, source="folder", glue_dir="/data/glue")


@pytest.fixture
def run(tmp_path):
    write_run(tmp_path / "run", PARAMETERS)
    return tmp_path / "run"


def test_the_recipe_is_that_of_the_record_but_for_the_folder(run, tmp_path):
    recipe = reproduction.recipe(run, tmp_path / "again")
    backend = json.loads((run / RECORD_FILE).read_text())["backend"]
    assert recipe == PARAMETERS.model_copy(update={"run_dir": str(tmp_path / "again"), "backend": backend})
    assert reproduction.recorded_threads(run) == (int(os.environ.get(THREADS_VARIABLE, 0)) or os.cpu_count())


def test_the_backend_is_that_which_ran_however_it_was_chosen(run, tmp_path):
    record = json.loads((run / RECORD_FILE).read_text())
    assert record["parameters"]["backend"] is None
    other = {"tensorflow": "jax", "jax": "tensorflow"}[record["backend"]]
    write_run(tmp_path / "again", PARAMETERS)
    (run / RECORD_FILE).write_text(json.dumps({**record, "backend": other}))
    assert reproduction.recipe(run, tmp_path / "third").backend == other
    assert reproduction.compare(run, tmp_path / "again").circumstances == {"backend": (other, record["backend"])}


def test_a_preprocessor_that_a_record_names_is_run_only_where_it_is_asked_for(tmp_path):
    """The record may come from elsewhere, and the graph can read and write files."""
    run, parameters = tmp_path / "run", PARAMETERS.model_copy(update={"preprocessor": "/models/preprocess"})
    write_run(run, parameters)
    with pytest.raises(InputError) as error:
        reproduction.recipe(run, tmp_path / "again")
    assert str(error.value) == (
        f"{run} was made with preprocessor /models/preprocess, and --preprocessor is None; give the same if you trust "
        "its graph, which would be run"
    )
    with pytest.raises(InputError, match="give the same"):
        reproduction.recipe(run, tmp_path / "again", "/models/another")
    assert reproduction.recipe(run, tmp_path / "again", "/models/preprocess").preprocessor == "/models/preprocess"


def test_the_same_answers_are_the_same_to_the_bit(run, tmp_path):
    write_run(tmp_path / "again", PARAMETERS)
    found = reproduction.compare(run, tmp_path / "again")
    assert found.identical
    assert ["logits of validation", "", "the same to the bit"] in found.lines()
    assert found.circumstances == {}


def test_other_answers_and_circumstances_are_told(run, tmp_path):
    write_run(tmp_path / "again", PARAMETERS, right=0.5)
    path = tmp_path / "again" / RECORD_FILE
    record = json.loads(path.read_text())
    record["environment"]["versions"]["keras"] = "0.1"
    path.write_text(json.dumps(record))
    found = reproduction.compare(run, tmp_path / "again")
    assert not found.identical
    assert found.scores["validation, accuracy"] == (0.75, 0.5)
    assert ["validation, accuracy", "0.750000", "0.500000"] in found.lines()
    assert found.circumstances["keras"][1] == "0.1"
    assert set(found.circumstances) == {"keras"}
    gap = np.abs(read_arrays(run / "logits.npz")["validation"] - read_arrays(path.parent / "logits.npz")["validation"])
    assert found.logits["validation"] == gap.max() == 2
    assert [f"logits of {split}" for split in found.logits] == [line[0] for line in found.lines()][: len(found.logits)]
    assert ["logits of validation", "", "differ by up to 2"] in found.lines()


@pytest.mark.parametrize("name", ["machine", "device", "devices", "precision", "threads", "commit"])
def test_every_circumstance_that_may_change_a_result_is_compared(run, tmp_path, name):
    write_run(tmp_path / "again", PARAMETERS)
    path = tmp_path / "again" / RECORD_FILE
    record = json.loads(path.read_text())
    before = str(record["environment"].get(name))
    another = 99 if name in ("devices", "threads") else "another"
    write_json(path, {**record, "environment": {**record["environment"], name: another}})
    assert reproduction.compare(run, tmp_path / "again").circumstances == {name: (before, str(another))}
    assert reproduction.compare(run, tmp_path / "again").identical  # the logits are


def test_nothing_is_written_over_and_other_rows_are_not_compared(run, tmp_path):
    with pytest.raises(InputError, match="run is there already; remove it, or name another folder with --output"):
        reproduction.recipe(run, run)
    write_run(tmp_path / "mnli", Parameters(task="mnli", epochs=2))
    with pytest.raises(InputError, match="predict different rows; are the data the same"):
        reproduction.compare(run, tmp_path / "mnli")
    with pytest.raises(InputError, match=r"record.json is no run record"):
        reproduction.recipe(tmp_path / "nowhere", tmp_path / "again")


@pytest.mark.parametrize("right", [0.75, 0.5])
def test_the_command_repeats_compares_and_ends_with_an_error_where_a_score_differs(run, tmp_path, monkeypatch, right):
    asked = []

    def execute(parameters):
        asked.append((parameters, os.environ[THREADS_VARIABLE]))
        write_run(tmp_path / "again", parameters, right)

    monkeypatch.setenv(THREADS_VARIABLE, "7")  # is put back afterwards
    monkeypatch.setattr("bertglue.runs.execute.execute", execute)
    shown = CliRunner().invoke(cli.app, ["reproduce", str(run), "--output", str(tmp_path / "again")])
    assert asked[0][0].seed == 3
    assert asked[0][1] == str(reproduction.recorded_threads(run))
    assert ("the same to the bit" in shown.output.replace("\n", "")) == (right == 0.75)
    if right == 0.75:
        assert shown.exit_code == 0, shown.output
        assert "the same scores, and the same logits to the bit" in shown.output
    else:
        assert "scores differ from" in str(shown.exception)


@pytest.mark.parametrize(
    ("gap", "scores", "identical"),
    [(0.0, {}, True), (1e-7, {}, False), (0.0, {"validation, f1": (0.5, 0.6)}, False), (1e-7, {"a": (0, 1)}, False)],
)
def test_a_repetition_is_identical_where_logits_and_scores_are(gap, scores, identical):
    assert reproduction.Comparison({"validation": gap, "test": 0.0}, scores, {}).identical is identical

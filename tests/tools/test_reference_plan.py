"""The plan of the reference run, and the records that are kept of its units."""

import json
import subprocess

import numpy as np
import pytest
import yaml
from paths import ROOT

from bertglue.errors import InputError
from bertglue.parameters import CompressionParameters, Parameters, read_yaml
from bertglue.report.measured_files import REFERENCE_RUNS
from bertglue.report.reference_runs import read_real_compressions, read_reference_runs
from bertglue.tasks import TASKS
from bertglue.tools import reference_plan as plan
from bertglue.tools.book_plan import parameter_files

PLAN = {
    "profile": "laptop",
    "stages": [
        {"name": "rate", "title": "a", "tasks": ["rte", "wnli"], "each": {"learning_rate": [1e-4, 2e-4]},
         "parameters": {"hold_out": 0.1, "epochs": 3}},
        {"name": "epochs", "title": "b", "tasks": ["rte"], "each": {"epochs": [5]}, "chosen": ["learning_rate"]},
        {"name": "final", "title": "c", "tasks": ["wnli", "rte"], "each": {"seed": [0]},
         "chosen": ["learning_rate", "epochs"]},
        {"name": "after", "title": "d", "tasks": ["rte"], "each": {"seed": [0]}, "encoder_of": "final/wnli-0",
         "chosen": ["learning_rate", "epochs"]},
        {"name": "smaller", "title": "e", "tasks": ["rte"], "each": {"seed": [0]}, "parameters": {"pruning_step": 6},
         "compresses": "final"},
    ],
}  # fmt: skip


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A checkout with a small plan, in which nothing is kept yet."""
    monkeypatch.chdir(tmp_path)
    write_plan(PLAN)
    yield tmp_path
    plan.read_units.cache_clear()


def write_plan(content):
    plan.PLAN_FILE.parent.mkdir(exist_ok=True)
    plan.PLAN_FILE.write_text(yaml.safe_dump(content))
    plan.read_units.cache_clear()


def keep(unit, score, **values):
    task = plan.get_unit(unit).task
    record = {"task": task, "metrics": {"held_out": {"accuracy": score}, "validation": {"accuracy": 0.5}}, **values}
    path = plan.record_of(unit)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(record))


def test_units_in_the_order_of_the_plan(here):
    assert list(plan.read_units()) == [
        "rate/rte-0.0001", "rate/wnli-0.0001", "rate/rte-0.0002", "rate/wnli-0.0002", "epochs/rte-5",
        "final/wnli-0", "final/rte-0", "after/rte-0", "smaller/rte-0",
    ]  # fmt: skip


def test_what_a_unit_waits_for(here):
    kept = "lib/bertglue/report/measured/reference"
    chosen = "params/tasks/laptop/rte.yaml"
    assert plan.needs(plan.get_unit("rate/rte-0.0001")) == []
    assert plan.needs(plan.get_unit("epochs/rte-5")) == [f"{kept}/rate/rte-0.0001.json", f"{kept}/rate/rte-0.0002.json"]
    assert plan.needs(plan.get_unit("final/rte-0")) == [chosen]
    assert plan.needs(plan.get_unit("after/rte-0")) == [chosen, "runs/reference/final/wnli-0/record.json"]
    assert plan.needs(plan.get_unit("smaller/rte-0")) == ["runs/reference/final/rte-0/record.json"]


def test_the_best_score_of_the_held_out_rows_chooses(here):
    keep("rate/rte-0.0001", 0.6, learning_rate=1e-4, epochs=3)
    keep("rate/rte-0.0002", 0.7, learning_rate=2e-4, epochs=3)
    assert plan.choose("rte", "rate") == {"learning_rate": 2e-4, "epochs": 3}
    command = plan.run_command(plan.get_unit("epochs/rte-5"), "out", "my glue")
    assert command == [
        "bertglue", "run", "rte", "--profile", "laptop", "-p", "learning_rate=0.0002", "-p", "epochs=5",
        "-p", 'source="folder"', "-p", 'glue_dir="my glue"', "--output", "out",
    ]  # fmt: skip
    keep("epochs/rte-5", 0.7, learning_rate=2e-4, epochs=5)
    assert plan.choose("rte") == {"learning_rate": 2e-4, "epochs": 3}, "of equal scores the first of the plan"
    keep("epochs/rte-5", 0.71, learning_rate=2e-4, epochs=5)
    assert yaml.safe_load(plan.write_chosen("rte").read_text()) == {"learning_rate": 2e-4, "epochs": 5}


def test_a_unit_begins_with_the_encoder_of_another(here):
    command = plan.run_command(plan.get_unit("after/rte-0"), "out", "glue")
    assert 'encoder="runs/reference/final/wnli-0"' in command
    assert "learning_rate" not in " ".join(command), "the profile's file has it"


def test_a_unit_compresses_the_run_of_another(here, capsys):
    unit = plan.get_unit("smaller/rte-0")
    *command, given = plan.run_command(unit, "my out", "my glue")
    assert command == [
        "papermill", "--no-progress-bar", "--start-timeout", "600", "notebooks/compress.ipynb",
        "my out/compress.ipynb", "--parameters_yaml",
    ]  # fmt: skip
    assert yaml.safe_load(given) == {
        "pruning_step": 6, "run_dir": "runs/reference/final/rte-0", "output_dir": "my out", "glue_dir": "my glue",
    }  # fmt: skip
    path = here / unit.finished
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"task": "rte", "heads": [1]}))
    assert json.loads(plan.keep(unit.name).read_text()) == {"unit": "smaller/rte-0", "task": "rte", "heads": [1]}
    assert plan.main(["again", unit.name, "glue"]) == 1
    assert "repeat final/rte-0" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"tasks": ["sst5"]}, "task is 'sst5'"),
        ({"each": {"learning_rate": [1e-4, 1e-4]}}, "rate/rte-0.0001 is there twice"),
        ({"encoder_of": "final/mnli-0"}, "begins with final/mnli-0, which is no unit before it"),
        ({"compresses": "final"}, "begins with final/rte-0.0001, which is no unit before it"),
    ],
)
def test_a_wrong_plan_is_one_line(here, change, said):
    write_plan({**PLAN, "stages": [{**PLAN["stages"][0], **change}, *PLAN["stages"][1:]]})
    with pytest.raises(InputError, match=said):
        plan.read_units()


def test_an_unknown_unit_is_one_line(here, capsys):
    assert plan.main(["again", "final/mnli-9", "glue"]) == 1
    assert "'final/mnli-9' is no unit of params/reference.yaml" in capsys.readouterr().err
    assert plan.main(["again", "final/rte-0", "glue"]) == 1
    assert "final/rte-0 is not kept" in capsys.readouterr().err


def test_other_scores_of_a_repetition_are_an_error(here, capsys, monkeypatch):
    made_on = {"device": "CPU", "machine": "one", "commit": None, "versions": {}, "seconds": 1.0, "peak_memory_mb": 9}
    keep("rate/wnli-0.0001", 0.6, environment={**made_on, "threads": 3, "processor": "that one"})

    def run(command, env, check):
        folder = here / command[command.index("--output") + 1]
        folder.mkdir(parents=True)
        right = float(env["TF_NUM_INTRAOP_THREADS"] == "3")
        scores = {"held_out": {"accuracy": 0.6}, "validation": {"accuracy": right}}
        (folder / "record.json").write_text(json.dumps({"task": "wnli", "metrics": scores}))
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(plan.subprocess, "run", run)
    assert plan.main(["again", "rate/wnli-0.0001", "glue"]) == 1
    said = capsys.readouterr().err
    assert "validation, accuracy: 0.500000 then, 1.000000 now (made on that one; this is " in said
    assert "held_out" not in said


def test_the_list_says_what_is_kept(here, capsys):
    keep("rate/rte-0.0001", 0.6)
    assert plan.main(["list"]) == 0
    first, second, *_ = capsys.readouterr().out.splitlines()
    assert first.split()[:2] == ["kept", "rate/rte-0.0001"]
    assert second.split()[:2] == ["-", "rate/wnli-0.0001"]


# --- what the repository keeps

KEPT = sorted(path.relative_to(REFERENCE_RUNS).with_suffix("").as_posix() for path in REFERENCE_RUNS.rglob("*.json"))


@pytest.fixture
def repository(monkeypatch):
    monkeypatch.chdir(ROOT)
    plan.read_units.cache_clear()
    yield
    plan.read_units.cache_clear()


@pytest.mark.parametrize("name", KEPT)
def test_a_kept_record_is_of_its_unit_and_holds_no_text(repository, name):
    unit = plan.get_unit(name)
    record = json.loads(plan.record_of(name).read_text())
    if unit.compresses:
        asked = {**CompressionParameters.model_validate(unit.parameters).model_dump(), **unit.parameters}
        assert record["unit"] == name
        assert record["parameters"].items() <= asked.items()
        assert record["pruning_gain"]
        return
    words = plan.run_command(unit, "out", "glue")
    given = dict(word.split("=", 1) for word in words if "=" in word)
    values = {key: json.loads(value) for key, value in given.items()} | {"run_dir": "out"}
    expected = Parameters.from_files(*parameter_files(unit.profile, unit.task), **values).model_dump()
    left_out = plan.NOT_KEPT | {"run_dir", "cache_dir"}
    assert record["unit"] == name
    newer = {name: field.default for name, field in Parameters.model_fields.items()}  # than the record
    kept = {key: value for key, value in (newer | record["parameters"]).items() if key not in left_out}
    assert kept == {key: value for key, value in expected.items() if key not in left_out}
    if "held_out" not in record["metrics"]:
        with np.load(plan.logits_of(name)) as logits:
            rows = {split: len(found) for split, found in logits.items()}
        assert rows == {split: record["examples"][split] for split in rows}
        assert set(record["metrics"]) <= set(rows)
        assert record["seed"] == 0 or set(record["metrics"]) == set(rows)


def test_the_values_of_the_profile_are_those_that_were_chosen(repository):
    for task in TASKS:
        path = ROOT / plan.CHOSEN_FILES.format(profile="laptop", task=task)
        done = all(plan.record_of(unit.name).exists() for unit in plan.selecting_units(task))
        assert path.exists() == done
        if done:
            assert read_yaml(path) == plan.choose(task)


def test_the_book_reads_the_kept_records(repository):
    for stage in {name.split("/")[0] for name in KEPT}:
        if stage == "compressed":
            assert {one["unit"] for one in read_real_compressions() if "unit" in one} == {
                name for name in KEPT if name.startswith(f"{stage}/")
            }
            continue
        found = read_reference_runs(stage)
        assert {record["unit"] for record in found} == {name for name in KEPT if name.startswith(f"{stage}/")}
        assert all(record["source"] == "folder" for record in found)

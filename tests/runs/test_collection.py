"""What became of the runs that were asked for: finished, failed, mismatched or not run."""

import json
import os
import re
import shutil

import pytest
from made_runs import RECIPE, make_runs, write_compression

from bertglue.atomic_files import write_json, write_text
from bertglue.errors import InputError
from bertglue.parameters import Parameters
from bertglue.report.pages.status import compressions, summary
from bertglue.runs import collection, status
from bertglue.runs.record import read_results
from bertglue.runs.schemas import RunRecord


def expected(place, *tasks, **changes):
    return {
        str(place / task / "lr2e-05-seed0"): Parameters(task=task, **RECIPE).model_dump() | changes for task in tasks
    }


def states_of(path):
    return {state["task"]: state["state"] for state in collection.load_runs(path).states}


def test_finished_runs_are_listed_with_their_folder(tmp_path):
    found = collection.load_runs(make_runs(tmp_path, ["cola", "rte"]))
    assert set(found) == {"cola", "rte"}
    assert found["rte"]["run"] == "rte/lr2e-05-seed0"
    assert (found.folder("rte") / "record.json").exists()
    labels, logits = found.labels_and_logits("rte", "validation")
    assert (logits.argmax(1) == labels).mean() == 0.75
    assert status.main([str(tmp_path / status.STATUS_FILE)]) == 0


def test_a_run_that_left_a_log_alone_failed(tmp_path, capsys):
    path = make_runs(tmp_path, ["cola"])
    (tmp_path / "logs").mkdir()
    log = tmp_path / "logs" / "rte-lr2e-05-seed0.log"
    log.write_text("Executing\n\x1b[31mInputError\x1b[0m: max_length is 9999\n\n")
    collection.collect_runs(expected(tmp_path, "cola", "rte", "qnli"), path, tmp_path / "logs")
    assert states_of(path) == {"cola": "finished", "rte": "failed", "qnli": "not run"}
    assert [record["task"] for record in json.loads(path.read_text())] == ["cola"]
    found = collection.load_runs(path)
    assert (found.missing("rte"), found.missing("qnli"), found.missing("wnli")) == ("failed", "not run", "not run")
    assert status.main([str(tmp_path / status.STATUS_FILE)]) == 1
    said = capsys.readouterr().err
    assert "rte/lr2e-05-seed0: failed (InputError: max_length is 9999)" in said
    assert len(said.splitlines()) == 1


def test_a_run_whose_download_failed_says_why_unless_it_has_come_since(tmp_path):
    logs, run = tmp_path / "logs", tmp_path / "rte" / "lr2e-05-seed0"
    fetch = write_text(logs / "fetch-rte.log", "fetching\nminilm could not be fetched\n")
    log = write_text(logs / "rte-lr2e-05-seed0.log", "Executing\nOut of memory\n")
    os.utime(log, (1, 1))  # of an earlier try
    assert status.inspect_run(run, {}, logs) == ("failed", f"minilm could not be fetched (log: {fetch})", None)
    os.utime(log)
    os.utime(fetch, (1, 1))
    assert status.inspect_run(run, {}, logs) == ("failed", "Out of memory", None)
    log.unlink()
    write_text(tmp_path / "fetched" / "rte.txt", "minilm: here\n")
    assert status.inspect_run(run, {}, logs) == ("not run", "", None)


def test_a_book_is_not_replaced_by_one_without_any_run(tmp_path, capsys):
    def check(*states):
        runs = [{"task": "rte", "run": f"rte/{at}", "state": state, "reason": ""} for at, state in enumerate(states)]
        write_json(tmp_path / "status.json", {"runs": runs, "compressions": []})
        return status.main([str(tmp_path / "status.json"), "--before", str(tmp_path / "index.html")])

    assert check("failed") == 0  # there is none to lose
    write_text(tmp_path / "index.html", "")
    assert check("failed", "finished") == 0
    assert check("failed", "mismatched") == 1
    said = capsys.readouterr().err
    assert said == (
        f"no run finished, so {tmp_path / 'index.html'} stays as it was: "
        "rte/0: failed (no log); rte/1: mismatched (no log)\n"
    )


def test_a_run_of_other_parameters_is_mismatched(tmp_path):
    path = make_runs(tmp_path, ["cola", "rte"])
    collection.collect_runs(expected(tmp_path, "cola", weight_decay=0.5), path, tmp_path)
    assert states_of(path) == {"cola": "mismatched"}
    assert "weight_decay is 0.02 there, and 0.5 in this book" in collection.load_runs(path).states[0]["reason"]
    shutil.copytree(tmp_path / "rte", tmp_path / "cola", dirs_exist_ok=True)
    collection.collect_runs(expected(tmp_path, "cola"), path, tmp_path)
    assert states_of(path) == {"cola": "mismatched"}
    assert "task is 'rte' there" in collection.load_runs(path).states[0]["reason"]
    assert collection.load_runs(path) == {}


def test_where_the_run_after_one_failed_it_is_that_which_is_told(tmp_path):
    path = make_runs(tmp_path, ["cola"])
    (tmp_path / "cola-lr2e-05-seed0.log").write_text("InputError: too long\n")
    (tmp_path / "cola/lr2e-05-seed0.partial").mkdir()
    collection.collect_runs(expected(tmp_path, "cola", epochs=9), path, tmp_path)
    assert states_of(path) == {"cola": "failed"}
    said = "InputError: too long .*; the run that was there before stays, with epochs 3, and is not in this book"
    assert re.match(said, collection.load_runs(path).states[0]["reason"])


def test_a_run_on_data_that_have_changed_since_is_told_by_its_identity(tmp_path):
    path = make_runs(tmp_path, ["cola"])
    run, log = tmp_path / "cola/lr2e-05-seed0", tmp_path / "cola-lr2e-05-seed0.log"

    def state(identity):
        collection.collect_runs(expected(tmp_path, "cola"), path, tmp_path, identities={str(run): identity})
        (found,) = collection.load_runs(path).states
        return found["state"], found["reason"]

    assert state("digest 1") == ("finished", "")  # one that has none, as those that make did not run
    write_text(run / status.IDENTITY_FILE, "digest 1")
    assert state("digest 1") == ("finished", "")
    assert state("digest 2") == ("mismatched", f"its data or its encoder have changed since; remove {run}")
    write_text(log, "InputError: a label\n")
    (tmp_path / "cola/lr2e-05-seed0.partial").mkdir()
    stays = "the run that was there before stays, with other data or another encoder, and is not in this book"
    assert state("digest 2") == ("failed", f"InputError: a label (log: {log}); {stays}")


def test_a_failed_download_asks_nobody_to_remove_a_good_run(tmp_path):
    path = make_runs(tmp_path, ["cola"])
    fetch = write_text(tmp_path / "logs/fetch-cola.log", "bert-mini could not be fetched\n")
    collection.collect_runs(expected(tmp_path, "cola", encoder="bert-mini"), path, tmp_path / "logs")
    (found,) = collection.load_runs(path).states
    assert found["state"] == "failed"
    assert found["reason"].startswith(f"bert-mini could not be fetched (log: {fetch}); the run that was there before")


def test_a_compression_of_an_earlier_run_is_mismatched(tmp_path):
    path, run = make_runs(tmp_path, ["cola"]), tmp_path / "cola/lr2e-05-seed0"
    folder = tmp_path / "compressed/cola/lr2e-05-seed0"
    record = write_compression(folder, "cola")

    def state(**changes):
        collection.collect_runs(expected(tmp_path, "cola", **changes), path, tmp_path, {str(folder): "cola"})
        (found,) = collection.load_runs(path).compressions
        return found["state"], found["reason"]

    assert state() == ("finished", "")
    assert state(epochs=9) == ("mismatched", f"its run, {run}, is not in this book")
    write_json(record, json.loads(record.read_text()) | {"run_finished": "2020-01-01T00:00:00Z"})
    assert state() == ("mismatched", f"it is of an earlier run than {run}")


def test_a_run_of_an_older_version_is_mismatched(tmp_path):
    path = make_runs(tmp_path, ["cola"])
    record = tmp_path / "cola/lr2e-05-seed0/record.json"
    older = {key: value for key, value in json.loads(record.read_text()).items() if key != "curve"}
    record.write_text(json.dumps(older))
    collection.collect_runs(expected(tmp_path, "cola"), path, tmp_path)
    assert states_of(path) == {"cola": "mismatched"}
    assert "an older version made it, without curve; remove" in collection.load_runs(path).states[0]["reason"]


def test_where_the_text_lay_does_not_make_a_run_mismatched(tmp_path):
    path = make_runs(tmp_path, ["cola"])
    collection.collect_runs(expected(tmp_path, "cola", cache_dir="/elsewhere", samples=["another one"]), path, tmp_path)
    assert states_of(path) == {"cola": "finished"}


def test_a_record_that_cannot_be_read_is_a_failure(tmp_path):
    path = make_runs(tmp_path, ["cola"])
    (tmp_path / "cola/lr2e-05-seed0/record.json").write_text("{")
    collection.collect_runs(expected(tmp_path, "cola"), path, tmp_path)
    assert states_of(path) == {"cola": "failed"}
    assert "is no run record" in collection.load_runs(path).states[0]["reason"]


def test_before_the_first_run_nothing_is_there(tmp_path, capsys):
    found = collection.load_runs(tmp_path / "results.json")
    assert found == {}
    assert "make book" in capsys.readouterr().out
    assert found.missing("cola") == "not run"


@pytest.mark.parametrize("content", ['{"task": "cola"}', "[", ""])
def test_results_that_are_none_are_named(tmp_path, content):
    (tmp_path / "results.json").write_text(content)
    with pytest.raises(InputError, match=r"results.json (holds no results|is no list of results) .*`make book` writes"):
        collection.load_runs(tmp_path / "results.json")


def test_a_record_of_no_task_is_named_and_left_out(tmp_path, capsys):
    (tmp_path / "results.json").write_text('[{"task": "nonsense"}]')
    assert collection.load_runs(tmp_path / "results.json") == {}
    assert "results.json, run 1: task: 'nonsense' is none of cola," in capsys.readouterr().out
    with pytest.raises(InputError, match=r"results.json holds no results \(run 1: task: 'nonsense' is none of"):
        read_results(tmp_path / "results.json")


def test_the_book_shows_the_first_of_several_runs():
    records = [{"task": "rte", "seed": 0}, {"task": "rte", "seed": 1}]
    assert collection.Runs(records)["rte"]["seed"] == 0


def test_runs_that_were_made_smaller_have_their_own_states(tmp_path, capsys):
    path, logs = make_runs(tmp_path, ["cola"]), tmp_path / "logs"
    folders = {
        name: tmp_path / "compressed" / name / "lr2e-05-seed0" for name in ("cola", "rte", "qnli", "mrpc", "sst2")
    }
    write_compression(folders["cola"], "cola")
    write_json(folders["rte"] / "compression.json", {"task": "rte"})
    write_text(folders["qnli"] / "compression.json", "half of")
    write_text(logs / "compress-mrpc-lr2e-05-seed0.log", "Executing\nOut of memory\n")
    collection.collect_runs(
        expected(tmp_path, "cola"), path, logs, {str(folder): name for name, folder in folders.items()}
    )
    found = {state["task"]: (state["state"], state["reason"]) for state in collection.load_runs(path).compressions}
    assert found["cola"] == ("finished", "")
    assert found["rte"] == ("mismatched", f"an older version made it, without encoder; remove {folders['rte']}")
    assert found["qnli"][0] == "failed"
    assert found["mrpc"] == ("failed", "Out of memory")
    assert found["sst2"] == ("not run", "")
    assert status.main([str(tmp_path / status.STATUS_FILE)]) == 1
    assert "compressed/mrpc/lr2e-05-seed0: failed (Out of memory)" in capsys.readouterr().err
    said = summary(collection.load_runs(path))
    assert "1 of 1 runs finished. 1 of 5 were compressed." in said
    assert "rte, compressed (mismatched)" in said


def test_a_compression_of_ones_own_task_that_failed_is_on_the_page_of_states_alone(tmp_path):
    path, logs = make_runs(tmp_path, ["cola"]), tmp_path / "logs"
    write_text(logs / "compress-tweets-lr2e-05-seed0.log", "Executing\nOut of memory\n")
    folder = tmp_path / "compressed" / "tweets" / "lr2e-05-seed0"
    collection.collect_runs(expected(tmp_path, "cola"), path, logs, {str(folder): "tweets"})
    runs = collection.load_runs(path)
    assert runs.compressions == []
    assert "0 of 1 were compressed. **Missing: tweets, compressed (failed).**" in summary(runs)
    assert "Out of memory" in compressions(runs).data


OTHER = {  # another value of each parameter
    "source": "folder", "encoder": "bundled-random", "backend": "jax", "precision": "auto", "batch_size": 4,
    "evaluation_batch_size": 4, "epochs": 9, "max_length": 32, "learning_rate": 0.5, "warmup_fraction": 0.5,
    "weight_decay": 0.5, "bias_correction": False, "bucketing": False, "bucket_lengths": [8], "hold_out": 0.5,
    "keep": "best", "patience": 3, "dropout": 0.5, "encoder_dropout": 0.5, "steps_per_execution": 2, "seed": 7,
    "machines": 2, "profile": "other", "preprocessor": "other", "train_rows": 9, "accumulate": 2,
    "layer_decay": 0.5, "pooling": "mean", "columns": ["text"], "label": "class",
    "labels": ["a", "b"], "metrics": ["f1"], "dialect": "tab", "validation_share": 0.5,
}  # fmt: skip


@pytest.fixture(scope="module")
def cola(tmp_path_factory):
    place = tmp_path_factory.mktemp("runs")
    return place, make_runs(place, ["cola"])


@pytest.mark.parametrize("name", [name for name in Parameters.model_fields if name not in ("task", "files")])
def test_every_parameter_but_places_and_samples_makes_another_run(cola, name):
    place, path = cola
    free = {"run_dir": "r", "cache_dir": "c", "glue_dir": "g", "samples": ["s"], "tracking": "wandb",
            "device": "cpu", "save_every": 3}  # fmt: skip
    collection.collect_runs(expected(place, "cola", **{name: {**OTHER, **free}[name]}), path, place)
    assert states_of(path) == {"cola": "finished" if name in free else "mismatched"}
    assert json.loads(path.read_text()) == [] or name in free


@pytest.mark.parametrize("key", [key for key in status.required_keys(RunRecord) if key != "task"])
def test_whatever_pages_read_of_a_record_has_to_be_there(cola, tmp_path, key):
    found = json.loads((cola[0] / "cola/lr2e-05-seed0/record.json").read_text())
    write_json(tmp_path / "record.json", {name: value for name, value in found.items() if name != key})
    state, reason, record = status.inspect_run(tmp_path, {"task": "cola"}, tmp_path)
    assert (state, record) == ("mismatched", None)
    assert f"an older version made it, without {key}; remove" in reason


def test_of_several_runs_of_a_task_the_first_is_shown_and_all_are_kept():
    records = [{"task": "rte", "run": "a"}, {"task": "cola", "run": "b"}, {"task": "rte", "run": "c"}]
    runs = collection.Runs(records, place="here")
    assert {task: record["run"] for task, record in runs.items()} == {"rte": "a", "cola": "b"}
    assert [record["run"] for record in runs.records] == ["a", "b", "c"]
    assert {(state["task"], state["state"]) for state in runs.states} == {("rte", "finished"), ("cola", "finished")}


def test_why_a_task_is_not_there_is_its_worst_state():
    states = [{"task": "rte", "state": state} for state in ("finished", "mismatched", "failed")]
    assert collection.Runs(states=states).missing("rte") == "failed"
    assert collection.Runs(states=states[:2]).missing("rte") == "mismatched"
    assert collection.Runs(states=states[:1]).missing("rte") == "not run"
    assert collection.Runs(states=states).missing("cola") == "not run"


@pytest.mark.parametrize(
    ("log", "line"),
    [
        ("a\nb\n\n  \n", "b"),
        ("\x1b[31mred\x1b[0m thing \n", "red thing"),
        ("\n \n", "its log is empty"),
        ("x" * 400, "x" * 300),
    ],
)
def test_the_last_line_of_a_log(tmp_path, log, line):
    write_text(tmp_path / "log", log)
    assert status.last_line(tmp_path / "log") == line


def test_a_book_with_every_run_is_no_error_and_one_without_counts_them(tmp_path):
    def states(*found):
        return [
            {"task": "rte", "run": f"rte/{i}", "state": state, "reason": why} for i, (state, why) in enumerate(found)
        ]

    path = tmp_path / "status.json"
    write_json(path, {"runs": states(("finished", "")), "compressions": states(("finished", ""))})
    assert status.check_status(path) is None
    write_json(path, {"runs": states(("finished", ""), ("not run", "")), "compressions": states(("failed", "why"))})
    message = r"the book lacks 2 of its 3 runs and compressions: rte/1: not run \(no log\); rte/0: failed \(why\)"
    with pytest.raises(InputError, match=message):
        status.check_status(path)
    write_text(path, "{}")
    with pytest.raises(
        InputError, match=r"status.json is no file of the states of runs \(runs is missing\); `make book`"
    ):
        status.check_status(path)

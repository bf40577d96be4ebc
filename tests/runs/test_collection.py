"""What became of the runs that were asked for: finished, failed, mismatched or not run."""

import json
import shutil

import pytest
from made_runs import EPOCHS, make_runs

from bertglue.atomic_files import write_json, write_text
from bertglue.errors import InputError
from bertglue.parameters import Parameters
from bertglue.report.pages.status import summary
from bertglue.runs import collection, status


def expected(place, *tasks, **changes):
    return {
        str(place / task / "lr2e-05-seed0"): Parameters(task=task, epochs=EPOCHS, **changes).model_dump()
        for task in tasks
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


def test_a_run_of_other_parameters_is_mismatched(tmp_path):
    path = make_runs(tmp_path, ["cola", "rte"])
    collection.collect_runs(expected(tmp_path, "cola", weight_decay=0.5), path, tmp_path)
    assert states_of(path) == {"cola": "mismatched"}
    assert "weight_decay is 0.01 there, and 0.5 in this book" in collection.load_runs(path).states[0]["reason"]
    shutil.copytree(tmp_path / "rte", tmp_path / "cola", dirs_exist_ok=True)
    collection.collect_runs(expected(tmp_path, "cola"), path, tmp_path)
    assert states_of(path) == {"cola": "mismatched"}
    assert "task is 'rte' there" in collection.load_runs(path).states[0]["reason"]
    assert collection.load_runs(path) == {}


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


def test_results_that_are_none_are_named(tmp_path):
    (tmp_path / "results.json").write_text('[{"task": "nonsense"}]')
    with pytest.raises(InputError, match=r"results.json holds no results"):
        collection.load_runs(tmp_path / "results.json")


def test_the_book_shows_the_first_of_several_runs():
    records = [{"task": "rte", "seed": 0}, {"task": "rte", "seed": 1}]
    assert collection.Runs(records)["rte"]["seed"] == 0


def test_runs_that_were_made_smaller_have_their_own_states(tmp_path, capsys):
    path, logs = make_runs(tmp_path, ["cola"]), tmp_path / "logs"
    folders = {
        name: tmp_path / "compressed" / name / "lr2e-05-seed0" for name in ("cola", "rte", "qnli", "mrpc", "sst2")
    }
    write_json(folders["cola"] / "compression.json", dict.fromkeys(status.REQUIRED_COMPRESSION_KEYS, {}))
    write_json(folders["rte"] / "compression.json", {"task": "rte"})
    write_text(folders["qnli"] / "compression.json", "half of")
    write_text(logs / "compress-mrpc-lr2e-05-seed0.log", "Executing\nOut of memory\n")
    collection.collect_runs(
        expected(tmp_path, "cola"), path, logs, {str(folder): name for name, folder in folders.items()}
    )
    found = {state["task"]: (state["state"], state["reason"]) for state in collection.load_runs(path).compressions}
    assert found["cola"] == ("finished", "")
    assert found["rte"] == ("mismatched", f"an older version made it, without pruning_curve; remove {folders['rte']}")
    assert found["qnli"][0] == "failed"
    assert found["mrpc"] == ("failed", "Out of memory")
    assert found["sst2"] == ("not run", "")
    assert status.main([str(tmp_path / status.STATUS_FILE)]) == 1
    assert "compressed/mrpc/lr2e-05-seed0: failed (Out of memory)" in capsys.readouterr().err
    said = summary(collection.load_runs(path))
    assert "1 of 1 runs finished. 1 of 5 were compressed." in said
    assert "rte, compressed (mismatched)" in said

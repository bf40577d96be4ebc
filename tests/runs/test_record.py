"""Run records: what is in them, what stands beside them, and what they say when they are broken."""

import json
import re
import subprocess
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from made_runs import ROWS, make_runs, write_run

from bertglue import environment
from bertglue.data.dataset import Data, Split
from bertglue.data.token_ids import Tokens
from bertglue.errors import InputError
from bertglue.parameters import Parameters
from bertglue.runs import record as run_record
from bertglue.runs import statistics
from bertglue.runs.text_samples import (
    TEXTS_FILE,
    choose_samples,
    first_rows,
    hardest_rows,
    label_text,
    read_text_samples,
    sample_rows,
    write_text_samples,
)
from bertglue.tasks import TASKS
from bertglue.training.callbacks import TrainingResult


@pytest.fixture(scope="module")
def mnli(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mnli") / "run"
    return folder, write_run(folder, Parameters(task="mnli"))


def test_record_has_the_contracted_keys(mnli):
    record = mnli[1]
    contract = (
        "task source encoder backend seed learning_rate epochs batch_size max_length examples metrics baseline "
        "history timing environment"
    )
    assert set(contract.split()) <= set(record)
    assert record["metrics"]["validation_matched"] == {"accuracy": 0.75}
    assert set(record["metrics"]["ax"]) == {"matthews"}
    assert "test_matched" not in record["metrics"]
    assert record["timing"]["steady_epoch"] == 6.15  # MNLI is the sixth task, whose later epochs took 6.2 and 6.1 s
    assert record["timing"]["predict"] == {"test_matched": 0.64, "test_mismatched": 0.65}
    assert (record["environment"]["device"], record["environment"]["devices"]) == ("CPU", 1)


def test_record_survives_the_disk(mnli):
    folder, record = mnli
    assert run_record.read_record(folder / "record.json") == json.loads(json.dumps(record))
    assert {file.name for file in folder.iterdir()} == {"record.json", "logits.npz", "labels.npz", "texts.json"}
    labels = run_record.read_arrays(folder / run_record.LABELS_FILE)
    assert set(labels) == {"validation_matched", "validation_mismatched", "ax"}  # those of test are withheld
    assert set(run_record.read_arrays(folder / run_record.LOGITS_FILE)) == {*labels, "test_matched", "test_mismatched"}


def test_no_text_of_a_data_set_is_in_a_record(mnli):
    assert "script" not in json.dumps(mnli[1])


@pytest.mark.parametrize("content", ['{"task": ', "[1]", ""])
def test_a_broken_record_is_named(tmp_path, content):
    (tmp_path / "record.json").write_text(content)
    with pytest.raises(InputError, match=r"record.json is no run record .*run it again"):
        run_record.read_record(tmp_path / "record.json")


def test_broken_answers_are_named(tmp_path):
    (tmp_path / "logits.npz").write_bytes(b"PK")
    with pytest.raises(InputError, match=r"logits.npz cannot be read .*run it again"):
        run_record.read_arrays(tmp_path / "logits.npz")


def test_labels_and_lengths_are_counted():
    task = TASKS["stsb"]
    split = Split(dict.fromkeys(task.columns, [""] * 5), np.array([0, 0.5, 4.9, 5, 2], "float32"))
    unknown = Split(split.columns, np.full(5, -1, "float32"))
    counted = statistics.label_counts(Data(task, "folder", {"train": split, "test": unknown}))
    assert counted == {"train": {"0 to 1": 2, "1 to 2": 0, "2 to 3": 1, "3 to 4": 0, "4 to 5": 2}}
    tokens = Tokens(np.zeros(19, "int32"), np.array([0, 3, 11, 19]), np.array([1, 1, 1]), 8)
    lengths = statistics.length_counts({"train": tokens})["train"]
    assert lengths["histogram"] == [1, 0, 2]  # 3 tokens; none of 4 to 7; twice 8
    assert (lengths["longest"], lengths["at_limit"], lengths["median"]) == (8, 2, 8.0)


def test_the_hardest_rows_are_those_that_are_answered_wrongly(mnli):
    hardest = read_text_samples(mnli[0], TASKS["mnli"])["hardest"]["validation_matched"]
    assert all(row["label"] != row["prediction"] for row in hardest)
    assert hardest[0]["premise"].endswith(f"premise {int(0.75 * ROWS)}")


def test_a_run_without_texts_has_none_to_show(tmp_path):
    path = make_runs(tmp_path, ["rte"])
    (tmp_path / "rte/lr2e-05-seed0" / TEXTS_FILE).unlink()
    assert read_text_samples(tmp_path / "rte/lr2e-05-seed0", TASKS["rte"]) == {}
    assert path.exists()


def test_the_commit_is_that_of_the_library_and_not_of_a_project_around_it(tmp_path, monkeypatch):
    def git(*arguments):
        who = ("-c", "user.name=a", "-c", "user.email=a@b.c")
        subprocess.run(["git", *who, *arguments], cwd=tmp_path, check=True, capture_output=True)

    installed = tmp_path / ".venv" / "environment.py"
    installed.parent.mkdir()
    installed.touch()
    git("init")
    git("commit", "--allow-empty", "--message", "a project")
    monkeypatch.setattr(environment, "__file__", str(installed))
    assert environment.commit.__wrapped__() is None
    git("add", ".venv")
    assert environment.commit.__wrapped__().endswith("+")
    git("commit", "--message", "the library itself")
    assert len(environment.commit.__wrapped__()) == 10


def test_peak_memory_is_in_megabytes():
    assert 20 < environment.peak_memory_mb() < 20_000


# ---------------------------------------------------------------- by hand


def test_times_are_told_apart():
    """The first epoch compiles; the steady one is the median of the others; examples a second are of steady epochs."""
    data = SimpleNamespace(examples={"train": 600, "validation": 40, "test": 9, "held_out": 20})
    training = TrainingResult(
        seconds=[10.0, 3.0, 2.0, 7.0], evaluate_seconds=1.5, logits={"validation": 0, "held_out": 0},
        predict_seconds={"test": 0.25},
    )  # fmt: skip
    assert run_record.timing(training, data, 0.5) == {
        "tokenize": 0.5, "first_epoch": 10.0, "steady_epoch": 3.0, "epochs": [10.0, 3.0, 2.0, 7.0], "evaluate": 1.5,
        "predict": {"test": 0.25}, "train_examples_per_second": 200.0, "evaluate_examples_per_second": 40.0,
    }  # fmt: skip
    alone = TrainingResult(seconds=[4.0], evaluate_seconds=1.0, logits={"validation": 0})
    assert run_record.timing(alone, data, 0.5)["steady_epoch"] == 4.0


def test_a_record_says_what_was_run(mnli):
    record = mnli[1]
    parameters = Parameters(task="mnli")
    for key in ("task", "source", "encoder", "seed", "learning_rate", "epochs", "batch_size", "max_length"):
        assert record[key] == getattr(parameters, key)
    assert record["backend"] == "tensorflow"
    assert record["kept_epoch"] == 2
    assert record["examples"]["validation_matched"] == ROWS
    assert set(parameters.model_dump()) - set(record["parameters"]) == {"run_dir", "cache_dir"}
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", record["finished"])


def test_lengths_of_rows_by_hand():
    lengths = np.array([2, 3, 4, 7, 16, 16])
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    tokens = Tokens(np.zeros(offsets[-1], "int32"), offsets, np.ones(6, int), 16)
    assert statistics.length_counts({"train": tokens})["train"] == {
        "mean": 8.0, "median": 5.5, "p95": 16.0, "longest": 16, "at_limit": 2, "width": 4, "histogram": [2, 2, 0, 0, 2],
    }  # fmt: skip


def test_scores_are_counted_by_unit_and_five_belongs_to_the_last():
    split = Split({"sentence1": [""] * 5, "sentence2": [""] * 5}, np.array([0, 0.9, 1, 4.5, 5], "float32"))
    data = Data(TASKS["stsb"], "toy", {"train": split, "test": Split(split.columns, np.full(5, -1.0, "float32"))})
    assert statistics.label_counts(data) == {"train": {"0 to 1": 2, "1 to 2": 1, "2 to 3": 0, "3 to 4": 0, "4 to 5": 2}}


def test_parameters_are_counted_by_part(classifier):
    counts = statistics.parameter_counts(classifier)
    assert list(counts) == ["embeddings", "layer_0", "layer_1", "pooler_transform", "head"]
    assert counts["embeddings"] == 50 * 8 + 16 * 8 + 2 * 8 + 2 * 8  # words, positions, types, layer norm
    assert counts["layer_0"] == counts["layer_1"] == 4 * (8 * 8 + 8) + 8 * 16 + 16 + 16 * 8 + 8 + 4 * 8
    assert (counts["pooler_transform"], counts["head"]) == (8 * 8 + 8, 8 * 2 + 2)
    assert sum(counts.values()) == classifier.count_params()
    sizes = statistics.model_sizes(classifier)["sizes"]
    assert (sizes["heads"], sizes["hidden_size"], sizes["max_positions"]) == ((2, 2), 8, 16)


def test_samples_say_the_prediction_and_its_probability():
    logits = np.log(np.array([[0.25, 0.75], [0.875, 0.125]]))
    assert sample_rows(TASKS["mrpc"], [["a", "b"], ["c", "d"]], logits) == [
        {"sentence1": "a", "sentence2": "b", "prediction": "equivalent", "probability": "0.750"},
        {"sentence1": "c", "sentence2": "d", "prediction": "not_equivalent", "probability": "0.875"},
    ]
    assert sample_rows(TASKS["sst2"], ["a"], logits[:1]) == [
        {"sentence": "a", "prediction": "positive", "probability": "0.750"}
    ]
    assert sample_rows(TASKS["stsb"], [["a", "b"]], np.array([[2.345]])) == [
        {"sentence1": "a", "sentence2": "b", "prediction": "2.35"}
    ]


def test_a_column_of_text_may_have_the_name_of_an_answer(tmp_path):
    task = replace(TASKS["sst2"], columns=("label",))
    data = Data(task, "own", {"validation": Split({"label": ["a text", "another"]}, np.array([0, 1], "int32"))})
    rows = [{"label (text)": "a text", "label": "negative"}, {"label (text)": "another", "label": "positive"}]
    assert first_rows(data, "validation") == rows
    assert choose_samples(data, None) == ["a text", "another"]
    hardest = hardest_rows(data, "validation", np.array([[0, 1.0], [0, 1.0]]))
    assert [row["label (text)"] for row in hardest] == ["a text", "another"]
    assert sample_rows(task, ["mine"], np.array([[0, 1.0]]))[0]["label (text)"] == "mine"
    write_text_samples(tmp_path, {"first": {"validation": rows}, "hardest": {"validation": hardest}, "samples": []})
    assert read_text_samples(tmp_path, task)["hardest"]["validation"] == hardest


def test_the_hardest_rows_have_the_highest_loss_and_come_in_that_order():
    labels = np.array([0, 1, 1, 0], "int32")
    logits = np.log(np.array([[0.9, 0.1], [0.7, 0.3], [0.8, 0.2], [0.4, 0.6]]))
    data = Data(TASKS["sst2"], "toy", {"validation": Split({"sentence": ["a", "b", "c", "d"]}, labels)})
    assert hardest_rows(data, "validation", logits, 3) == [
        {"sentence": "c", "label": "positive", "prediction": "negative", "probability": "0.800"},
        {"sentence": "b", "label": "positive", "prediction": "negative", "probability": "0.700"},
        {"sentence": "d", "label": "negative", "prediction": "positive", "probability": "0.600"},
    ]
    assert [row["label"] for row in first_rows(data, "validation", 2)] == ["negative", "positive"]
    assert label_text(TASKS["sst2"], -1) == "?"
    assert label_text(TASKS["stsb"], 2.346) == "2.35"

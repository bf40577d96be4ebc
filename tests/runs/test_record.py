"""Run records: what is in them, what stands beside them, and what they say when they are broken."""

import json

import numpy as np
import pytest
from made_runs import ROWS, make_runs, write_run

from bertglue import environment
from bertglue.data.dataset import Data, Split
from bertglue.data.token_ids import Tokens
from bertglue.errors import InputError
from bertglue.parameters import Parameters
from bertglue.report import tables
from bertglue.runs import record as run_record
from bertglue.runs import statistics
from bertglue.runs.text_samples import TEXTS_FILE, read_text_samples
from bertglue.tasks import TASKS


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
    assert record["timing"]["steady_epoch"] == 1.0
    assert record["timing"]["predict"]["test_matched"] == 0.125
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
    hardest = read_text_samples(mnli[0])["hardest"]["validation_matched"]
    assert all(row["label"] != row["prediction"] for row in hardest)
    assert hardest[0]["premise"].endswith(f"premise {int(0.75 * ROWS)}")


def test_a_run_without_texts_has_none_to_show(tmp_path):
    path = make_runs(tmp_path, ["rte"])
    (tmp_path / "rte/lr2e-05-seed0" / TEXTS_FILE).unlink()
    assert read_text_samples(tmp_path / "rte/lr2e-05-seed0") == {}
    assert path.exists()


def test_text_of_a_data_set_is_text_on_the_page():
    task = TASKS["sst2"]
    split = Split({"sentence": ["<script>alert(1)</script> & so on"]}, np.array([1]))
    shown = tables.examples(Data(task, "folder", {"train": split})).data
    assert "<script>" not in shown
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; so on" in shown


def test_predictions_that_differ_are_an_error():
    with pytest.raises(AssertionError, match="logits differ by 0.5"):
        tables.same_predictions(np.zeros((1, 2)), np.array([[0, 0.5]]))


def test_peak_memory_is_in_megabytes():
    assert 20 < environment.peak_memory_mb() < 20_000

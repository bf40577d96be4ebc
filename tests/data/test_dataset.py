"""Splits: rows taken, held out, hashed, and their labels checked; the same whatever holds the texts."""

import numpy as np
import pytest

from bertglue.data.dataset import Data, Split, check_labels, draw_train_rows, hold_out_rows, make_split
from bertglue.data.load_data import check_source, load_data
from bertglue.data.text_columns import TextColumn, encode_rows, take_rows
from bertglue.errors import InputError
from bertglue.parameters import Parameters
from bertglue.tasks import TASKS, UNLABELLED

WORDS = ["one", "zwei", "três", "", "fünf", "six"]


def split(texts=WORDS, labels=(0, 1, 1, 0, 1, 0)):
    return Split({"sentence": texts}, np.array(labels, "int32"))


def kept(texts):
    (column,) = TextColumn.keep(1, [(text.encode(),) for text in texts])
    return column


@pytest.mark.parametrize("column", [WORDS, kept(WORDS)], ids=["list", "file"])
def test_rows_are_taken_in_the_order_asked_for(column):
    assert list(take_rows(column, np.array([4, 0, 2]))) == ["fünf", "one", "três"]
    assert [list(chunk) for chunk in encode_rows(column, 4)] == [
        [text.encode() for text in WORDS[:4]], [text.encode() for text in WORDS[4:]]
    ]  # fmt: skip
    assert column[1:3] == ["zwei", "três"]
    assert len(column) == 6
    taken = split(column).take(np.array([5, 1]))
    assert (list(taken.columns["sentence"]), taken.labels.tolist()) == (["six", "zwei"], [0, 1])


def test_columns_of_a_file_do_not_mix():
    first, second = TextColumn.keep(2, [(b"a1", b"b1"), (b"", b"b2"), (b"a3", b"")])
    assert (list(first), list(second)) == (["a1", "", "a3"], ["b1", "b2", ""])
    assert list(TextColumn.keep(1, [(b"",)])[0]) == [""]  # nothing to map


def test_the_fingerprint_is_of_the_texts_and_where_one_ends():
    prints = {split(texts).fingerprint() for texts in (WORDS, [*WORDS[:5], "seven"], ["onez", "wei", *WORDS[2:]])}
    assert len(prints) == 3
    assert split(kept(WORDS)).fingerprint() == split().fingerprint()
    assert split(labels=[1] * 6).fingerprint() == split().fingerprint()  # token ids do not depend on labels


def test_a_column_that_ends_sooner_has_another_fingerprint():
    labels = np.zeros(6, "int32")
    pair = Split({"a": WORDS[:3], "b": WORDS[3:]}, labels[:3])
    assert pair.fingerprint() != Split({"a": WORDS}, labels).fingerprint()  # of which the tokens are others


def test_a_split_is_labelled_if_every_row_is():
    assert split().labelled
    assert not split(labels=[0, 1, UNLABELLED, 0, 0, 0]).labelled
    assert not split([], []).labelled


def test_a_split_has_the_types_of_its_task_and_at_least_a_row():
    assert make_split(TASKS["cola"], [["a", "b"]], [1, 0], "here").labels.dtype == "int32"
    assert make_split(TASKS["stsb"], [["a"], ["b"]], [2.5], "here").labels.dtype == "float32"
    with pytest.raises(InputError, match="here holds no examples"):
        make_split(TASKS["cola"], [[]], [], "here")


def data(rows=100, **more):
    texts = [f"row {row}" for row in range(rows)]
    train = Split({"sentence": texts}, np.arange(rows, dtype="int32") % 2)
    return Data(TASKS["cola"], "toy", {"train": train, "validation": split(), **more})


def test_a_share_of_train_is_held_out_and_nothing_is_lost_or_twice():
    found = hold_out_rows(data(), 0.2)
    assert found.examples == {"train": 80, "validation": 6, "held_out": 20}
    rows = [[int(text[4:]) for text in found[name].columns["sentence"]] for name in ("train", "held_out")]
    assert sorted(rows[0] + rows[1]) == list(range(100))
    assert all(rows == sorted(rows) for rows in rows)
    assert rows[1] != list(range(80, 100))  # drawn, not cut off
    for name, numbers in zip(("train", "held_out"), rows, strict=True):
        assert found[name].labels.tolist() == [number % 2 for number in numbers]
    assert hold_out_rows(data(), 0.2)["held_out"].columns == found["held_out"].columns  # whatever the run's seed
    assert hold_out_rows(data(), 0.0).examples == {"train": 100, "validation": 6}


@pytest.mark.parametrize(("rows", "share", "left", "held"), [(4, 0.1, 4, 0), (3, 0.9, 0, 3)])
def test_a_share_that_leaves_no_rows_is_named(rows, share, left, held):
    message = f"hold_out is {share}, which leaves {left} of {rows} rows to train on and {held} to choose by"
    with pytest.raises(InputError, match=message):
        hold_out_rows(data(rows), share)


def rows_of(split):
    return [int(text[4:]) for text in split.columns["sentence"]]


def test_some_rows_of_train_are_drawn_by_the_seed_in_their_order_and_none_that_is_held_out():
    whole = hold_out_rows(data(), 0.2)
    found = [draw_train_rows(whole, 30, seed) for seed in (1, 1, 2)]
    first, again, other = (rows_of(one["train"]) for one in found)
    assert len(first) == 30
    assert first == sorted(set(first)) == again != other
    assert set(first) < set(rows_of(whole["train"]))
    assert first != rows_of(whole["train"])[:30]  # drawn, not cut off
    assert found[0]["train"].labels.tolist() == [row % 2 for row in first]
    assert found[0].examples == {"train": 30, "validation": 6, "held_out": 20}
    assert found[0].drawn_from == 80
    assert draw_train_rows(whole, None, 1) is whole
    assert rows_of(draw_train_rows(whole, 80, 1)["train"]) == rows_of(whole["train"])


def test_rows_drawn_from_a_file_stay_in_it():
    """Memory does not grow with the texts."""
    column = TextColumn.keep(1, ((f"row {row}".encode(),) for row in range(100)))[0]
    train = Split({"sentence": column}, np.zeros(100, "int32"))
    found = draw_train_rows(Data(TASKS["cola"], "folder", {"train": train}), 5, 0)["train"].columns["sentence"]
    assert isinstance(found, TextColumn)
    assert found.buffer is column.buffer
    assert len(found) == len(found[:]) == 5


def test_more_rows_than_there_are_is_one_line():
    with pytest.raises(
        InputError, match=r"^train_rows is 81, and there are 80 rows to train on; give as many or fewer$"
    ):
        draw_train_rows(hold_out_rows(data(), 0.2), 81, 0)


@pytest.mark.parametrize("name", ["train", "validation"])
def test_unknown_labels_are_counted_and_the_first_is_named(name):
    whole = data(validation=split())
    labels = whole[name].labels.copy()
    labels[[2, 4]] = UNLABELLED
    broken = Data(whole.task, "folder", {**whole.splits, name: Split(whole[name].columns, labels)})
    with pytest.raises(InputError, match=rf"CoLA, folder: {name} lacks 2 of {len(labels)} labels, the first in row 3"):
        check_labels(broken)
    unlabelled = split(labels=[UNLABELLED] * 6)
    assert check_labels(data(test=unlabelled)).examples["test"] == 6  # a test split may


def test_an_unknown_source_is_none_of_the_loaders_and_each_gets_its_options(monkeypatch, tmp_path):
    """The seed reaches the toy data, the folder reaches the GLUE files, and only a folder is checked beforehand."""
    asked = []

    def loader(name):
        return lambda task, **options: asked.append((name, options)) or {"train": split(), "validation": split()}

    monkeypatch.setattr("bertglue.data.toy.task_examples.load", loader("toy"))
    monkeypatch.setattr("bertglue.data.glue_files.load", loader("folder"))
    for source in ("toy", "folder"):
        assert load_data(TASKS["cola"], source, glue_dir="there", seed=3).source == source
    assert asked == [("toy", {"seed": 3}), ("folder", {"folder": "there"})]
    check_source(Parameters(task="cola", source="toy"))
    check_source(Parameters(task="cola", source="folder", glue_dir="here", hold_out=0.5))
    assert asked[2:] == [("folder", {"folder": "here"})]
    with pytest.raises(InputError, match="train_rows is 4, and there are 3 rows"):  # before any run starts
        check_source(Parameters(task="cola", source="folder", glue_dir="here", hold_out=0.5, train_rows=4))
    assert load_data(TASKS["cola"], "toy", hold_out=0.5, train_rows=2).examples["train"] == 2

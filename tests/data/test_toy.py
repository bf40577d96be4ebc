"""The toy data: the shape of GLUE, the same for a seed, and not solved by a bag of words."""

import numpy as np
import pytest
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression

from bertglue.data.load_data import load_data
from bertglue.data.toy.task_examples import NOT_IN_TRAIN
from bertglue.errors import InputError
from bertglue.tasks import TASKS

PAIRS = [task for task in TASKS.values() if len(task.columns) == 2 and not task.regression]


@pytest.fixture(scope="module")
def world():
    return {name: load_data(task, "toy") for name, task in TASKS.items()}


@pytest.mark.parametrize("task", TASKS.values(), ids=lambda task: task.name)
def test_splits_columns_and_labels(world, task):
    data = world[task.name]
    assert set(task.splits) <= set(data.splits)
    for name, split in data.splits.items():
        assert tuple(split.columns) == task.columns
        assert all(len(column) == len(split) for column in split.segments)
        assert split.labelled == (not name.startswith("test"))
        if task.labels and split.labelled:
            assert set(split.labels) == set(range(len(task.labels)))
    if task.regression:
        assert 0 <= data["train"].labels.min() < data["train"].labels.max() <= 5


@pytest.mark.parametrize("task", TASKS.values(), ids=lambda task: task.name)
def test_no_text_is_in_two_splits(world, task):
    rows = [row for split in world[task.name].splits.values() for row in zip(*split.segments, strict=True)]
    assert len(rows) == len(set(rows))


@pytest.mark.parametrize("name", NOT_IN_TRAIN)
def test_some_words_of_development_rows_are_in_no_row_of_train(world, name):
    data = world[name]
    train, validation = (
        {word for column in data[split].segments for text in column for word in text.split()}
        for split in ("train", "validation")
    )
    assert NOT_IN_TRAIN[name] <= validation
    assert not NOT_IN_TRAIN[name] & train


def test_a_held_out_share_is_taken_from_train_and_is_the_same_for_every_run():
    whole, first, second = (load_data(TASKS["rte"], "toy", hold_out=share) for share in (0, 0.1, 0.1))
    assert list(whole.splits) == [split for split in first.splits if split != "held_out"]
    assert len(first["held_out"]) == 0.1 * len(whole["train"])
    rows = [list(zip(*split.segments, split.labels, strict=True)) for split in (first["train"], first["held_out"])]
    assert sorted(rows[0] + rows[1]) == sorted(zip(*whole["train"].segments, whole["train"].labels, strict=True))
    assert first["held_out"].columns == second["held_out"].columns


def test_a_share_that_holds_nothing_out():
    with pytest.raises(
        InputError, match=r"hold_out is 1e-06, which leaves \d+ of \d+ rows to train on and 0 to choose"
    ):
        load_data(TASKS["rte"], "toy", hold_out=1e-6)


def test_same_seed_same_rows():
    first, second = (load_data(TASKS["rte"], "toy", seed=7) for _ in range(2))
    other = load_data(TASKS["rte"], "toy", seed=8)
    assert first["train"].columns == second["train"].columns
    assert np.array_equal(first["train"].labels, second["train"].labels)
    assert first["train"].columns != other["train"].columns


@pytest.mark.parametrize("task", PAIRS, ids=lambda task: task.name)
def test_bag_of_words_does_not_solve_the_pairs(world, task):
    data = world[task.name]
    validation = task.validation[0]
    joined = {name: [" ".join(row) for row in zip(*data[name].segments, strict=True)] for name in data.splits}
    words = CountVectorizer(token_pattern=r"\S+").fit(joined["train"])
    model = LogisticRegression(max_iter=300).fit(words.transform(joined["train"]), data["train"].labels)
    accuracy = model.score(words.transform(joined[validation]), data[validation].labels)
    majority = np.bincount(data[validation].labels).max() / len(data[validation])
    assert accuracy < majority + 0.15

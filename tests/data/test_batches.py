"""Batches: every row once, whole, in batches of a few lengths, in an order that follows the seed."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from bertglue import Parameters
from bertglue.data import batches as batches_module
from bertglue.data.batches import Batches, batch_lengths, group, padded_lengths, stream
from bertglue.data.token_ids import Tokens


def uneven(lengths, seq_length=64):
    """Make rows of these lengths; every id of a row is its number."""
    lengths = np.asarray(lengths)
    ids = np.repeat(np.arange(len(lengths)), lengths).astype("int32")
    return Tokens(ids, np.concatenate([[0], np.cumsum(lengths)]), np.ones(len(lengths), int), seq_length)


def serve(batches):
    return [batches[i] for i in range(len(batches))]


@settings(deadline=None)
@given(
    lengths=st.lists(st.integers(2, 64), min_size=1, max_size=60),
    batch_size=st.integers(1, 9),
    seed=st.none() | st.integers(0, 3),
    buckets=st.lists(st.integers(1, 80), max_size=4),
)
def test_every_row_is_served_once_and_whole(lengths, batch_size, seed, buckets):
    tokens = uneven(lengths)
    batches = Batches(tokens, np.arange(len(lengths)), batch_size=batch_size, seed=seed, lengths=buckets)
    for epoch in range(3):
        batches.start(epoch)
        served = serve(batches)
        rows = np.concatenate([labels[weights > 0] for _, labels, weights in served])
        assert sorted(rows) == list(range(len(lengths)))
        for inputs, labels, weights in served:
            assert (inputs["input_mask"].sum(1) == np.array(lengths)[labels]).all()
            assert len(labels) == batch_size == pytest.approx(weights.sum())
        widths = [inputs["input_mask"].shape[1] for inputs, _, _ in served]
        assert set(widths) <= {*buckets, tokens.width, tokens.seq_length}


def test_little_is_padding_and_the_rows_of_a_batch_are_drawn_anew():
    lengths = np.random.default_rng(0).integers(4, 60, 4000)
    batches = Batches(uneven(lengths), batch_size=32, seed=0, lengths=[16, 32, 48])
    padded = sum(inputs["input_mask"].size for inputs, _, _ in serve(batches))
    assert padded < 1.35 * lengths.sum()
    assert len(set(batches.widths[:16])) > 1  # not from short to long
    together = [{frozenset(rows) for rows in batches.order[:3968].reshape(-1, 32).tolist()}]
    batches.start(1)
    together.append({frozenset(rows) for rows in batches.order[:3968].reshape(-1, 32).tolist()})
    assert not together[0] & together[1]


@pytest.mark.parametrize("given", [[16, 32, 64], [64]])
def test_the_lengths_do_not_change_which_rows_share_a_batch(given):
    lengths = np.random.default_rng(1).integers(4, 60, 300)
    few, many = (
        Batches(uneven(lengths), np.arange(300), batch_size=8, seed=2, lengths=asked)
        for asked in (given, range(4, 68, 4))
    )
    for epoch in range(2):
        few.start(epoch)
        many.start(epoch)
        together = [{frozenset(labels.tolist()) for _, labels, _ in serve(batches)} for batches in (few, many)]
        assert together[0] == together[1]
        assert many.widths.sum() < few.widths.sum()


@pytest.mark.parametrize("seed", [None, 1])
def test_without_lengths_every_batch_has_the_full_one(seed):
    assert [
        inputs["input_mask"].shape for inputs, _, _ in serve(Batches(uneven([3, 9, 20]), batch_size=2, seed=seed))
    ] == [(2, 64)] * 2


@pytest.mark.parametrize("lengths", [(), (8, 16)])
def test_order_follows_the_seed_and_changes_with_the_epoch(lengths):
    tokens = uneven(np.arange(2, 32))
    first, second, other = (Batches(tokens, batch_size=4, seed=seed, lengths=lengths) for seed in (1, 1, 2))
    start = first.order.copy()
    assert np.array_equal(start, second.order)
    assert not np.array_equal(start, other.order)
    first.start(1)
    assert not np.array_equal(start, first.order)


@pytest.mark.parametrize("batch_size", [3, 64])
def test_without_a_seed_the_order_stays(batch_size):
    batches = Batches(uneven([12, 3, 30, 2, 12]), batch_size=batch_size, lengths=[4, 16])
    order = batches.order.copy()
    batches.start(1)
    assert np.array_equal(batches.order, order)


def test_machines_share_each_batch():
    tokens = uneven(np.arange(2, 32))
    whole = serve(Batches(tokens, batch_size=8, seed=1, lengths=[8, 16]))
    parts = [serve(Batches(tokens, batch_size=8, seed=1, lengths=[8, 16], part=(i, 2))) for i in range(2)]
    for batch, *halves in zip(whole, *parts, strict=True):
        for name, ids in batch[0].items():
            assert np.array_equal(ids, np.concatenate([half[0][name] for half in halves]))
        assert np.array_equal(batch[2], np.concatenate([half[2] for half in halves]))


# ---------------------------------------------------------------- by hand


def test_the_last_batch_is_filled_with_rows_that_do_not_count():
    batches = Batches(uneven([2, 2, 2, 2, 2]), np.array([10, 11, 12, 13, 14]), batch_size=3)
    assert len(batches) == 2
    (_, first, ones), (inputs, labels, weights) = serve(batches)
    assert (first.tolist(), ones.tolist()) == ([10, 11, 12], [1, 1, 1])
    assert labels.tolist() == [13, 14, 13]
    assert weights.tolist() == [1.5, 1.5, 0]  # the mean over three is the mean over two
    assert inputs["input_word_ids"][:, 0].tolist() == [3, 4, 3]


def test_a_large_batch_is_served_in_steps_each_as_short_as_its_rows():
    lengths = [3, 9, 4, 12, 5, 7, 2, 8, 6, 4, 10, 3, 5]
    given = {"seed": 1, "lengths": [4, 8, 12]}
    whole = Batches(uneven(lengths), np.arange(13), batch_size=8, **given)
    steps = Batches(uneven(lengths), np.arange(13), batch_size=2, accumulate=4, **given)
    assert (whole.updates, len(whole), steps.updates, len(steps)) == (2, 2, 2, 8)
    for epoch in range(2):
        whole.start(epoch)
        steps.start(epoch)
        parts = serve(steps)
        for number, (_, labels, weights) in enumerate(serve(whole)):
            mine = parts[4 * number : 4 * number + 4]
            assert np.array_equal(np.concatenate([part[1] for part in mine]), labels)
            assert np.array_equal(np.concatenate([part[2] for part in mine]), weights)
        assert parts[-1][2].tolist() == [0, 0]  # all rows of it only fill the batch up
        for inputs, labels, _ in parts:
            longest = max(lengths[row] for row in labels)
            assert inputs["input_mask"].shape == (2, next(width for width in (4, 8, 12) if width >= longest))


def test_machines_share_each_step_of_a_large_batch():
    given = {"batch_size": 4, "accumulate": 2, "seed": 1, "lengths": [8, 16]}
    whole = serve(Batches(uneven(np.arange(2, 15)), **given))
    parts = [serve(Batches(uneven(np.arange(2, 15)), part=(i, 2), **given)) for i in range(2)]
    for batch, *halves in zip(whole, *parts, strict=True):
        assert np.array_equal(batch[0]["input_word_ids"], np.concatenate([h[0]["input_word_ids"] for h in halves]))
        assert np.array_equal(batch[2], np.concatenate([half[2] for half in halves]))


def test_a_row_is_padded_and_its_segments_are_told_apart():
    tokens = Tokens(np.array([7, 8, 9, 5, 6], "int32"), np.array([0, 3, 5]), np.array([2, 1]), 6)
    found = tokens.batch(np.array([1, 0]), 4)
    assert found["input_word_ids"].tolist() == [[5, 6, 0, 0], [7, 8, 9, 0]]
    assert found["input_mask"].tolist() == [[1, 1, 0, 0], [1, 1, 1, 0]]
    assert found["input_type_ids"].tolist() == [[0, 1, 0, 0], [0, 0, 1, 0]]
    assert {array.dtype.name for array in found.values()} == {"int32"}
    assert tokens.batch(np.array([0]))["input_mask"].shape == (1, 6)  # of eight, what the split allows
    assert (tokens.lengths.tolist(), tokens.width, len(tokens)) == ([3, 2], 6, 2)
    assert uneven([3, 9]).width == 16  # the longest, rounded up to 8
    taken = tokens.take(np.array([1, 0]))
    assert (taken.ids.tolist(), taken.offsets.tolist(), taken.second.tolist()) == ([5, 6, 7, 8, 9], [0, 2, 5], [1, 2])


def test_a_batch_is_padded_to_the_smallest_length_that_its_rows_fit_into():
    batches = Batches(uneven([3, 4, 5, 8, 9, 12, 13, 30]), batch_size=2, lengths=[4, 8, 12])
    assert batches.widths.tolist() == [4, 8, 12, 32]  # the last is the width of the split


@pytest.mark.parametrize(
    ("lengths", "padded"),
    [([], [64]), ([8, 16, 64], [8, 16, 24]), ([8, 20, 64], [8, 20]), ([16, 8], [8, 16, 24]), ([4, 4, 99], [4, 24])],
)
def test_the_lengths_of_a_split_end_with_one_that_all_rows_fit_into(lengths, padded):
    assert padded_lengths(uneven([5, 20]), lengths) == padded


def test_rows_are_grouped_by_length_within_a_pool_alone():
    lengths = np.array([9, 1, 5, 3, 8, 2, 7, 4, 6])
    assert group(np.arange(9), lengths, 2, 4).tolist() == [1, 3, 2, 0, 5, 7, 6, 4, 8]


def test_batches_of_a_pool_come_in_a_drawn_order_and_the_rest_stays_last():
    lengths = np.arange(1, 42)
    order = group(np.arange(41), lengths, 4, 40, np.random.default_rng(0))
    batches = order[:40].reshape(-1, 4)
    assert order[40] == 40
    assert sorted(map(tuple, batches.tolist())) == [tuple(range(i, i + 4)) for i in range(0, 40, 4)]
    assert batches[:, 0].tolist() != sorted(batches[:, 0])


def test_a_pool_has_many_batches_so_that_rows_of_a_batch_change_from_epoch_to_epoch():
    batches = Batches(uneven(np.full(1000, 5)), batch_size=2, seed=0, lengths=[8])
    first = {frozenset(pair) for pair in batches.order.reshape(-1, 2).tolist()}
    batches.start(1)
    again = {frozenset(pair) for pair in batches.order.reshape(-1, 2).tolist()}
    assert len(first & again) < 20


def test_without_labels_they_are_zero():
    (_, labels, _), *_ = serve(Batches(uneven([2, 3]), batch_size=2))
    assert (labels.tolist(), labels.dtype) == ([0, 0], "int32")


@pytest.mark.parametrize(
    ("compiled", "values", "expected"),
    [
        (False, {"max_length": 18}, [4, 8, 12, 16, 20]),
        (False, {"max_length": 16}, [4, 8, 12, 16]),
        (True, {"max_length": 18}, [16, 32, 64, 128]),
        (False, {"bucket_lengths": [7, 9]}, [7, 9]),
        (True, {"bucket_lengths": [7, 9]}, [7, 9]),
        (False, {"bucketing": False, "bucket_lengths": [7]}, []),
        (True, {"bucketing": False}, []),
    ],
)
def test_lengths_are_few_where_each_is_compiled(monkeypatch, compiled, values, expected):
    monkeypatch.setattr(batches_module, "jit_compile", lambda: compiled)
    assert batch_lengths(Parameters(**values)) == expected


def test_on_tensorflow_keras_gets_the_same_batches_as_a_pipeline_of_any_length(monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "tensorflow")
    batches = Batches(uneven([3, 3, 5, 12, 13, 30]), np.arange(6), batch_size=2, seed=1, lengths=[4, 8, 16])
    pipeline = stream(batches)
    inputs, labels, weights = pipeline.element_spec
    assert {spec.shape.as_list()[0] for spec in inputs.values()} == {2}
    assert {spec.shape.as_list()[1] for spec in inputs.values()} == {None}
    assert (labels.shape.as_list(), weights.shape.as_list()) == ([2], [2])
    assert pipeline.cardinality() == len(batches) == 3
    assert not pipeline.options().autotune.enabled
    for got, expected in zip(pipeline, serve(batches), strict=True):
        tf.nest.map_structure(lambda one, other: np.testing.assert_array_equal(one.numpy(), other), got, expected)


def test_on_jax_keras_gets_the_batches_themselves(monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    batches = Batches(uneven([3, 3]), batch_size=2)
    assert stream(batches) is batches

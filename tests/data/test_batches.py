"""Batches: every row once, whole, in batches of a few lengths, in an order that follows the seed."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bertglue.data.batches import Batches
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

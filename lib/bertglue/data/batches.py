"""Batches of packed tokens, padded to a few lengths so that little of a batch is padding."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import numpy as np

from bertglue.data.token_ids import Tokens
from bertglue.devices import jit_compile

POOL_BATCHES = 64  # batches whose rows are sorted together; the rows of a pool are drawn at random
COMPILED_LENGTHS = [16, 32, 64, 128]  # where each costs a compilation


class Batches(keras.utils.PyDataset):
    """Serve (inputs, labels, weights) of `batch_size` rows, shuffled anew each epoch from the seed.

    With `lengths`, rows of similar length are batched together (length bucketing), and each batch is padded to the
    smallest of `lengths` that its rows fit into (dynamic padding); without, to `seq_length`. Which rows are batched
    together does not depend on which lengths are given.

    The last batch is filled up with rows of weight zero, so that every step has as many rows; nothing is dropped and
    nothing is counted twice. The weights of its other rows make up for it: the mean over the whole batch, on however
    many devices, is the mean over the rows that count. `part` (index, count) serves one machine's part of each batch.

    With `accumulate`, such a batch is of `batch_size * accumulate` rows, and is served in as many steps: their mean
    gradient is that of the batch. Each step is padded to the smallest length that its own rows fit into.

    Where `first` is set, an epoch is served from that step on.
    """

    first = 0

    def __init__(
        self, tokens: Tokens, labels=None, *, batch_size: int, accumulate: int = 1, seed: int | None = None,
        part=(0, 1), lengths=(),
    ):  # fmt: skip
        super().__init__()
        self.tokens, self.batch_size, self.accumulate, self.seed = tokens, batch_size, accumulate, seed
        self.update_rows = batch_size * accumulate
        self.part = slice(batch_size * part[0] // part[1], batch_size * (part[0] + 1) // part[1])
        self.labels = np.zeros(len(tokens), "int32") if labels is None else labels
        self.lengths, self.grouped = np.array(padded_lengths(tokens, lengths)), len(lengths) > 0
        self.start(0)

    def start(self, epoch: int) -> None:
        """Order the rows for an epoch."""
        self.order, rng = np.arange(len(self.tokens)), None
        if self.seed is not None:
            rng = np.random.default_rng((self.seed, epoch))
            rng.shuffle(self.order)
        if self.grouped:
            pool = len(self.order) if self.seed is None else POOL_BATCHES * self.update_rows
            self.order = group(self.order, self.tokens.lengths, self.update_rows, pool, rng)
        last = (self.updates - 1) * self.update_rows
        filled = np.concatenate([self.order[:last], np.resize(self.order[last:], self.update_rows)])
        self.step_rows = filled.reshape(-1, self.batch_size)
        self.widths = self.lengths[np.searchsorted(self.lengths, self.tokens.lengths[self.step_rows].max(1))]

    @property
    def updates(self) -> int:
        """The updates of the weights in an epoch."""
        return -(-len(self.tokens) // self.update_rows)

    def __len__(self):
        return self.updates * self.accumulate - self.first

    def __getitem__(self, index):
        step = self.first + index
        rows = self.step_rows[step][self.part]
        return self.tokens.batch(rows, self.widths[step]), self.labels[rows], self.weights(step)[self.part]

    def weights(self, step: int) -> np.ndarray:
        """Weigh the rows of a step [batch_size], so that those of its update that count make up for the others."""
        update, step = divmod(step, self.accumulate)
        counted = min(self.update_rows, len(self.tokens) - update * self.update_rows)
        place = step * self.batch_size + np.arange(self.batch_size)
        return np.where(place < counted, self.update_rows / counted, 0).astype("float32")


def stream(batches: Batches):
    """Return what Keras iterates over: on TensorFlow a tf.data pipeline of any length, on JAX the batches themselves.

    Keras makes such a pipeline of its own, with two faults: it takes a length in which the first two batches agree for
    fixed; and it leaves tf.data's autotuner on, whose thread sleeps for seconds, and the end of an epoch waits for it.
    """
    if keras.backend.backend() != "tensorflow":
        return batches
    import tensorflow as tf

    signature = keras.tree.map_structure(
        lambda array: tf.TensorSpec((len(array), *[None] * (array.ndim - 1)), array.dtype), batches[0]
    )
    options = tf.data.Options()
    options.autotune.enabled = False
    dataset = tf.data.Dataset.from_generator(
        lambda: map(batches.__getitem__, range(len(batches))), output_signature=signature
    )
    dataset = dataset.apply(tf.data.experimental.assert_cardinality(len(batches)))
    return dataset.prefetch(2).with_options(options)


def padded_lengths(tokens: Tokens, lengths: Sequence[int]) -> list[int]:
    """Choose the lengths of batches: those that are asked for up to the longest row, and one that it fits into."""
    if not lengths:
        return [tokens.seq_length]
    longest = tokens.lengths.max()
    shorter = sorted({length for length in lengths if length < longest})
    return [*shorter, min([tokens.width, *(length for length in lengths if length >= longest)])]


def group(order: np.ndarray, lengths: np.ndarray, batch_size: int, pool: int, rng=None) -> np.ndarray:
    """Group rows of similar length within each pool of rows (length bucketing); with `rng`, shuffle the batches.

    What does not fill a last batch stays at the end.
    """
    whole = len(order) // batch_size * batch_size if rng is not None else len(order)
    pools = [order[start : min(start + pool, whole)] for start in range(0, whole, pool)]
    grouped = [rows[np.argsort(lengths[rows], kind="stable")] for rows in pools]
    if rng is not None and whole:
        batches = np.concatenate(grouped).reshape(-1, batch_size)
        grouped = [batches[rng.permutation(len(batches))].ravel()]
    return np.concatenate([*grouped, order[whole:]])


def batch_lengths(parameters) -> list[int]:
    """Return the lengths that batches are padded to; none where all are padded to `max_length`.

    Unless they are given, few where each costs a compilation, and every fourth one elsewhere.
    """
    if not parameters.bucketing:
        return []
    if parameters.bucket_lengths:
        return parameters.bucket_lengths
    return COMPILED_LENGTHS if jit_compile() else list(range(4, parameters.max_length + 4, 4))

"""Batches of packed tokens, padded to a few lengths so that little of a batch is padding."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import numpy as np

from bertglue.tokens import Tokens

POOL = 64  # batches whose rows are sorted together; the rows of a pool are drawn at random


class Batches(keras.utils.PyDataset):
    """Serve (inputs, labels, weights) of `batch_size` rows, shuffled anew each epoch from the seed.

    With `lengths`, rows of like length share a batch, and each batch is padded to the smallest of `lengths` that its
    rows fit into; without, to `seq_length`. Which rows share a batch does not depend on which lengths are given.

    The last batch is filled up with rows of weight zero, so that every step has as many rows; nothing is dropped and
    nothing is counted twice. The weights of its other rows make up for it: the mean over the whole batch, on however
    many devices, is the mean over the rows that count. `part` (index, count) serves one machine's part of each batch.
    """

    def __init__(
        self, tokens: Tokens, labels=None, *, batch_size: int, seed: int | None = None, part=(0, 1), lengths=()
    ):
        super().__init__()
        self.tokens, self.batch_size, self.seed = tokens, batch_size, seed
        self.part = slice(batch_size * part[0] // part[1], batch_size * (part[0] + 1) // part[1])
        self.labels = np.zeros(len(tokens), "int32") if labels is None else labels
        self.lengths, self.grouped = padded_lengths(tokens, lengths), len(lengths) > 0
        self.bucket = np.searchsorted(self.lengths, tokens.lengths)
        self.start(0)

    def start(self, epoch: int) -> None:
        """Begin with an epoch, from which Keras takes the shape of all batches to come."""
        self.epoch = epoch
        self.reorder()
        if len(set(self.widths)) == 1:  # as Keras will see them; later epochs must keep to it
            self.lengths, self.bucket = self.lengths[-1:], np.zeros_like(self.bucket)

    def reorder(self):
        self.order, rng = np.arange(len(self.tokens)), None
        if self.seed is not None:
            rng = np.random.default_rng((self.seed, self.epoch))
            rng.shuffle(self.order)
        if self.grouped:
            pool = len(self.order) if self.seed is None else POOL * self.batch_size
            self.order = group(self.order, self.tokens.lengths, self.batch_size, pool, rng)
        self.widths = self.settle_widths()

    def settle_widths(self) -> np.ndarray:
        """Choose the length of each batch; the first two differ where any do.

        Keras tells TensorFlow the shape of all batches from the first two, and takes a length in which they agree for
        fixed.
        """
        count = len(self.order) // self.batch_size
        batches = self.order[: count * self.batch_size].reshape(count, self.batch_size)
        bucket = self.bucket[batches].max(axis=1)
        other = np.flatnonzero(bucket != bucket[0]) if count else []
        if len(other):
            batches[[1, other[0]]] = batches[[other[0], 1]]
            bucket[[1, other[0]]] = bucket[[other[0], 1]]
        if count * self.batch_size < len(self.order):
            bucket = np.append(bucket, self.bucket[self.order[count * self.batch_size :]].max())
            if count > 1 and not len(other):  # only the last one differs
                bucket[[1, -1]] = max(bucket[0], bucket[-1])
        return np.array(self.lengths)[bucket]

    def on_epoch_end(self):
        if self.seed is not None:  # Keras calls it when a prediction ends, too, which then looks up the order
            self.epoch += 1
            self.reorder()

    def __len__(self):
        return -(-len(self.tokens) // self.batch_size)

    def __getitem__(self, index):
        rows = self.order[index * self.batch_size : (index + 1) * self.batch_size]
        weights = np.zeros(self.batch_size, "float32")
        weights[: len(rows)] = self.batch_size / len(rows)
        rows = np.resize(rows, self.batch_size)[self.part]
        return self.tokens.batch(rows, self.widths[index]), self.labels[rows], weights[self.part]


def padded_lengths(tokens: Tokens, lengths: Sequence[int]) -> list[int]:
    """Choose the lengths of batches: those that are asked for up to the longest row, and one that it fits into."""
    if not lengths:
        return [tokens.seq_length]
    longest = tokens.lengths.max()
    shorter = sorted({length for length in lengths if length < longest})
    return [*shorter, min([tokens.width, *(length for length in lengths if length >= longest)])]


def group(order: np.ndarray, lengths: np.ndarray, batch_size: int, pool: int, rng=None) -> np.ndarray:
    """Put rows of like length side by side within each pool of rows; with `rng`, then draw the order of the batches.

    What does not fill a last batch stays at the end.
    """
    whole = len(order) // batch_size * batch_size if rng is not None else len(order)
    pools = [order[start : min(start + pool, whole)] for start in range(0, whole, pool)]
    grouped = [rows[np.argsort(lengths[rows], kind="stable")] for rows in pools]
    if rng is not None and whole:
        batches = np.concatenate(grouped).reshape(-1, batch_size)
        grouped = [batches[rng.permutation(len(batches))].ravel()]
    return np.concatenate([*grouped, order[whole:]])

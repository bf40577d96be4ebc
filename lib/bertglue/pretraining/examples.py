"""The examples of BERT's pre-training: pairs of segments for next sentences, and masked words.

Devlin et al., 2019, arXiv:1810.04805, section 3.1 and appendix A. Made of a packed corpus, with numpy alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import keras
import numpy as np

from bertglue.errors import InputError
from bertglue.pretraining.corpus import Corpus

PAD, CLS, SEP, MASK = "[PAD]", "[CLS]", "[SEP]", "[MASK]"


@dataclass(frozen=True)
class Vocabulary:
    """The part of a vocabulary that masking needs: its special ids, and which pieces continue a word."""

    size: int
    cls: int
    sep: int
    mask: int
    first: int  # ids below are special
    goes_on: np.ndarray  # bool [size]

    @classmethod
    def of(cls, entries: list[str]) -> Vocabulary:
        special = [index for index, entry in enumerate(entries) if entry.startswith("[") and entry.endswith("]")]
        missing = [token for token in (CLS, SEP, MASK) if token not in entries]
        if missing or entries[0] != PAD:
            raise InputError(f"the vocabulary lacks {', '.join(missing) or PAD} at its place; learn it anew")
        return cls(
            size=len(entries),
            cls=entries.index(CLS),
            sep=entries.index(SEP),
            mask=entries.index(MASK),
            first=max(i for i in special if i < 1000) + 1,
            goes_on=np.array([entry.startswith("##") for entry in entries]),
        )


@dataclass(frozen=True)
class Pairs:
    """An epoch's examples as positions in the corpus [examples]: two segments, and whether the second follows."""

    first: np.ndarray  # [examples, 2], from and to
    second: np.ndarray
    follows: np.ndarray

    def __len__(self) -> int:
        return len(self.follows)


def draw_pairs(corpus: Corpus, length: int, seed: tuple[int, ...], short: float = 0.1) -> Pairs:
    """Cut every document into pairs of segments that fill `length`; half of the second ones come from elsewhere.

    A segment is one sentence or more. A tenth of the pairs is cut shorter, as BERT's are. What a random second segment
    displaces is used next; it has as many sentences as the one that it displaces.
    """
    rng = np.random.default_rng(seed)
    first, second, follows = [], [], []
    for start, stop in zip(corpus.documents[:-1].tolist(), corpus.documents[1:].tolist(), strict=True):
        at = start
        while at < stop:
            target = length - 3 if rng.random() > short else rng.integers(8, length - 2)
            full = np.searchsorted(corpus.sentences[at : stop + 1], corpus.sentences[at] + target, side="right")
            end = min(max(at + int(full) - 1, at + 2), stop)
            middle = int(rng.integers(at + 1, end)) if end - at > 1 else end
            first.append((at, middle))
            if middle < end and rng.random() < 0.5:
                second.append((middle, end))
                follows.append(True)
                at = end
            else:
                second.append(draw_random_segment(corpus, rng, max(1, end - middle)))
                follows.append(False)
                at = middle
    order = rng.permutation(len(follows))
    places = [corpus.sentences[np.array(part)[order]] for part in (first, second)]
    return Pairs(*places, np.array(follows, "int32")[order])


def draw_random_segment(corpus: Corpus, rng: np.random.Generator, count: int) -> tuple[int, int]:
    """Draw some sentences that stand together in some document."""
    at = int(rng.integers(0, len(corpus.sentences) - 1))
    stop = corpus.documents[np.searchsorted(corpus.documents, at, side="right")]
    return at, min(at + count, int(stop))


def pack_pairs(corpus: Corpus, pairs: Pairs, rows: np.ndarray, vocabulary: Vocabulary, length: int) -> dict:
    """Pack pairs as `[CLS] a [SEP] b [SEP]`, the longer segment truncated first, padded: int32 [rows, length]."""
    a, b = pairs.first[rows], pairs.second[rows]
    room = length - 3
    long_a, long_b = a[:, 1] - a[:, 0], b[:, 1] - b[:, 0]
    size_a = np.minimum(long_a, np.maximum(room - long_b, -(-room // 2)))
    size_b = np.minimum(long_b, room - size_a)
    position = np.arange(length)[None]
    end_a = size_a[:, None] + 1  # where the first [SEP] stands
    end_b = end_a + size_b[:, None] + 1
    in_a, in_b = (position >= 1) & (position < end_a), (position > end_a) & (position < end_b)
    at = np.where(in_a, a[:, :1] + position - 1, np.where(in_b, b[:, :1] + position - end_a - 1, 0))
    ids = np.where(in_a | in_b, corpus.ids[at].astype("int32"), 0)
    ids[:, 0] = vocabulary.cls
    ids = np.where((position == end_a) | (position == end_b), vocabulary.sep, ids)
    mask = (position <= end_b).astype("int32")
    return {"input_word_ids": ids.astype("int32"), "input_mask": mask, "input_type_ids": mask * (position > end_a)}


def mask_words(inputs: dict, vocabulary: Vocabulary, rng: np.random.Generator, whole_words: bool, share: float = 0.15):
    """Choose words and hide them: 80 % become [MASK], 10 % another piece, 10 % stay.

    Returns the changed ids, and the positions, pieces and weights of the masked tokens [rows, masked].
    """
    ids = inputs["input_word_ids"]
    rows, length = ids.shape
    eligible = (ids >= vocabulary.first) & (inputs["input_mask"] > 0)
    score = rng.random((rows, length))
    if whole_words:  # the pieces of a word share the score of its first
        word = np.cumsum(~vocabulary.goes_on[ids], axis=1) - 1
        score = np.take_along_axis(score, np.maximum(word, 0), axis=1)
    score = np.where(eligible, score, 2.0)
    places = max(1, round(share * length))
    positions = np.sort(np.argsort(score, axis=1, kind="stable")[:, :places], axis=1)
    wanted = np.maximum(1, np.round(share * eligible.sum(1)))[:, None]
    rank = np.argsort(np.argsort(np.take_along_axis(score, positions, 1), axis=1, kind="stable"), axis=1, kind="stable")
    weights = (rank < wanted) & np.take_along_axis(eligible, positions, 1)
    pieces = np.take_along_axis(ids, positions, 1)
    draw = rng.random((rows, places))
    other = rng.integers(vocabulary.first, vocabulary.size, (rows, places))
    shown = np.where(draw < 0.8, vocabulary.mask, np.where(draw < 0.9, other, pieces))
    hidden = ids.copy()
    np.put_along_axis(hidden, positions, np.where(weights, shown, pieces), axis=1)
    return hidden.astype("int32"), positions.astype("int32"), pieces.astype("int32"), weights.astype("float32")


class Examples(keras.utils.PyDataset):
    """Serve the steps from `start` to `stop` of a run; what a step holds depends on its number and the seed alone."""

    def __init__(self, corpus, vocabulary, *, start, stop, batch_size, length, seed, whole_words=True):
        super().__init__()
        self.corpus, self.vocabulary = corpus, vocabulary
        self.start, self.stop, self.batch_size, self.length, self.seed = start, stop, batch_size, length, seed
        self.whole_words, self.epoch, self.pairs = whole_words, None, None

    def __len__(self):
        return self.stop - self.start

    def __getitem__(self, index):
        step = self.start + index
        per_epoch = max(1, self.corpus.ids.size // (self.length - 3) // self.batch_size)
        self.draw(step // per_epoch)
        rows = ((step % per_epoch) * self.batch_size + np.arange(self.batch_size)) % len(self.pairs)
        inputs = pack_pairs(self.corpus, self.pairs, rows, self.vocabulary, self.length)
        rng = np.random.default_rng((self.seed, self.length, step))
        hidden, positions, pieces, weights = mask_words(inputs, self.vocabulary, rng, self.whole_words)
        weights *= weights.size / max(weights.sum(), 1)  # the mean over all places is that over the chosen
        inputs = {**inputs, "input_word_ids": hidden, "masked_positions": positions}
        targets = {"words": pieces, "follows": self.pairs.follows[rows]}
        return inputs, targets, {"words": weights, "follows": np.ones(self.batch_size, "float32")}

    def draw(self, epoch: int) -> None:
        if self.epoch != epoch:
            self.pairs, self.epoch = draw_pairs(self.corpus, self.length, (self.seed, self.length, epoch)), epoch

"""Tokenizing, trimming, packing and caching, against the preprocessing model of TF Hub where it is at hand."""

import numpy as np
import pytest
import tensorflow as tf

from bertglue.data.dataset import Split
from bertglue.data.token_ids import keep_tokens
from bertglue.errors import InputError
from bertglue.models.preprocessor import Preprocessor, load_preprocessor, tokenize

VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *"abcdefgh", "##b", "."]
A, B, C, D = (VOCABULARY.index(letter) for letter in "abcd")


def split(*columns):
    names = ("sentence1", "sentence2")[: len(columns)]
    return Split(dict(zip(names, map(list, columns), strict=True)), np.zeros(len(columns[0]), "int32"))


def test_packs_a_pair():
    packed = Preprocessor(VOCABULARY, 8)([["a b"], ["C."]])
    assert packed["input_word_ids"].numpy().tolist() == [[2, A, B, 3, C, VOCABULARY.index("."), 3, 0]]
    assert packed["input_mask"].numpy().tolist() == [[1, 1, 1, 1, 1, 1, 1, 0]]
    assert packed["input_type_ids"].numpy().tolist() == [[0, 0, 0, 0, 1, 1, 1, 0]]


def trim_longest_first(first, second, room):
    """BERT's own trimming (`_truncate_seq_pair` of its `create_pretraining_data.py`)."""
    first, second = list(first), list(second)
    while len(first) + len(second) > room:
        (first if len(first) > len(second) else second).pop()
    return first, second


@pytest.mark.parametrize("first", range(1, 8))
@pytest.mark.parametrize("second", range(1, 8))
def test_trims_the_longest_first(first, second):
    left, right = trim_longest_first("a" * first, "b" * second, room=6)
    packed = Preprocessor(VOCABULARY, 9)([[" ".join("a" * first)], [" ".join("b" * second)]])
    expected = [2, *[A] * len(left), 3, *[B] * len(right), 3]
    assert packed["input_word_ids"].numpy()[0].tolist() == expected + [0] * (9 - len(expected))


def test_cache_gives_the_same_inputs_as_the_preprocessor(tmp_path):
    preprocessor = Preprocessor(VOCABULARY, 8)
    rows = split(["a", "a b c d e f g", "", "ab"], ["b", "c", "d", "[SEP] a"])
    tokens = tokenize(rows, preprocessor, tmp_path)
    expected = preprocessor([tf.constant(column) for column in rows.segments])
    for name, values in tokens.batch(np.arange(4)).items():
        assert values.tolist() == expected[name].numpy().tolist()


def test_cache_is_read_back_and_depends_on_text_vocabulary_and_length(tmp_path):
    rows = split(["a b"])
    for preprocessor, other in (
        (Preprocessor(VOCABULARY, 8), rows),
        (Preprocessor(VOCABULARY, 8), rows),  # again: no new folder
        (Preprocessor(VOCABULARY, 9), rows),
        (Preprocessor([*VOCABULARY, "z"], 8), rows),
        (Preprocessor(VOCABULARY, 8), split(["a c"])),
    ):
        tokenize(other, preprocessor, tmp_path)
    assert len(list((tmp_path / "tokens").iterdir())) == 4


def test_a_failed_write_leaves_nothing(tmp_path):
    def chunks():
        yield np.array([2, 3]), np.array([2]), np.array([2])
        raise OSError("disk full")

    with pytest.raises(InputError, match="disk full"):
        keep_tokens(tmp_path / "tokens", chunks(), 8)
    assert list(tmp_path.iterdir()) == []


def test_batches_are_as_wide_as_the_longest_row(tmp_path):
    tokens = keep_tokens(tmp_path / "t", [(np.arange(13), np.array([3, 10]), np.array([3, 4]))], 64)
    assert tokens.batch(np.array([0]))["input_word_ids"].shape == (1, 16)


@pytest.mark.parametrize(
    ("vocabulary", "length", "message"),
    [
        (["[PAD]", "a"], 8, r"lacks \[CLS\], \[SEP\], \[UNK\]"),
        (VOCABULARY, 4, "max_length is 4"),
        ([*VOCABULARY, "a"], 8, r"is no BERT vocabulary \(Tokens in the vocabulary must be unique.\); fetch it again"),
        (VOCABULARY[:4], 8, r"is no BERT vocabulary \(No valid vocab tokens.*\); fetch it again"),
    ],
)
def test_bad_input(vocabulary, length, message):
    with pytest.raises(InputError, match=message):
        Preprocessor(vocabulary, length)


def test_missing_vocabulary(tmp_path):
    with pytest.raises(InputError, match=r"vocab.txt cannot be read"):
        load_preprocessor(str(tmp_path / "vocab.txt"), 8)

"""From text to BERT's inputs with tensorflow-text: tokenize, trim, pack. Runs on the host."""

from __future__ import annotations

import functools
import hashlib
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import tensorflow as tf
import tensorflow_text as text

from bertglue.data.dataset import Data, Split
from bertglue.data.token_ids import Tokens, keep_tokens
from bertglue.errors import InputError, one_line
from bertglue.models.encoder_source import Tokenization
from bertglue.models.find_encoder import find_tokenization
from bertglue.models.word_pieces import word_pieces

SPECIAL_TOKENS = ("[CLS]", "[SEP]", "[UNK]", "[PAD]")
DEFAULT_LENGTH = 128


class Preprocessor:
    """Convert one or two string tensors [batch] to the dict of ids that an encoder takes.

    Tokenizes with BERT's WordPiece, trims the longest segment first until `[CLS] a [SEP] b [SEP]`
    fits into `seq_length`, and pads: int32 `input_word_ids`, `input_mask`, `input_type_ids`
    [batch, seq_length]. `lower_case`, `strip_accents` and `split_chinese` are those of `Tokenization`.
    """

    def __init__(
        self, vocabulary: list[str], seq_length: int = DEFAULT_LENGTH, *,
        lower_case: bool = True, strip_accents: bool | None = None, split_chinese: bool = True,
    ):  # fmt: skip
        missing = [token for token in SPECIAL_TOKENS if token not in vocabulary]
        if missing:
            raise InputError(f"the vocabulary lacks {', '.join(missing)}; a BERT vocabulary has them")
        if seq_length < 5:
            raise InputError(f"max_length is {seq_length}; [CLS] a [SEP] b [SEP] needs 5 or more")
        self.tokenization = Tokenization(vocabulary, lower_case, strip_accents, split_chinese)
        self.vocabulary, self.seq_length, self.lower_case = vocabulary, seq_length, lower_case
        self.start, self.end = vocabulary.index("[CLS]"), vocabulary.index("[SEP]")
        try:
            self.word_pieces = word_pieces(self.tokenization)
        except (RuntimeError, ValueError) as error:
            raise InputError(f"the vocabulary is no BERT vocabulary ({one_line(error)}); fetch it again") from None

    def __call__(self, segments) -> dict[str, tf.Tensor]:
        segments = list(segments.values()) if isinstance(segments, dict) else list(segments)
        ids, types = self.pack(segments)
        word_ids, mask = text.pad_model_inputs(ids, self.seq_length)
        type_ids, _ = text.pad_model_inputs(types, self.seq_length)
        return {"input_word_ids": word_ids, "input_mask": mask, "input_type_ids": type_ids}

    def tokenize(self, texts) -> tf.RaggedTensor:
        """Return the WordPiece ids of each text, [batch, (tokens)]."""
        return self.word_pieces(tf.convert_to_tensor(texts))

    def pack(self, segments) -> tuple[tf.RaggedTensor, tf.RaggedTensor]:
        """Tokenize, trim and combine one or two segments: ids and segment types, [batch, (length)]."""
        # keeps tokens in turn, which leaves what longest-first trimming leaves; ShrinkLongestTrimmer,
        # which removes them, does not trace for a single segment in tensorflow-text 2.21
        trimmed = text.RoundRobinTrimmer(self.room(segments)).trim([self.tokenize(segment) for segment in segments])
        return text.combine_segments(trimmed, self.start, self.end)

    def room(self, segments) -> int:
        """Return how many tokens of a row's own fit in beside `[CLS]` and a `[SEP]` after each segment."""
        return self.seq_length - 1 - len(segments)

    def is_cut(self, segments) -> np.ndarray:
        """Return whether each row has more tokens than `seq_length` takes, bool [batch]."""
        return sum(self.tokenize(segment).row_lengths().numpy() for segment in segments) > self.room(segments)

    @functools.cached_property
    def pack_rows(self):
        """Pack as a graph that is traced once: segments -> flat ids, lengths, tokens before the second segment."""

        @tf.function(reduce_retracing=True, autograph=False)
        def pack_rows(segments):
            ids, types = self.pack(segments)
            lengths = ids.row_lengths()
            return ids.flat_values, lengths, lengths - tf.cast(tf.reduce_sum(types, axis=1), tf.int64)

        return pack_rows

    def tokens(self, words: str) -> list[str]:
        """Return the word pieces of one text, for display."""
        return [self.vocabulary[i] for i in self.tokenize([words]).flat_values.numpy()]

    @functools.cached_property
    def fingerprint(self) -> str:
        parts = [type(self).__name__, str(self.seq_length), str(self.tokenization.options), *self.vocabulary]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def load_preprocessor(
    source: str, seq_length: int = DEFAULT_LENGTH, *, preprocessor: str | None = None
) -> Preprocessor:
    """Load the preprocessing that belongs to an encoder.

    Args:
        source: as for `load_encoder`, whose encoders bring their vocabulary along; or a `vocab.txt`. How text is
            normalized is read from the files as data; where they do not say, a vocabulary with capitals is cased.
        seq_length: tokens of a row, `[CLS]` and `[SEP]` included; longer rows are truncated, shorter ones padded.
        preprocessor: a preprocessing SavedModel of TF Hub (folder, `.tar.gz` or address) to use instead, whose own
            `tokenize` and `bert_pack_inputs` are run. Its graph can read and write files: give one that you trust.

    Returns:
        A function of one or two string tensors [batch] (a list or a dict) that returns a dict of int32
        `input_word_ids`, `input_mask` and `input_type_ids` [batch, seq_length].

    Raises:
        InputError: `source` cannot be read, its vocabulary lacks BERT's special tokens, `seq_length` is below 5, or
            `preprocessor` is no preprocessing SavedModel.

    Source:
        Devlin et al., 2019, arXiv:1810.04805, section 3; tensorflow-text's `FastBertTokenizer`.

    Example:
        >>> from bertglue import load_preprocessor
        >>> preprocess = load_preprocessor("bundled", seq_length=8)
        >>> ids = preprocess([["the film ."], ["a story ."]])
        >>> ids["input_mask"].numpy().tolist(), ids["input_type_ids"].numpy().tolist()
        ([[1, 1, 1, 1, 1, 1, 1, 1]], [[0, 0, 0, 0, 0, 1, 1, 1]])
    """
    if preprocessor:
        from bertglue.models.trusted_preprocessor import load_trusted_preprocessor

        return load_trusted_preprocessor(preprocessor, seq_length)
    found = find_tokenization(source)
    return Preprocessor(found.vocabulary, seq_length, **found.options)


def tokenize(split: Split, preprocessor: Preprocessor, cache_dir: str | Path) -> Tokens:
    """Tokenize a split once; the same texts, vocabulary and length are read back from `cache_dir` later.

    What was cut short or changed there is made anew.
    """
    key = hashlib.sha256(f"5 {split.fingerprint()} {preprocessor.fingerprint}".encode()).hexdigest()
    folder = Path(cache_dir).expanduser() / "tokens" / key[:32]
    return keep_tokens(folder, packed(split, preprocessor), preprocessor.seq_length)


class TokenizedData(dict):
    """The tokens of each split of a task, and the seconds it took to make them or read them back."""

    seconds = 0.0


def tokenize_data(data: Data, preprocessor: Preprocessor, cache_dir: str | Path) -> TokenizedData:
    """Tokenize every split of a task, or read it back from `cache_dir`; prints how long that took."""
    started = time.perf_counter()
    tokens = TokenizedData((name, tokenize(split, preprocessor, cache_dir)) for name, split in data.splits.items())
    tokens.seconds = time.perf_counter() - started
    rows = sum(data.examples.values())
    print(f"{rows:,} rows tokenized, or read back, in {tokens.seconds:.1f} s")
    return tokens


def packed(split: Split, preprocessor: Preprocessor) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Pack a split chunk by chunk on the host: (ids, lengths, tokens before the second segment)."""
    with tf.device("/CPU:0"):
        for chunk in split.chunks():
            yield tuple(part.numpy() for part in preprocessor.pack_rows([tf.constant(texts) for texts in chunk]))

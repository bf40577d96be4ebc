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

from bertglue.errors import InputError
from bertglue.sources.data import Data, Split
from bertglue.tokens import Tokens, load_tokens, save_tokens

CHUNK = 4096  # rows tokenized at a time; memory follows it, not the size of the data set
SPECIAL = ("[CLS]", "[SEP]", "[UNK]", "[PAD]")
DEFAULT_LENGTH = 128


class Preprocessor:
    """Turn one or two string tensors [batch] into the dict of ids that an encoder takes.

    Tokenizes with uncased BERT WordPiece, trims the longest segment first until `[CLS] a [SEP] b [SEP]`
    fits into `seq_length`, and pads: int32 `input_word_ids`, `input_mask`, `input_type_ids`
    [batch, seq_length].
    """

    def __init__(self, vocabulary: list[str], seq_length: int = DEFAULT_LENGTH):
        missing = [token for token in SPECIAL if token not in vocabulary]
        if missing:
            raise InputError(f"the vocabulary lacks {', '.join(missing)}; a BERT vocabulary has them")
        if seq_length < 5:
            raise InputError(f"max_length is {seq_length}; [CLS] a [SEP] b [SEP] needs 5 or more")
        self.vocabulary = vocabulary
        self.seq_length = seq_length
        self.start, self.end = vocabulary.index("[CLS]"), vocabulary.index("[SEP]")
        self.tokenizer = text.FastBertTokenizer(vocabulary, token_out_type=tf.int32, lower_case_nfd_strip_accents=True)

    def __call__(self, segments) -> dict[str, tf.Tensor]:
        segments = list(segments.values()) if isinstance(segments, dict) else list(segments)
        ids, types = self.pack(segments)
        word_ids, mask = text.pad_model_inputs(ids, self.seq_length)
        type_ids, _ = text.pad_model_inputs(types, self.seq_length)
        return {"input_word_ids": word_ids, "input_mask": mask, "input_type_ids": type_ids}

    def tokenize(self, texts) -> tf.RaggedTensor:
        """Give the WordPiece ids of each text, [batch, (tokens)]."""
        return self.tokenizer.tokenize(texts).merge_dims(1, -1)

    def pack(self, segments) -> tuple[tf.RaggedTensor, tf.RaggedTensor]:
        """Tokenize, trim and combine one or two segments: ids and segment types, [batch, (length)]."""
        room = self.seq_length - 1 - len(segments)
        # keeps tokens in turn, which leaves what longest-first trimming leaves; ShrinkLongestTrimmer,
        # which removes them, does not trace for a single segment in tensorflow-text 2.21
        trimmed = text.RoundRobinTrimmer(room).trim([self.tokenize(segment) for segment in segments])
        return text.combine_segments(trimmed, self.start, self.end)

    def tokens(self, words: str) -> list[str]:
        """Spell out one text as word pieces, to look at."""
        return [self.vocabulary[i] for i in self.tokenize([words]).flat_values.numpy()]

    @functools.cached_property
    def fingerprint(self) -> str:
        return hashlib.sha256("\n".join([str(self.seq_length), *self.vocabulary]).encode()).hexdigest()


def load_preprocessor(source: str, seq_length: int = DEFAULT_LENGTH) -> Preprocessor:
    """Load the preprocessing that belongs to an encoder.

    `source` is `embedded`, a `vocab.txt`, a SavedModel folder (it keeps its vocabulary under assets/) or a
    TF Hub address.
    """
    if source == "embedded":
        from bertglue.sources.embedded import vocabulary

        return Preprocessor(vocabulary(), seq_length)
    return Preprocessor(read_vocabulary(source), seq_length)


def read_vocabulary(source: str) -> list[str]:
    path = Path(source).expanduser()
    if path.suffix != ".txt":
        from bertglue.hub import resolve

        path = resolve(source) / "assets" / "vocab.txt"
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        raise InputError(f"{path} is missing; give the vocab.txt that belongs to the encoder") from None


def tokenize(split: Split, preprocessor: Preprocessor, cache_dir: str | Path) -> Tokens:
    """Tokenize a split once; the same texts, vocabulary and length are read back from `cache_dir` later."""
    key = hashlib.sha256(f"1 {split.fingerprint()} {preprocessor.fingerprint}".encode()).hexdigest()
    folder = Path(cache_dir).expanduser() / "tokens" / key[:32]
    if not folder.exists():
        save_tokens(folder, chunks(split, preprocessor), preprocessor.seq_length)
    return load_tokens(folder)


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


def chunks(split: Split, preprocessor: Preprocessor) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Tokenize a split chunk by chunk on the host: (ids, lengths, tokens before the second segment)."""
    with tf.device("/CPU:0"):
        rows = tf.data.Dataset.from_tensor_slices(tuple(split.segments)).batch(CHUNK)
        for ids, types in rows.map(lambda *segments: preprocessor.pack(segments), tf.data.AUTOTUNE):
            lengths = ids.row_lengths().numpy()
            yield ids.flat_values.numpy(), lengths, lengths - tf.reduce_sum(types, axis=1).numpy()

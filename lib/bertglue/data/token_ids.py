"""Packed token ids on disk: written once for a split, padded batch by batch at training."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import Field

from bertglue.cache_entries import cached
from bertglue.checked_files import FileSchema, read_npz, read_object
from bertglue.errors import InputError, one_line

IDS_DTYPE = np.dtype("<i4")
TOKENS_FILE = "tokens.json"  # about the tokens beside it
ENCODER_INPUTS = ("input_word_ids", "input_mask", "input_type_ids")  # what an encoder takes, [batch, length] each


@dataclass(frozen=True)
class Tokens:
    """Rows of `[CLS] a [SEP] b [SEP]` ids, end to end, without padding.

    `ids` int32 [total]; row i is `ids[offsets[i]:offsets[i + 1]]`; `second[i]` counts the tokens before its
    second segment. `seq_length` is the length that rows were truncated to.
    """

    ids: np.ndarray
    offsets: np.ndarray
    second: np.ndarray
    seq_length: int

    def __len__(self) -> int:
        return len(self.second)

    @functools.cached_property
    def lengths(self) -> np.ndarray:
        return np.diff(self.offsets)

    @functools.cached_property
    def width(self) -> int:
        """The length that all rows fit into: the longest, rounded up to 8, at most `seq_length`."""
        return min(self.seq_length, -(-int(self.lengths.max()) // 8) * 8)

    def take(self, rows: np.ndarray) -> Tokens:
        """Return some of the rows, in memory."""
        ids = [self.ids[self.offsets[row] : self.offsets[row + 1]] for row in rows]
        offsets = np.concatenate([[0], np.cumsum(self.lengths[rows])])
        return Tokens(np.concatenate(ids), offsets, self.second[rows], self.seq_length)

    def batch(self, rows: np.ndarray, width: int | None = None) -> dict[str, np.ndarray]:
        """Pad the given rows: int32 `input_word_ids`, `input_mask`, `input_type_ids` [rows, width]."""
        position = np.arange(width or self.width)
        lengths = self.lengths[rows, None]
        mask = position < lengths
        at = np.where(mask, self.offsets[rows, None] + position, 0)
        word_ids = np.where(mask, self.ids[at], 0)  # [PAD] is 0 in every BERT vocabulary
        type_ids = mask & (position >= self.second[rows, None])
        return {
            "input_word_ids": word_ids.astype("int32"),
            "input_mask": mask.astype("int32"),
            "input_type_ids": type_ids.astype("int32"),
        }


Chunk = tuple[np.ndarray, np.ndarray, np.ndarray]  # ids, lengths of rows, tokens before the second segments


class SavedTokens(FileSchema):
    """`tokens.json`."""

    seq_length: Annotated[int, Field(ge=1, le=10**6)]


def keep_tokens(folder: Path, chunks: Iterable[Chunk], seq_length: int) -> Tokens:
    """Read the tokens of a cache's folder; where it is not there, or not whole, `chunks` are written to it first."""
    make = functools.partial(write_tokens, chunks=chunks, seq_length=seq_length)
    return map_tokens(cached(folder, make, "set cache_dir to a folder of your own"))


def write_tokens(folder: Path, chunks: Iterable[Chunk], seq_length: int) -> None:
    """Write chunks as they come."""
    lengths, second = [], []
    with (folder / "ids.bin").open("wb") as file:
        for ids, chunk_lengths, chunk_second in chunks:
            ids.astype(IDS_DTYPE).tofile(file)
            lengths.append(chunk_lengths)
            second.append(chunk_second)
    offsets = np.concatenate([[0], np.cumsum(np.concatenate(lengths), dtype="int64")])
    np.savez(folder / "rows.npz", offsets=offsets, second=np.concatenate(second))
    (folder / "tokens.json").write_text(json.dumps({"seq_length": seq_length}), encoding="utf-8")


def map_tokens(folder: Path) -> Tokens:
    """Map what `write_tokens` wrote; the ids stay on disk until a batch asks for them."""
    advice = f"remove {folder}, and they are made anew"
    seq_length = read_object(folder / TOKENS_FILE, SavedTokens, "file about tokens", advice)["seq_length"]
    rows = read_npz(folder / "rows.npz", advice)
    try:
        offsets, second = rows["offsets"], rows["second"]
        ids = np.memmap(folder / "ids.bin", IDS_DTYPE, mode="r", shape=(int(offsets[-1]),))
        longest = np.diff(offsets).max(initial=0)
    except (OSError, ValueError, KeyError, IndexError, TypeError) as error:
        raise InputError(f"{folder} holds no tokens ({one_line(error)}); {advice}") from None
    if longest > seq_length:
        raise InputError(f"{folder / TOKENS_FILE} says {seq_length} tokens a row, and there are longer ones; {advice}")
    return Tokens(ids, offsets, second, seq_length)


def read_vocabulary(path: Path) -> list[str]:
    """Read a vocabulary, one entry a line; a line ends at a line feed and at nothing else."""
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8"
        raise InputError(f"{path} cannot be read ({reason}); give the vocab.txt that belongs to the encoder") from None
    return [line.rstrip("\r") for line in (lines[:-1] if lines[-1] == "" else lines)]

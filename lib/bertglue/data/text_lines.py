"""The one reader of lines: of GLUE's files, of rows to predict, and of texts to pre-train on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from bertglue.errors import InputError

BYTE_ORDER_MARK = b"\xef\xbb\xbf"  # MRPC's files begin with it
BLOCK_BYTES = 1 << 20  # of a file, in memory at a time


def read_lines(file: BinaryIO, where: str | Path) -> Iterator[tuple[int, int, bytes]]:
    """Yield (row number from 1, offset in the file, bytes) of each line, blank ones too; all are UTF-8.

    LF, CRLF and a lone CR end a line, as in Python's own text files and so in tensorflow-datasets; no other character
    does. A byte-order mark at the start is no text. Bytes that are not UTF-8 are an InputError naming `where`.
    """
    end = 0
    for number, line in enumerate(split_lines(file), 1):
        start, end = end, end + len(line)
        if number == 1 and line.startswith(BYTE_ORDER_MARK):
            start, line = len(BYTE_ORDER_MARK), line.removeprefix(BYTE_ORDER_MARK)
            if not line:  # the mark is all that the file holds
                return
        text = line.rstrip(b"\r\n")
        if not text.isascii():
            check_utf8(text, number, where)
        yield number, start, text


def split_lines(file: BinaryIO) -> Iterator[bytes]:
    """Yield lines with their ends, in memory that does not grow with the file."""
    parts = []
    while block := file.read1(BLOCK_BYTES):  # unlike read, returns what a slow pipe has so far
        parts.append(block)
        if b"\n" in block or b"\r" in block:  # a long line is joined once, when it ends
            *lines, last = b"".join(parts).splitlines(keepends=True)
            yield from lines
            parts = [last]
            if last.endswith(b"\n"):  # after a CR, the next block may begin with its LF
                yield last
                parts = []
    if parts:
        yield from b"".join(parts).splitlines(keepends=True)


def check_utf8(text: bytes, number: int, where: str | Path) -> None:
    try:
        text.decode()
    except UnicodeDecodeError as error:
        raise InputError(
            f"{where}, row {number}: not UTF-8 at byte {error.start + 1} of the row; save it as UTF-8"
        ) from None

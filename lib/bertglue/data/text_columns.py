"""Columns of text that stay in their file, so that memory does not grow with them."""

from __future__ import annotations

import mmap
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from bertglue.atomic_files import write_error


class TextColumn(Sequence):
    """A sequence of strings: row i is the UTF-8 bytes `buffer[starts[i]:ends[i]]`, read when asked for."""

    def __init__(self, buffer, starts, ends):
        self.buffer = buffer
        self.starts, self.ends = np.asarray(starts, "int64"), np.asarray(ends, "int64")

    @classmethod
    def keep(cls, columns: int, rows: Iterable[tuple[bytes, ...]]) -> list[TextColumn]:
        """Write rows of UTF-8 cells to a file that vanishes with the process; one sequence for each column.

        Raises:
            InputError: there is no room for it.
        """
        ends = [0]
        try:
            file = tempfile.TemporaryFile()  # noqa: SIM115  (the mapping outlives this function)
            for cells in rows:
                for cell in cells:
                    file.write(cell)
                    ends.append(ends[-1] + len(cell))
            file.flush()
        except OSError as error:  # those of reading have become InputErrors
            raise write_error(Path(tempfile.gettempdir()), error, "set TMPDIR to a folder with room") from None
        buffer = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if ends[-1] else b""
        ends = np.array(ends, "int64")
        return [cls(buffer, ends[:-1][i::columns], ends[1:][i::columns]) for i in range(columns)]

    def __len__(self) -> int:
        return len(self.starts)

    def __getitem__(self, at):
        if isinstance(at, slice):
            return [text.decode() for text in self.encoded(at)]
        return self.buffer[self.starts[at] : self.ends[at]].decode()

    def encoded(self, at: slice) -> list[bytes]:
        """Return rows as they lie in the file."""
        starts, ends = self.starts[at].tolist(), self.ends[at].tolist()
        return [self.buffer[start:end] for start, end in zip(starts, ends, strict=True)]


def take_rows(column: Sequence[str], rows: np.ndarray) -> Sequence[str]:
    """Return some rows of a column, in that order."""
    if isinstance(column, TextColumn):
        return TextColumn(column.buffer, column.starts[rows], column.ends[rows])
    return [column[row] for row in rows.tolist()]


def encode_rows(column: Sequence[str], size: int) -> Iterator[list[bytes]]:
    """Yield a column as UTF-8, `size` rows at a time."""
    for start in range(0, len(column), size):
        rows = slice(start, start + size)
        yield column.encoded(rows) if isinstance(column, TextColumn) else [text.encode() for text in column[rows]]

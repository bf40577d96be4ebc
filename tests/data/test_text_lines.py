"""The reader of lines, and that GLUE's files, rows to predict and texts to pre-train on are read with it."""

import gzip
import io
import lzma
import re
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bertglue.data import text_lines
from bertglue.data.load_data import load_data
from bertglue.data.text_lines import read_lines
from bertglue.errors import InputError
from bertglue.pretraining.corpus import read_documents
from bertglue.runs.predict import read_rows
from bertglue.tasks import TASKS

MARK = "\ufeff"


@pytest.mark.parametrize(
    ("content", "lines"),
    [
        ("", []),
        (MARK, []),
        ("a", ["a"]),
        ("a\n", ["a"]),
        ("a\r", ["a"]),
        ("a\nb\rc\r\nd", ["a", "b", "c", "d"]),
        ("a\n\nb", ["a", "", "b"]),
        ("a\r\rb", ["a", "", "b"]),
        ("a\r\n\r\nb", ["a", "", "b"]),
        ("a\n\rb", ["a", "", "b"]),
        (MARK + "a\nb", ["a", "b"]),
        (MARK + "\nb", ["", "b"]),
        ("a\n" + MARK + "b", ["a", MARK + "b"]),  # a mark that is not at the start is text
        ("\x0ba\x0cb\x1cc\x85d\u2028e", ["\x0ba\x0cb\x1cc\x85d\u2028e"]),  # what str.splitlines would split at
        ("é\t猫 \n", ["é\t猫 "]),
    ],
)
@pytest.mark.parametrize("block", [3, 1 << 20])
def test_what_ends_a_line(monkeypatch, content, lines, block):
    monkeypatch.setattr(text_lines, "BLOCK_BYTES", block)
    found = list(read_lines(io.BytesIO(content.encode()), "x"))
    assert [text.decode() for _, _, text in found] == lines
    assert [number for number, _, _ in found] == list(range(1, len(lines) + 1))


class Slow(io.BytesIO):
    """A file that hands out so many bytes at a time, as a pipe may."""

    def __init__(self, content, size):
        super().__init__(content)
        self.size = size

    def read1(self, size=-1):
        return super().read1(self.size)


@given(st.lists(st.sampled_from([b"\r", b"\n", b"\r\n", b"a", b"\t", "é".encode(), b" "])), st.integers(1, 7))
def test_lines_do_not_depend_on_how_a_file_is_cut_into_blocks(parts, size):
    content = b"".join(parts)
    wanted = re.split(b"\r\n|\r|\n", content)
    found = list(read_lines(Slow(content, size), "x"))
    assert [text for _, _, text in found] == (wanted if wanted[-1] else wanted[:-1])
    assert all(content[start : start + len(text)] == text for _, start, text in found)


def test_a_line_comes_before_a_pipe_ends():
    file = Slow(b"one\ntwo\nthree\n", 4)
    next(read_lines(file, "x"))
    assert file.tell() == 4


@pytest.mark.parametrize("end", [b"\n", b"\r"])
def test_memory_does_not_grow_with_a_file(end):
    class Long:
        blocks = 64

        def read1(self, size):
            self.blocks -= 1
            return ((b"a" * 1023 + end) * 1024)[:size] if self.blocks >= 0 else b""

    tracemalloc.start()
    count = sum(1 for _ in read_lines(Long(), "x"))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 64 * 1024
    assert peak < 8 << 20


@pytest.mark.parametrize(
    ("content", "row", "byte"),
    [(b"\xff\xfea\x00\n", 1, 1), (b"one\r\ntwo\rna\xefve\n", 3, 3), (b"\xef\xbb\xbfa\xe9", 1, 2), (b"a\n\xc3", 2, 1)],
    ids=["UTF-16", "Latin-1", "Latin-1 after a mark", "cut off"],
)
def test_what_is_not_utf8_is_named_with_its_row_and_its_byte(content, row, byte):
    with pytest.raises(InputError) as raised:
        list(read_lines(io.BytesIO(content), "rows.tsv"))
    assert str(raised.value) == f"rows.tsv, row {row}: not UTF-8 at byte {byte} of the row; save it as UTF-8"


def glue_rows(folder, content):
    (folder / "CoLA").mkdir(exist_ok=True)
    for name in ("train", "dev"):
        (folder / "CoLA" / f"{name}.tsv").write_bytes(content)
    return list(load_data(TASKS["cola"], "folder", glue_dir=str(folder))["train"].columns["sentence"])


def predict_rows(folder, content):
    return [row[-1] for row in read_rows(io.BytesIO(content), TASKS["rte"], "rows.tsv")]


def corpus_rows(folder, content, suffix="", pack=bytes):
    (folder / f"text{suffix}").write_bytes(pack(content))
    return [line.split("\t")[-1] for document in read_documents([folder / f"text{suffix}"]) for line in document]


READERS = {
    "GLUE": (glue_rows, b"x\t1\t\t"),
    "predict": (predict_rows, b"x\t"),
    "plain": (corpus_rows, b"x\t"),
    "xz": (lambda *given: corpus_rows(*given, ".xz", lzma.compress), b"x\t"),
    "gz": (lambda *given: corpus_rows(*given, ".gz", gzip.compress), b"x\t"),
}


@pytest.mark.parametrize("mark", [b"", MARK.encode()], ids=["plain", "mark"])
@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"], ids=["LF", "CRLF", "CR"])
@pytest.mark.parametrize("reader", READERS)
def test_every_reader_ends_a_line_alike(tmp_path, reader, end, mark):
    read, before = READERS[reader]
    content = mark + end.join(before + text.encode() for text in ("one", "zwölf", "three")) + end
    assert read(tmp_path, content) == ["one", "zwölf", "three"]


@pytest.mark.parametrize("reader", READERS)
def test_every_reader_names_the_row_that_is_not_utf8(tmp_path, reader):
    read, before = READERS[reader]
    with pytest.raises(InputError, match=rf"row 3: not UTF-8 at byte {len(before) + 4} of the row; save it as UTF-8$"):
        read(tmp_path, b"".join(before + text for text in (b"one\r", b"two\r\n", b"caf\xe9\n")))

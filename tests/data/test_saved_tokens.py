"""Token ids on disk: written whole, read back as they were, and known when they were changed."""

import json

import numpy as np
import pytest

from bertglue.data.token_ids import keep_tokens, map_tokens, read_vocabulary
from bertglue.errors import InputError

CHUNKS = [
    (np.array([1, 2, 3, 4, 5]), np.array([2, 3]), np.array([1, 2])),
    (np.array([6]), np.array([1]), np.array([1])),
]


@pytest.fixture
def folder(tmp_path):
    keep_tokens(tmp_path / "tokens" / "key", CHUNKS, 16)
    return tmp_path / "tokens" / "key"


def test_chunks_are_put_together(folder):
    tokens = keep_tokens(folder, [], 16)
    assert (tokens.ids.tolist(), tokens.offsets.tolist()) == ([1, 2, 3, 4, 5, 6], [0, 2, 5, 6])
    assert (tokens.second.tolist(), tokens.seq_length) == ([1, 2, 1], 16)
    assert [path.name for path in folder.parent.iterdir()] == ["key"]  # nothing half-written is left


def test_what_another_run_wrote_first_is_kept(folder):
    assert keep_tokens(folder, [(np.array([9]), np.array([1]), np.array([1]))], 16).ids.tolist() == [1, 2, 3, 4, 5, 6]
    assert [path.name for path in folder.parent.iterdir()] == ["key"]


def test_a_failure_leaves_nothing(tmp_path):
    def chunks():
        yield CHUNKS[0]
        raise OSError("full")

    with pytest.raises(InputError, match=r"key cannot be written \(full\); free space there, or set cache_dir"):
        keep_tokens(tmp_path / "key", chunks(), 16)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["ids.bin", "rows.npz", "tokens.json"])
def test_a_changed_file_is_made_anew(folder, name, capsys):
    content = bytearray((folder / name).read_bytes())
    content[-1] ^= 1
    (folder / name).write_bytes(content)
    assert keep_tokens(folder, [(np.array([9]), np.array([1]), np.array([1]))], 16).ids.tolist() == [9]
    assert "key was damaged; it is made anew" in capsys.readouterr().out


@pytest.mark.parametrize("about", ["", "{}", "[]", json.dumps({"seq_length": None})])
def test_a_folder_that_is_none_is_named(folder, about):
    (folder / "tokens.json").write_text(about)
    with pytest.raises(InputError, match=r"key/tokens.json is no file about tokens .*remove .*key, and they are made"):
        map_tokens(folder)


@pytest.mark.parametrize(
    ("content", "entries"),
    [("a\nb\n", ["a", "b"]), ("a\r\nb", ["a", "b"]), ("a\n\nb\n\n", ["a", "", "b", ""]), ("a\u2028b\n", ["a\u2028b"])],
)
def test_a_line_feed_alone_ends_an_entry_of_a_vocabulary(tmp_path, content, entries):
    (tmp_path / "vocab.txt").write_bytes(content.encode())
    assert read_vocabulary(tmp_path / "vocab.txt") == entries


@pytest.mark.parametrize(("content", "reason"), [(None, "No such file"), (b"\xff\n", "not UTF-8")])
def test_a_vocabulary_that_cannot_be_read_is_named(tmp_path, content, reason):
    if content:
        (tmp_path / "vocab.txt").write_bytes(content)
    with pytest.raises(InputError, match=rf"vocab.txt cannot be read \({reason}"):
        read_vocabulary(tmp_path / "vocab.txt")

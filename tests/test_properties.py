"""Readers and writers on anything: what is written comes back, and what cannot be read is an InputError."""

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bertglue.atomic_files import write_json, write_text
from bertglue.data.load_data import load_data
from bertglue.data.token_ids import Tokens, keep_tokens, read_vocabulary
from bertglue.errors import InputError
from bertglue.runs import leaderboard
from bertglue.runs import record as run_record
from bertglue.runs.schemas import RunRecord
from bertglue.tasks import TASKS
from bertglue.training import checkpoint

SETTINGS = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
IDS = st.lists(st.integers(0, 30_521), min_size=2, max_size=40)
ROWS = st.lists(st.tuples(IDS, st.integers(1, 2)), min_size=1, max_size=20)
VALUES = st.floats(allow_nan=False, allow_infinity=False) | st.text() | st.booleans()
CHANGES = st.tuples(st.integers(0, 10**6), st.sampled_from(["drop", "double", "flip", "insert"]), st.binary(max_size=4))
FILES = {  # of each layout a header and a row, as GLUE has them
    "cola": ("CoLA", "", "gj04\t1\t\tFine."),
    "sst2": ("SST-2", "sentence\tlabel", "a fine film \t1"),
    "mrpc": ("MRPC", "Quality\t#1 ID\t#2 ID\t#1 String\t#2 String", "1\t7\t8\tA\tB"),
    "qqp": ("QQP", "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate", "1\t2\t3\tA ?\tB ?\t0"),
    "rte": ("RTE", "index\tsentence1\tsentence2\tlabel", "0\tA\tB\tentailment"),
    "qnli": ("QNLI", "index\tquestion\tsentence\tlabel", "0\tA ?\tB\tnot_entailment"),
}


@SETTINGS
@given(ROWS, st.integers(1, 5))
def test_packed_rows_come_back_whole(rows, chunk):
    """Written chunk by chunk, read back, taken and padded: each row is what it was."""
    ids, second = [row for row, _ in rows], [1 + split % len(row) for row, split in rows]
    parts = [slice(start, start + chunk) for start in range(0, len(rows), chunk)]
    chunks = [(np.concatenate(ids[p]), np.array([len(row) for row in ids[p]]), np.array(second[p])) for p in parts]
    with tempfile.TemporaryDirectory() as folder:
        tokens = keep_tokens(Path(folder) / "tokens", chunks, 48)
        assert isinstance(tokens, Tokens)
        order = np.arange(len(rows))[::-1]
        taken = tokens.take(order)
        for found, expected in ((tokens, np.arange(len(rows))), (taken, order)):
            batch = found.batch(np.arange(len(rows)))
            for at, row in enumerate(expected):
                used = batch["input_mask"][at].astype(bool)
                assert batch["input_word_ids"][at][used].tolist() == ids[row]
                assert (batch["input_type_ids"][at] == 0).sum() - (~used).sum() == second[row]
                assert not batch["input_word_ids"][at][~used].any()
                assert found.width <= 48 or len(ids[row]) > 48


@SETTINGS
@given(st.lists(st.text(st.characters(exclude_characters="\n\r", exclude_categories=["Cs"]), min_size=1), min_size=1))
def test_a_vocabulary_comes_back(entries):
    with tempfile.TemporaryDirectory() as folder:
        path = write_text(Path(folder) / "vocab.txt", "\n".join(entries) + "\n")
        assert read_vocabulary(path) == entries


@SETTINGS
@given(st.dictionaries(st.text(max_size=5).filter(lambda name: name not in RunRecord.model_fields), VALUES))
def test_a_record_comes_back(record):
    with tempfile.TemporaryDirectory() as folder:
        path = write_json(Path(folder) / "record.json", {**record, "task": "rte"})
        assert run_record.read_record(path) == {**record, "task": "rte"}


@SETTINGS
@given(st.lists(st.integers(0, 5), max_size=4), st.integers(0, 2**32 - 1))
def test_a_checkpoint_comes_back(sizes, seed):
    rng = np.random.default_rng(seed)
    values = [rng.normal(size=size).astype("float32") for size in sizes]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "state.npz"
        checkpoint.save_checkpoint(path, {"of": sizes}, state=values)
        about, groups = checkpoint.load_checkpoint(path, "state")
        assert about == {"of": sizes}
        for found, expected in zip(groups["state"], values, strict=True):
            np.testing.assert_array_equal(found, expected)


@SETTINGS
@given(st.sampled_from(["cola", "mnli", "rte", "stsb"]), st.integers(1, 30), st.integers(0, 2**32 - 1))
def test_answers_to_any_logits_fit_the_leaderboard(name, rows, seed):
    task = TASKS[name]
    logits = np.random.default_rng(seed).normal(0, 5, (rows, task.outputs))
    leaderboard.check_predictions("here", task, leaderboard.format_predictions(task, logits), rows)


# ---------------------------------------------------------------- anything in a folder


def right_file(task: str, rows: int) -> bytes:
    _, header, row = FILES[task]
    return "\n".join([header, *[row] * rows, ""]).lstrip("\n").encode()


def read_folder(task: str, content: bytes, split: str = "train"):
    """Load a folder whose files are right but for one."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / FILES[task][0]
        place.mkdir()
        for file in ("train", "dev"):
            (place / f"{file}.tsv").write_bytes(content if file == split else right_file(task, 2))
        return load_data(TASKS[task], "folder", glue_dir=folder)


def read_or_refuse(read, *arguments) -> None:
    """Read; an InputError of one line is as good, and nothing else is."""
    said = ""
    try:
        read(*arguments)
    except InputError as error:
        said = str(error)
    assert len(said.splitlines()) <= 1


def changed(content: bytes, changes) -> bytes:
    content = bytearray(content)
    for place, kind, new in changes:
        at = place % max(1, len(content))
        if kind == "drop":
            del content[at : at + 3]
        elif kind == "double":
            content[at:at] = content[at : at + 20]
        elif kind == "flip" and content:
            content[at] ^= 1 << (place % 8)
        else:
            content[at:at] = new
    return bytes(content)


@pytest.mark.parametrize("task", FILES)
def test_the_files_that_are_made_worse_below_are_right(task):
    assert len(read_folder(task, right_file(task, 3))["train"]) == 3


@settings(SETTINGS, max_examples=150)
@given(st.sampled_from(sorted(FILES)), st.binary(max_size=300), st.sampled_from(["train", "dev"]))
def test_a_file_of_anything_loads_or_is_an_input_error(task, content, split):
    read_or_refuse(read_folder, task, content, split)


@settings(SETTINGS, max_examples=300)
@given(st.sampled_from(sorted(FILES)), st.lists(CHANGES, min_size=1, max_size=6))
def test_a_file_with_some_bytes_changed_loads_or_is_an_input_error(task, changes):
    read_or_refuse(read_folder, task, changed(right_file(task, 3), changes))


@settings(SETTINGS, max_examples=200)
@given(st.lists(CHANGES, min_size=1, max_size=3))
def test_an_archive_with_some_bytes_changed_is_read_or_refused(changes):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "resume.npz"
        checkpoint.save_checkpoint(path, {"of": 1}, state=[np.arange(30.0)])
        path.write_bytes(changed(path.read_bytes(), changes))
        read_or_refuse(checkpoint.load_checkpoint, path, "state")
        read_or_refuse(run_record.read_arrays, path)


@SETTINGS
@given(st.binary(max_size=200))
def test_anything_in_place_of_what_a_run_left_is_an_input_error(content):
    with tempfile.TemporaryDirectory() as folder:
        for name, read in (
            ("record.json", run_record.read_record),
            ("logits.npz", run_record.read_arrays),
            ("resume.npz", lambda path: checkpoint.load_checkpoint(path, "state")),
        ):
            path = Path(folder) / name
            path.write_bytes(content)
            with pytest.raises(InputError, match=name):
                read(path)

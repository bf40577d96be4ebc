"""The folder source: GLUE's real files, and files with defects."""

import pytest

from bertglue.data.load_data import load_data
from bertglue.errors import InputError
from bertglue.tasks import TASKS

MRPC_HEADER = "Quality\t#1 ID\t#2 ID\t#1 String\t#2 String\n"
ROW = '1\t7\t8\tHe said "no".\tHe said no.\n'


@pytest.fixture
def mrpc(tmp_path):
    """A small MRPC folder, and a function that writes one of its files anew."""
    folder = tmp_path / "MRPC"
    folder.mkdir()

    def write(name, content):
        data = content if isinstance(content, bytes) else content.encode("utf-8-sig")
        (folder / f"{name}.tsv").write_bytes(data)

    for name in ("train", "dev"):
        write(name, MRPC_HEADER + ROW + ROW.replace("1\t", "0\t", 1))
    return write


def load(tmp_path, task="mrpc"):
    return load_data(TASKS[task], "folder", glue_dir=str(tmp_path))


def test_quotes_are_text_and_the_byte_order_mark_is_not(tmp_path, mrpc):
    data = load(tmp_path)
    assert data["train"].columns["sentence1"][0] == 'He said "no".'
    assert data["train"].labels.tolist() == [1, 0]
    assert "test" not in data.splits


def test_test_labels_are_minus_one(tmp_path, mrpc):
    mrpc("test", "index\t#1 ID\t#2 ID\t#1 String\t#2 String\n0\t7\t8\tA\tB\n")
    assert load(tmp_path)["test"].labels.tolist() == [-1]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("train", MRPC_HEADER + ROW + "1\t7\t8\tonly one\n", r"train.tsv, row 3: 4 fields, 5 needed"),
        ("train", MRPC_HEADER + ROW.replace("1\t", "yes\t", 1), r"train.tsv, row 2: unknown label 'yes'"),
        ("train", MRPC_HEADER.replace("#2 String", "B") + ROW, r"train.tsv has no column '#2 String'"),
        ("train", (MRPC_HEADER + ROW).encode() + b"1\t7\t8\t\xe9t\xe9\tsummer\n", r"row 3: not UTF-8"),
        ("train", MRPC_HEADER, r"train.tsv holds no examples"),
        ("train", b"", r"train.tsv has no column"),
        (
            "dev",
            MRPC_HEADER + ROW.replace("1\t", "\t", 1),
            r"validation lacks 1 of 1 labels, the first in row 1",
        ),
    ],
    ids=[
        "short row",
        "unknown label",
        "missing column",
        "not UTF-8",
        "empty split",
        "empty file",
        "no label",
    ],
)
def test_a_defect_is_named(tmp_path, mrpc, name, content, message):
    mrpc(name, content)
    with pytest.raises(InputError, match=message):
        load(tmp_path)


def test_missing_folder_and_file(tmp_path, mrpc):
    with pytest.raises(InputError, match="there is no such folder"):
        load(tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"CoLA.train.tsv is missing"):
        load(tmp_path, "cola")


def test_broken_rows_of_qqp_are_dropped_as_tfds_drops_them(tmp_path):
    (tmp_path / "QQP").mkdir()
    for name in ("train", "dev"):
        text = "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate\n0\t1\t2\tWhy?\tHow?\t0\n1\t1\t2\tcut off\n"
        (tmp_path / "QQP" / f"{name}.tsv").write_text(text)
    assert load(tmp_path, "qqp").examples == {"train": 1, "validation": 1}


def test_score_outside_the_scale(tmp_path):
    (tmp_path / "STS-B").mkdir()
    for name in ("train", "dev"):
        (tmp_path / "STS-B" / f"{name}.tsv").write_text("sentence1\tsentence2\tscore\na\tb\t5.5\n")
    with pytest.raises(InputError, match=r"row 2: score '5.5' is not a number from 0 to 5"):
        load(tmp_path, "stsb")


@pytest.mark.parametrize(
    ("task", "examples"),
    [
        ("cola", {"train": 8551, "validation": 1043, "test": 1063}),
        ("mrpc", {"train": 3668, "validation": 408, "test": 1725}),
        ("sst2", {"train": 67349, "validation": 872, "test": 1821}),
        ("stsb", {"train": 5749, "validation": 1500, "test": 1379}),
        ("rte", {"train": 2490, "validation": 277, "test": 3000}),
        ("wnli", {"train": 635, "validation": 71, "test": 146}),
    ],
)
def test_real_files_have_the_official_counts(glue_dir, task, examples):
    assert load_data(TASKS[task], "folder", glue_dir=str(glue_dir)).examples == examples


@pytest.mark.parametrize("task", ["mnli", "qnli", "qqp"])
def test_real_files_of_the_other_tasks_load(glue_dir, task):
    data = load_data(TASKS[task], "folder", glue_dir=str(glue_dir))
    assert all(data[name].labelled for name in ("train", *TASKS[task].validation))

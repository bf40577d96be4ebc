"""The huggingface source: GLUE as parquet equals GLUE's own files, and files with defects are one line."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bertglue.data import glue_parquet
from bertglue.data.load_data import load_data
from bertglue.errors import InputError
from bertglue.tasks import AX, TASKS


def write(folder, config, split, columns, labels, *, names=(), idx=None, part="00000-of-00001"):
    table = pa.table({**columns, "label": labels, **({} if idx is None else {"idx": idx})})
    if names:
        features = {"label": {"names": list(names), "_type": "ClassLabel"}}
        table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    path = folder / config / f"{split}-{part}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path)
    return path


def write_task(folder, data):
    """Write the splits of loaded data as the hub has them."""
    for name, split in data.splits.items():
        columns = {column: list(texts) for column, texts in split.columns.items()}
        config, part = (AX.name, "test") if name == "ax" else (data.task.name, name)
        labels = split.labels.astype("float32" if data.task.regression else "int64")
        write(folder, config, part, columns, labels, names=data.task.labels, idx=np.arange(len(split)))


@pytest.mark.parametrize("name", TASKS)
def test_real_glue_is_the_same_from_parquet_and_from_its_own_files(name, tmp_path, glue_dir):
    own = load_data(TASKS[name], "folder", glue_dir=str(glue_dir))
    write_task(tmp_path, own)
    for source in ("huggingface", "folder"):  # a folder of parquet is told by its files
        found = load_data(TASKS[name], source, glue_dir=str(tmp_path))
        assert set(found.splits) == set(own.splits)
        for split, rows in own.splits.items():
            assert found[split].fingerprint() == rows.fingerprint()
            if split != "ax":  # the hub's has no labels
                assert np.array_equal(found[split].labels, rows.labels)


@pytest.fixture
def mrpc(tmp_path):
    pair = {"sentence1": ["a", "b"], "sentence2": ["c", "d"]}
    for split in ("train", "validation"):
        write(tmp_path, "mrpc", split, pair, [1, 0])
    return tmp_path


def load(folder, task="mrpc"):
    return load_data(TASKS[task], "huggingface", glue_dir=str(folder))


def test_rows_are_in_the_order_of_their_numbers_over_all_files(mrpc):
    for part, idx in (("00000-of-00002", [3, 1]), ("00001-of-00002", [0, 2])):
        texts = {column: [f"{column} {at}" for at in idx] for column in ("sentence1", "sentence2")}
        write(mrpc, "mrpc", "test", texts, [-1, -1], idx=idx, part=part)
    found = load(mrpc)["test"]
    assert list(found.columns["sentence1"]) == [f"sentence1 {at}" for at in range(4)]
    assert found.labels.tolist() == [-1] * 4


def test_labels_in_another_order_are_put_in_ours(mrpc):
    write(
        mrpc,
        "mrpc",
        "train",
        {"sentence1": ["a", "b"], "sentence2": ["c", "d"]},
        [1, 0],
        names=("equivalent", "not_equivalent"),
    )
    assert load(mrpc)["train"].labels.tolist() == [0, 1]


@pytest.mark.parametrize(
    ("columns", "labels", "names", "message"),
    [
        ({"sentence1": ["a"]}, [1], (), r"has no column 'sentence2'; it has sentence1, label"),
        ({"sentence1": ["a", None], "sentence2": ["b", "c"]}, [1, 1], (), r"row 2: a text is None; give a string"),
        ({"sentence1": ["a"], "sentence2": ["b"]}, [2], (), r"row 1: unknown label 2; MRPC has 0 to 1"),
        ({"sentence1": ["a"], "sentence2": ["b"]}, [0.5], (), r"row 1: unknown label 0.5"),
        ({"sentence1": ["a"], "sentence2": ["b"]}, [1], ("yes", "no"), r"has the labels yes, no, and MRPC has not_eq"),
        ({"sentence1": [1], "sentence2": ["b"]}, [1], (), r"row 1: a text is 1"),
        ({"sentence1": ["a"], "sentence2": ["b"]}, [-1], (), r"lacks 1 of 1 labels, the first in row 1"),
    ],
)
def test_a_defect_is_one_line_with_file_and_row(mrpc, columns, labels, names, message):
    write(mrpc, "mrpc", "train", columns, labels, names=names)
    with pytest.raises(InputError, match=message):
        load(mrpc)


def test_a_damaged_or_missing_file_is_one_line(mrpc):
    path = mrpc / "mrpc/train-00000-of-00001.parquet"
    content = path.read_bytes()
    for damaged in (b"", content[:40], content[:-20], b"PAR1" + content[4:-4][::-1] + b"PAR1"):
        path.write_bytes(damaged)
        with pytest.raises(InputError, match="cannot be read as parquet"):
            load(mrpc)
    path.unlink()
    with pytest.raises(InputError, match=r"has no train-\*.parquet; bring the folder as the hub has it"):
        load(mrpc)


def test_without_a_folder_the_hub_is_asked_for_the_task_alone(mrpc, monkeypatch):
    asked = []

    def download(repository, repo_type, allow_patterns):
        asked.append((repository, repo_type, allow_patterns))
        return str(mrpc)

    monkeypatch.setattr("huggingface_hub.snapshot_download", download)
    assert load_data(TASKS["mrpc"], "huggingface").examples == {"train": 2, "validation": 2}
    assert asked == [("nyu-mll/glue", "dataset", ["mrpc/*.parquet"])]


def test_a_hub_that_does_not_answer_is_one_line(monkeypatch):
    def download(*_, **__):
        raise ConnectionError("no route\nto host")

    monkeypatch.setattr("huggingface_hub.snapshot_download", download)
    with pytest.raises(
        InputError, match=r"could not be fetched .*ConnectionError: no route to host.*; go online once, or"
    ):
        glue_parquet.prepare(TASKS["rte"])

"""Run records, their pages, and the sources of the book."""

import json
from types import SimpleNamespace

import nbformat
import numpy as np
import pytest
import yaml
from bertglue import book, environment, records, report, results
from bertglue.epochs import Training
from bertglue.errors import InputError
from bertglue.parameters import Parameters
from bertglue.sources.data import Data, Split
from bertglue.strategy import Strategy
from bertglue.tasks import TASKS


@pytest.fixture
def record():
    """The record of an MNLI run whose matched predictions are right three times in four."""
    labels = np.array([0, 1, 2, 0], "int32")
    logits = np.eye(3, dtype="float32")[[0, 1, 2, 1]] * 3
    task = TASKS["mnli"]
    columns = dict.fromkeys(task.columns, ["<b>", "a", "b", "c"])
    names = ("train", *task.validation, "test_matched", "ax")
    splits = {name: Split(columns, labels if "test" not in name else labels * 0 - 1) for name in names}
    data = Data(task, "embedded", splits)
    scores = records.evaluate(data, dict.fromkeys(names[1:], logits))
    history = [{"epoch": 1, **{n: {"loss": 0.5, "accuracy": 0.75} for n in ("train", *task.validation)}}]
    training = Training(history=history, seconds=[2.0], evaluate_seconds=0.5, kept=1)
    strategy = Strategy("tensorflow", "CPU", 2)
    parameters = Parameters(task="mnli")
    tokens = SimpleNamespace(seconds=0.25)
    return records.build_record(parameters, data, tokens, training, scores, strategy)


def test_record_has_the_contracted_keys(record):
    contract = (
        "task source encoder backend seed learning_rate epochs batch_size max_length examples metrics baseline "
        "history timing environment"
    )
    assert set(contract.split()) <= set(record)
    assert record["metrics"]["validation_matched"] == {"accuracy": 0.75}
    assert record["baseline"]["validation_matched"] == {"accuracy": 0.5}
    assert set(record["metrics"]["ax"]) == {"matthews"}
    assert "test_matched" not in record["metrics"]
    assert record["timing"]["steady_epoch"] == 2.0
    assert (record["environment"]["device"], record["environment"]["devices"]) == ("CPU", 2)


def test_record_survives_the_disk(record, tmp_path):
    path = records.write_record(tmp_path / "run", record, {"validation": np.zeros((2, 2))})
    target = records.collect([path], tmp_path / "results.json")
    assert json.loads(target.read_text()) == [json.loads(json.dumps(record))]
    assert {file.name for file in path.parent.iterdir()} == {"record.json", "logits.npz"}


def test_a_broken_record_is_named(tmp_path):
    (tmp_path / "record.json").write_text('{"task": ')
    with pytest.raises(InputError, match=r"record.json is no run record"):
        records.collect([tmp_path / "record.json"], tmp_path / "results.json")
    assert not (tmp_path / "results.json").exists()


def test_pages_show_what_the_records_hold(record):
    runs = {"mnli": record}
    assert "75.0 (84.1)" in results.table_1(runs).data
    record["history"][-1]["validation_matched"]["accuracy"] = 0.5
    assert "50.0 (84.1)" in results.table_1(runs).data
    assert "not run (82.4)" in results.table_1(runs).data
    assert "0.750" in results.scores(runs).data
    assert "not run" in results.status(runs).data
    assert "2.0" in results.table_2(runs).data
    assert "not GLUE" in results.banner(runs).data
    results.scores_figure(runs)


def test_the_book_shows_the_first_of_several_runs(record, tmp_path):
    path = records.write_json(tmp_path / "results.json", [record, {**record, "seed": 1}])
    assert results.load(path)["mnli"]["seed"] == 0


def test_every_published_column_of_table_1_has_a_place():
    assert set(results.published()["report"]["table_1"]) - {"rows"} == set(results.COLUMNS)


def test_text_of_a_data_set_is_text_on_the_page():
    task = TASKS["sst2"]
    split = Split({"sentence": ["<script>alert(1)</script> & so on"]}, np.array([1]))
    shown = report.examples(Data(task, "folder", {"train": split})).data
    assert "<script>" not in shown
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; so on" in shown


def test_predictions_that_differ_are_an_error():
    with pytest.raises(AssertionError, match="logits differ by 0.5"):
        report.same_predictions(np.zeros((1, 2)), np.array([[0, 0.5]]))


def test_peak_memory_is_in_megabytes():
    assert 20 < environment.peak_memory_mb() < 20_000


def test_the_book_holds_what_was_run(tmp_path, monkeypatch):
    run = tmp_path / "runs/embedded/rte/lr0.001-seed0/finetune.ipynb"
    page = tmp_path / "runs/embedded/pages/results.ipynb"
    for path in (run, page):
        path.parent.mkdir(parents=True)
        title = nbformat.v4.new_markdown_cell("# A title\n\ntext")
        nbformat.write(nbformat.v4.new_notebook(cells=[title]), path)
    source = tmp_path / "source"
    book.assemble(source, "embedded", [run, page])
    toc = yaml.safe_load((source / "_toc.yml").read_text())
    chapters = [chapter["file"] for part in toc["parts"] for chapter in part["chapters"]]
    assert chapters == ["pages/results", "tasks/rte", "references"]
    assert nbformat.read(source / "tasks/rte.ipynb", as_version=4).cells[0].source == "# RTE\n\ntext"
    assert "not GLUE" in yaml.safe_load((source / "_config.yml").read_text())["html"]["announcement"]

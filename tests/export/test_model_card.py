"""The model card: what the record says, on one page, and nothing in a record that a page would run."""

import copy

import pytest
import yaml
from made_runs import write_run

from bertglue import Parameters
from bertglue.export.model_card import CARD_KEYS, render_model_card


@pytest.fixture(scope="module")
def record(tmp_path_factory):
    return write_run(tmp_path_factory.mktemp("run"), Parameters(task="mrpc", source="folder"))


def header_and_text(card):
    _, header, text = card.split("---\n", 2)
    return yaml.safe_load(header), text


def test_scores_have_an_interval_and_a_baseline(record):
    header, text = header_and_text(render_model_card(record, "huggingface"))
    for metric, value in record["metrics"]["validation"].items():
        low, high = record["interval"]["validation"][metric]
        base = record["baseline"]["validation"][metric]
        assert f"| {value:.3f} | {low:.3f} to {high:.3f} | {base:.3f} |" in text
    values = {m["type"]: m["value"] for m in header["model-index"][0]["results"][0]["metrics"]}
    assert header["library_name"] == "transformers"
    assert values["f1"] == round(record["metrics"]["validation"]["f1"], 4)
    assert f"{record['examples']['train']:,} rows of train" in text
    assert "- `learning_rate`: `0.0003`" in text
    assert "glue_dir" not in text


@pytest.mark.parametrize(
    ("kind", "converted"),
    [("savedmodel", False), ("huggingface", False), ("onnx", False), ("float32", False), ("float16", True),
     ("int8 dynamic", True), ("onnx-int8", True), ("keras-bfloat16", True)],
)  # fmt: skip
def test_a_file_with_converted_weights_was_not_scored(record, kind, converted):
    header, text = header_and_text(render_model_card(record, kind))
    assert ("before its weights were converted; this file was not scored" in text) is converted
    assert ("model-index" in header) is not converted


@pytest.mark.parametrize("kind", ["savedmodel", "huggingface", "int8 dynamic", "onnx-int8", "keras-int8"])
@pytest.mark.parametrize("task", ["mrpc", "stsb"])
def test_it_is_worded_by_the_kind_of_label_and_shows_how_to_load_it(record, tmp_path, task, kind):
    found = record if task == "mrpc" else write_run(tmp_path, Parameters(task=task, source="folder"))
    _, text = header_and_text(render_model_card(found, kind))
    words = ("classifier", "most frequent label", "probability near one")
    assert [word in text for word in words] == [task == "mrpc"] * 3
    use = text.partition("## Use")[2].partition("## Scores")[0]
    loaded = {
        "savedmodel": 'tf.saved_model.load(".")\nmodel.serve(tf.constant(["a text"]), tf.constant(["another text"]))',
        "huggingface": 'model({"text": "a text", "text_pair": "another text"})',
        "int8 dynamic": 'ai-edge-litert tokenizers numpy\npython example.py "a text" "another text"',
        "onnx-int8": 'onnxruntime tokenizers numpy\npython example.py "a text" "another text"',
        "keras-int8": "bertglue predict . rows.tsv  # two texts a line",
    }
    assert loaded[kind] in use
    assert ("label" in use) is (task == "mrpc")
    assert ("score" in use) is (task == "stsb" or kind == "huggingface")


def test_data_of_ones_own_have_no_language_that_is_known(record):
    own = {
        "title": "mine",
        "columns": ["text"],
        "labels": ["a", "b"],
        "metrics": ["f1"],
        "validation": ["validation"],
        "test": [],
    }
    header, text = header_and_text(
        render_model_card(record | {"task": "mine", "own_task": own, "source": "own"}, "savedmodel")
    )
    assert "language" not in header
    assert 'model.serve(tf.constant(["a text"]))' in text


def test_a_toys_scores_are_none_of_glue(record):
    header, text = header_and_text(render_model_card(record | {"source": "toy"}, "savedmodel"))
    assert "they are not GLUE" in text
    assert "model-index" not in header
    assert "library_name" not in header  # what reads a SavedModel is not transformers
    assert "datasets" not in header


def test_what_a_record_says_is_shown_as_it_is(record):
    hostile = copy.deepcopy(record) | {"encoder": "x`\n---\n<script>alert(1)</script> | y"}
    card = render_model_card(hostile, "huggingface")
    assert card.count("\n---\n") == 1
    assert "`x'�---�<script>alert(1)</script> ¦ y`" in card


def test_it_needs_no_other_keys(record):
    render_model_card({"task": "mrpc", **{key: record[key] for key in CARD_KEYS}}, "float32")

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

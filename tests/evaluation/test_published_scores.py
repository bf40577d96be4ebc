"""The facts that others printed, and the intervals that follow from them."""

import numpy as np
import pytest
import yaml
from paths import SHARED

from bertglue.data.load_data import load_data
from bertglue.evaluation import metrics
from bertglue.evaluation.published_scores import (
    PAPER,
    PUBLISHED_NAMES,
    REFERENCE_IMPLEMENTATIONS,
    REPORT,
    TABLE_1_COLUMNS,
    f1_interval,
    find_published_score,
    published_interval,
    published_numbers,
    published_scores,
)
from bertglue.tasks import TASKS

PUBLISHED = SHARED / "published.yaml"


def test_the_facts_are_those_that_were_given():
    if not PUBLISHED.exists():
        pytest.skip("no published.yaml beside the checkout")
    given, ours = yaml.safe_load(PUBLISHED.read_text()), published_numbers()
    assert [{k: v for k, v in d.items() if k != "id"} for d in ours["known_defects"]] == given["known_defects"]
    added = {"known_defects", "dev_positives", "encoders_dev", "bert_paper_appendix"}
    assert {k: v for k, v in ours.items() if k not in added} == {k: v for k, v in given.items() if k != "known_defects"}


def test_the_shares_of_positives_are_those_of_the_rows(glue_dir):
    labels = load_data(TASKS["mrpc"], "folder", glue_dir=str(glue_dir))["validation"].labels
    assert published_numbers()["dev_positives"]["MRPC"] == pytest.approx(labels.mean(), abs=5e-5)
    share = published_numbers()["dev_positives"]["QQP"]
    assert 2 * share / (1 + share) == pytest.approx(0.538, abs=5e-4), "the F1 of always predicting the positive class"


def test_every_printed_score_is_there():
    of = {
        who: {(one.name, one.metric): one for one in published_scores() if one.who == who}
        for who in (REPORT, PAPER, *REFERENCE_IMPLEMENTATIONS)
    }
    assert set(published_numbers()["report"]["table_1"]) - {"rows"} == set(TABLE_1_COLUMNS)
    assert {name for name, _ in of[REPORT]} == set(TABLE_1_COLUMNS)
    assert {name for name, _ in of[PAPER]} == set(published_numbers()["bert_paper_test"])
    assert all(
        len(of[who]) == len(published_numbers()["reference_dev"][key]) for who, key in REFERENCE_IMPLEMENTATIONS.items()
    )
    assert find_published_score("Hugging Face", "STS-B", "spearman").value == 0.8848
    assert find_published_score(PAPER, "MRPC", "f1").examples == 1725
    assert find_published_score(REPORT, "RTE", "accuracy").examples == 277
    assert {one.split for one in published_scores() if one.who == PAPER} == {"test"}
    assert set(PUBLISHED_NAMES) == {(t.name, s) for t in TASKS.values() for s in t.validation} | {("mnli", "ax")}


def test_intervals_hold_the_score_where_they_can_be_had():
    for one in published_scores():
        bounds = published_interval(one)
        if bounds:
            assert bounds[0] < one.value < bounds[1]
    without = {(one.who, one.name) for one in published_scores() if published_interval(one) is None}
    assert without == {
        (REPORT, "MRPC"), (REPORT, "QQP"), (PAPER, "CoLA"), (PAPER, "MRPC"), (PAPER, "QQP"),
        ("Hugging Face", "CoLA"), ("ClaF", "CoLA"),
    }  # fmt: skip
    low, high = published_interval(find_published_score(REPORT, "RTE", "accuracy"))
    assert (low, high) == pytest.approx((0.577, 0.690), abs=5e-4)


def test_an_f1_interval_is_that_of_the_answers_behind_it():
    rng = np.random.default_rng(0)
    labels = (rng.random(400) < 0.68).astype(int)
    predictions = np.where(rng.random(400) < 0.85, labels, 1 - labels)
    task = TASKS["mrpc"]
    scores, bounds = metrics.scores(task, labels, predictions), metrics.intervals(task, labels, predictions)["f1"]
    assert f1_interval(scores["f1"], scores["accuracy"], 400) == pytest.approx(bounds, abs=0.01)


def test_every_published_score_with_its_rows_and_its_interval(file_regression):
    """Held to its text: who printed what, of which split, over how many rows, and how far off it may be."""
    lines = []
    for one in published_scores():
        bounds = published_interval(one)
        width = "" if bounds is None else f"{bounds[0]:.4f} to {bounds[1]:.4f}"
        lines.append(
            f"{one.who} | {one.split} | {one.name} | {one.metric} | {one.value:.4f} | {one.examples} | {width}"
        )
    file_regression.check("\n".join(line.rstrip() for line in lines) + "\n")


def test_a_published_score_is_found_by_all_three_of_its_names():
    assert all(find_published_score(one.who, one.name, one.metric) is one for one in published_scores())
    assert find_published_score(REPORT, "CoLA", "matthews") is None
    assert find_published_score(PAPER, "WNLI", "accuracy") is None


def test_the_interval_of_a_correlation_is_fishers():
    one = find_published_score("Hugging Face", "STS-B", "pearson")
    half = 1.959963984540054 / np.sqrt(1500 - 3)
    expected = [np.tanh(np.arctanh(0.8864) + side * half) for side in (-1, 1)]
    assert published_interval(one) == pytest.approx(expected)
    spearman = find_published_score("Hugging Face", "STS-B", "spearman")
    half = 1.959963984540054 * np.sqrt(1.06 / (1500 - 3))  # Bonett and Wright's factor
    expected = [np.tanh(np.arctanh(0.8848) + side * half) for side in (-1, 1)]
    assert published_interval(spearman) == pytest.approx(expected)

"""The facts that others printed, and the intervals that follow from them."""

import numpy as np
import pytest
import yaml
from paths import SHARED

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
    assert {k: v for k, v in ours.items() if k != "known_defects"} == {
        k: v for k, v in given.items() if k != "known_defects"
    }


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

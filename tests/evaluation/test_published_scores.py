"""The facts that others printed, and the intervals that follow from them."""

import numpy as np
import pytest
import yaml
from paths import SHARED

from bertglue.evaluation import metrics
from bertglue.evaluation.published_scores import (
    COLUMNS,
    PAPER,
    PEERS,
    PLACES,
    REPORT,
    f1_interval,
    interval,
    printed,
    published,
    score,
)
from bertglue.tasks import TASKS

PUBLISHED = SHARED / "published.yaml"


def test_the_facts_are_those_that_were_given():
    if not PUBLISHED.exists():
        pytest.skip("no published.yaml beside the checkout")
    given, ours = yaml.safe_load(PUBLISHED.read_text()), published()
    assert [{k: v for k, v in d.items() if k != "id"} for d in ours["known_defects"]] == given["known_defects"]
    assert {k: v for k, v in ours.items() if k != "known_defects"} == {
        k: v for k, v in given.items() if k != "known_defects"
    }


def test_every_printed_score_is_there():
    of = {who: {(one.name, one.metric): one for one in printed() if one.who == who} for who in (REPORT, PAPER, *PEERS)}
    assert set(published()["report"]["table_1"]) - {"rows"} == set(COLUMNS)
    assert {name for name, _ in of[REPORT]} == set(COLUMNS)
    assert {name for name, _ in of[PAPER]} == set(published()["bert_paper_test"])
    assert all(len(of[who]) == len(published()["reference_dev"][key]) for who, key in PEERS.items())
    assert score("Hugging Face", "STS-B", "spearman").value == 0.8848
    assert score(PAPER, "MRPC", "f1").examples == 1725
    assert score(REPORT, "RTE", "accuracy").examples == 277
    assert {one.split for one in printed() if one.who == PAPER} == {"test"}
    assert set(PLACES) == {(t.name, s) for t in TASKS.values() for s in t.validation} | {("mnli", "ax")}


def test_intervals_hold_the_score_where_they_can_be_had():
    for one in printed():
        bounds = interval(one)
        if bounds:
            assert bounds[0] < one.value < bounds[1]
    without = {(one.who, one.name) for one in printed() if interval(one) is None}
    assert without == {
        (REPORT, "MRPC"), (REPORT, "QQP"), (PAPER, "CoLA"), (PAPER, "MRPC"), (PAPER, "QQP"),
        ("Hugging Face", "CoLA"), ("ClaF", "CoLA"),
    }  # fmt: skip
    low, high = interval(score(REPORT, "RTE", "accuracy"))
    assert (low, high) == pytest.approx((0.577, 0.690), abs=5e-4)


def test_an_f1_interval_is_that_of_the_answers_behind_it():
    rng = np.random.default_rng(0)
    labels = (rng.random(400) < 0.68).astype(int)
    predictions = np.where(rng.random(400) < 0.85, labels, 1 - labels)
    task = TASKS["mrpc"]
    scores, bounds = metrics.scores(task, labels, predictions), metrics.intervals(task, labels, predictions)["f1"]
    assert f1_interval(scores["f1"], scores["accuracy"], 400) == pytest.approx(bounds, abs=0.01)

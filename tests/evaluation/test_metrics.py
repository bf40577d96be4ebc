"""Metrics over a whole split, their baselines and intervals."""

import numpy as np
import pytest
from sklearn import metrics as sk

from bertglue.evaluation import metrics
from bertglue.tasks import TASKS


def test_baseline_of_always_positive_mrpc():
    labels = np.array([1] * 279 + [0] * 129)  # the balance of MRPC's development set
    found = metrics.baseline(TASKS["mrpc"], np.array([1, 1, 0]), labels)
    assert found["f1"] == pytest.approx(0.812, abs=5e-4)
    assert found["accuracy"] == pytest.approx(279 / 408)


def test_baseline_of_a_correlation_is_zero():
    assert metrics.baseline(TASKS["cola"], np.array([1, 1, 0]), np.array([1, 0, 1]))["matthews"] == 0
    scores = metrics.baseline(TASKS["stsb"], np.array([1.0, 2.0]), np.array([0.0, 5.0, 1.0]))
    assert scores == {"pearson": 0.0, "spearman": 0.0}


def test_loss_is_the_mean_over_rows():
    logits = np.log(np.array([[0.25, 0.75], [0.5, 0.5]], "float32"))
    expected = -(np.log(0.75) + np.log(0.5)) / 2
    assert metrics.loss(TASKS["sst2"], np.array([1, 0]), logits) == pytest.approx(expected, abs=1e-6)
    assert metrics.loss(TASKS["stsb"], np.array([1.0, 2.0]), np.array([[1.0], [4.0]])) == 2


def test_a_perfect_score_has_an_interval_all_the_same():
    labels = np.array([0, 1] * 50)
    low, high = metrics.intervals(TASKS["sst2"], labels, labels)["accuracy"]
    assert (low, high) == (pytest.approx(100 / (100 + 1.959964**2)), 1)  # Wilson (1927)


def test_each_metric_has_its_interval_and_the_score_lies_in_it():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 400)
    predictions = np.where(rng.random(400) < 0.8, labels, 1 - labels)
    scores, found = (f(TASKS["mrpc"], labels, predictions) for f in (metrics.scores, metrics.intervals))
    assert list(found) == ["f1", "accuracy"]
    for name, (low, high) in found.items():
        assert low < scores[name] < high
        assert 0.05 < high - low < 0.12


@pytest.mark.parametrize("name", ["cola", "mrpc"])
def test_counts_resampled_are_rows_resampled(name):
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 2, 300)
    predictions = np.where(rng.random(300) < 0.7, labels, 1 - labels)
    metric = TASKS[name].metrics[0]
    spread = [
        np.percentile(resample([metric], labels, predictions, np.random.default_rng(0))[:, 0], (2.5, 97.5))
        for resample in (metrics.resample_rows, metrics.resample_counts)
    ]
    np.testing.assert_allclose(*spread, atol=0.015)
    assert metrics.intervals(TASKS[name], labels, predictions)[metric] == pytest.approx(tuple(spread[1]))


@pytest.mark.parametrize("outputs", [2, 3])
@pytest.mark.parametrize("given", ["anything", "one label"])
def test_metrics_of_counts_are_those_of_rows(outputs, given):
    rng = np.random.default_rng(2)
    rows = [(rng.integers(0, outputs, 50), rng.integers(0, outputs if given == "anything" else 1, 50)) for _ in "abc"]
    matrices = np.array([sk.confusion_matrix(*row, labels=range(outputs)) for row in rows])
    for name in ("matthews", "accuracy", "f1")[: 3 if outputs == 2 else 2]:
        expected = [metrics.METRIC_FUNCTIONS[name](*row) for row in rows]
        np.testing.assert_allclose(metrics.CONFUSION_METRICS[name](matrices), expected, atol=1e-12)


@pytest.mark.parametrize("label", [0, 1])
def test_rows_of_one_label_have_an_interval(label):
    labels = np.full(20, label)
    assert metrics.intervals(TASKS["mrpc"], labels, labels)["f1"] == (label, label)
    assert metrics.intervals(TASKS["cola"], labels, labels)["matthews"] == (0, 0)


def test_interval_has_the_width_of_the_binomial():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 872)
    predictions = np.where(rng.random(872) < 0.9, labels, 1 - labels)
    low, high = metrics.intervals(TASKS["sst2"], labels, predictions)["accuracy"]
    score = (labels == predictions).mean()
    assert low < score < high
    assert (high - low) / 2 == pytest.approx(1.96 * np.sqrt(score * (1 - score) / 872), rel=0.15)

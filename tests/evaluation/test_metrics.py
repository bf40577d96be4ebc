"""Metrics over a whole split, their baselines and intervals."""

import numpy as np
import pytest
from scipy import stats
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
    for name in ("matthews", "accuracy", "macro_f1", "f1")[: 4 if outputs == 2 else 3]:
        expected = [metrics.METRIC_FUNCTIONS[name](*row) for row in rows]
        np.testing.assert_allclose(metrics.CONFUSION_METRICS[name](matrices), expected, atol=1e-12)


def test_macro_f1_of_six_rows_that_a_person_can_count():
    found = metrics.METRIC_FUNCTIONS["macro_f1"]([0, 0, 0, 1, 1, 2], [0, 0, 1, 1, 1, 0])
    assert found == pytest.approx((4 / 6 + 4 / 5 + 0) / 3)  # micro 0.667, weighted 0.6


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


# ---------------------------------------------------------------- each metric, by another hand


def test_metrics_of_five_rows_that_a_person_can_count():
    """Two hits, one miss, one false alarm, one row rightly left alone."""
    labels, predictions = np.array([1, 1, 1, 0, 0]), np.array([1, 1, 0, 1, 0])
    assert metrics.scores(TASKS["mrpc"], labels, predictions) == pytest.approx({"f1": 4 / 6, "accuracy": 3 / 5})
    assert metrics.scores(TASKS["cola"], labels, predictions) == pytest.approx({"matthews": 1 / 6, "accuracy": 3 / 5})


def test_f1_is_of_the_second_label():
    labels, predictions = np.array([0, 0, 0, 1]), np.array([0, 0, 0, 0])
    assert metrics.scores(TASKS["qqp"], labels, predictions) == {"f1": 0, "accuracy": 0.75}


def test_the_two_correlations_differ_where_the_scale_is_bent():
    labels = np.array([0.0, 1.0, 2.0, 3.0, 5.0])
    found = metrics.scores(TASKS["stsb"], labels, np.exp(labels))
    assert found["spearman"] == pytest.approx(1)
    assert found["pearson"] == pytest.approx(np.corrcoef(labels, np.exp(labels))[0, 1])
    assert found["pearson"] < 0.9
    assert list(found) == ["pearson", "spearman"]


@pytest.mark.parametrize("name", TASKS)
def test_metrics_are_those_of_scikit_learn_and_scipy(name):
    task, rng = TASKS[name], np.random.default_rng(3)
    if task.regression:
        labels = rng.uniform(0, 5, 60)
        predictions = labels**3 + rng.normal(0, 20, 60)
        ranks = [stats.rankdata(values) for values in (labels, predictions)]
        expected = {"pearson": np.corrcoef(labels, predictions)[0, 1], "spearman": np.corrcoef(*ranks)[0, 1]}
    else:
        labels = rng.choice(task.outputs, 60, p=[0.6, 0.25, 0.15] if task.outputs == 3 else [0.7, 0.3])
        predictions = np.where(rng.random(60) < 0.7, labels, rng.integers(0, task.outputs, 60))
        by_name = {"f1": sk.f1_score, "accuracy": sk.accuracy_score, "matthews": sk.matthews_corrcoef}
        expected = {metric: by_name[metric](labels, predictions) for metric in task.metrics}
    assert metrics.scores(task, labels, predictions) == pytest.approx(expected)
    assert len(set(expected.values())) == len(expected)  # so that none can stand for another


def test_a_constant_has_no_correlation():
    scores = metrics.scores(TASKS["stsb"], np.array([1.0, 2.0, 4.0]), np.full(3, 2.5))
    assert scores == {"pearson": 0.0, "spearman": 0.0}
    assert metrics.scores(TASKS["stsb"], np.full(3, 2.5), np.array([1.0, 2.0, 4.0]))["pearson"] == 0.0


def test_the_baseline_is_trains_majority_not_validations():
    found = metrics.baseline(TASKS["mnli"], np.array([2, 2, 2, 0, 1, 1]), np.array([1, 1, 1, 1, 2]))
    assert found == {"accuracy": 0.2}


def test_predictions_are_the_likeliest_label_or_the_score():
    logits = np.array([[0.1, 3.0, 0.2], [2.0, -1.0, 0.0]], "float32")
    assert metrics.predictions_of(TASKS["mnli"], logits).tolist() == [1, 0]
    assert metrics.predictions_of(TASKS["stsb"], np.array([[4.5], [0.25]])).tolist() == [4.5, 0.25]
    np.testing.assert_allclose(metrics.probabilities(np.log([[1.0, 3.0], [4.0, 1.0]])), [[0.25, 0.75], [0.8, 0.2]])


def test_the_interval_of_a_share_is_wilsons():
    """By the formula of Wilson (1927) for 8 of 10."""
    z, share, rows = 1.959963984540054, 0.8, 10
    middle = (share + z**2 / (2 * rows)) / (1 + z**2 / rows)
    half = z * np.sqrt(share * (1 - share) / rows + z**2 / (4 * rows**2)) / (1 + z**2 / rows)
    assert metrics.wilson(8, 10) == pytest.approx((middle - half, middle + half))


def test_resamples_draw_as_many_rows_with_replacement():
    labels = np.arange(30) % 2
    drawn = metrics.resample_counts(["accuracy"], labels, np.zeros(30, int), np.random.default_rng(0))
    assert drawn.shape == (metrics.BOOTSTRAP_RESAMPLES, 1) == (1000, 1)
    assert np.allclose(drawn * 30, np.round(drawn * 30))
    assert drawn.mean() == pytest.approx(0.5, abs=0.01)
    assert drawn.std() == pytest.approx(np.sqrt(0.25 / 30), rel=0.1)


# ---------------------------------------------------------------- calibration


def test_bins_of_a_reliability_diagram_by_hand():
    """Ten bins: three rows at .95 (two right), one at .65 (right), and one at 1, which belongs to the last bin."""
    chances = np.array([[0.95, 0.05], [0.05, 0.95], [0.95, 0.05], [0.35, 0.65], [1.0, 1e-12]])
    labels = np.array([0, 1, 1, 1, 0])
    found = metrics.reliability(labels, np.log(chances), bins=10)
    np.testing.assert_allclose(found, [[1, 0.65, 1], [4, 0.9625, 0.75]], atol=1e-6)
    expected = (1 * 0.35 + 4 * 0.2125) / 5  # weighted by rows, not by bins
    assert metrics.calibration_error(labels, np.log(chances), bins=10) == pytest.approx(expected, abs=1e-6)


def test_there_are_fifteen_bins_as_in_the_paper():
    chances = np.linspace(0.505, 0.995, 400)
    found = metrics.reliability(np.zeros(400, int), np.log(np.stack([chances, 1 - chances], axis=1)))
    assert len(found) == 8  # of 15, those above one half
    assert found[:, 0].sum() == 400


def test_calibration_error_of_a_known_case():
    """Nine rows in ten right at a confidence of .8, and all right at 1: a gap of .1 for half of the rows."""
    sure, unsure = [20.0, 0.0], [np.log(4), 0.0]
    logits = np.array([sure] * 10 + [unsure] * 10)
    labels = np.array([0] * 10 + [0] * 9 + [1])
    assert metrics.calibration_error(labels, logits) == pytest.approx(0.05, abs=1e-6)
    number, confidence, right = metrics.reliability(labels, logits).T
    assert number.tolist() == [10, 10]
    assert confidence == pytest.approx([0.8, 1.0], abs=1e-6)
    assert right.tolist() == [0.9, 1.0]


def test_a_calibrated_model_has_no_error():
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 2, (50_000, 3))
    chances = metrics.probabilities(logits)
    labels = (rng.random((50_000, 1)) > np.cumsum(chances, axis=1)).sum(axis=1)
    assert metrics.calibration_error(labels, logits) < 0.01
    assert metrics.calibration_error(labels, 3 * logits) > 0.1  # over-confident

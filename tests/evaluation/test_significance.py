"""Two classifiers on the same rows: exact p-values, and gains whose interval follows the rows and the seeds."""

import numpy as np
import pytest

from bertglue.evaluation import metrics
from bertglue.evaluation.significance import mcnemar, paired_bootstrap, resampled, weighted

LABELS = np.zeros(100, int)


def wrong(*rows):
    answers = LABELS.copy()
    answers[list(rows)] = 1
    return answers


def test_mcnemar_looks_only_at_rows_that_one_alone_answers():
    both = range(20, 60)  # wrong in both
    first, second = wrong(*both, 0), wrong(*both, *range(1, 9))
    assert mcnemar(LABELS, first, second) == pytest.approx(2 * (1 + 9) / 2**9)  # 1 of 9, two-sided
    assert mcnemar(LABELS, first, first) == 1


def test_a_gain_on_every_resample_is_beyond_chance_and_none_is_not():
    better, worse = wrong(*range(5)), wrong(*range(30))
    gain, low, high = paired_bootstrap("accuracy", LABELS, worse, better)
    assert gain == pytest.approx(0.25)
    assert 0 < low < gain < high
    assert paired_bootstrap("accuracy", LABELS, better, better) == (0, 0, 0)


def test_pairs_are_narrower_than_two_intervals_apart():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 500)
    first = np.where(rng.random(500) < 0.75, labels, 1 - labels)
    second = first.copy()
    second[:20] = labels[:20]
    _, low, high = paired_bootstrap("f1", labels, first, second)
    assert high - low < 0.03


def test_the_spread_of_seeds_widens_the_interval():
    alike, apart = [wrong(*range(20))] * 3, [wrong(*range(10)), wrong(*range(20)), wrong(*range(30))]
    better = [wrong(*range(5))] * 3
    widths = []
    for runs in (alike, apart):
        _, low, high = paired_bootstrap("accuracy", LABELS, np.array(runs), np.array(better))
        widths.append(high - low)
    assert widths[1] > 1.2 * widths[0]


@pytest.mark.parametrize("metric", ["accuracy", "f1", "matthews", "pearson"])
def test_rows_drawn_several_times_count_several_times(metric):
    rng = np.random.default_rng(0)
    labels, predictions = rng.integers(0, 2, (2, 60))
    drawn = rng.multinomial(60, np.full(60, 1 / 60), size=5)
    rows = [np.repeat(np.arange(60), counts) for counts in drawn]
    expected = [metrics.METRIC_FUNCTIONS[metric](labels[r], predictions[r]) for r in rows]
    np.testing.assert_allclose(weighted(metric, labels, predictions, drawn), expected, atol=1e-12)


def test_the_interval_of_one_run_a_side_is_over_rows():
    _, low, high = paired_bootstrap("accuracy", LABELS, wrong(*range(20)), LABELS)
    assert (high - low) / 2 == pytest.approx(1.96 * np.sqrt(0.8 * 0.2 / 100), rel=0.1)


@pytest.mark.parametrize("count", [2, 3, 5])
def test_few_seeds_spread_their_mean_as_much_as_the_standard_error_says(count):
    rng = np.random.default_rng(0)
    labels = np.zeros(20_000, int)  # so many that the rows add nothing
    runs = np.stack([rng.random(20_000) < share for share in np.linspace(0.1, 0.3, count)]).astype(int)
    ((means, _),) = resampled("accuracy", labels, [runs], rng)
    accuracies = 1 - runs.mean(axis=1)
    assert means.std() == pytest.approx(accuracies.std(ddof=1) / count**0.5, rel=0.1)

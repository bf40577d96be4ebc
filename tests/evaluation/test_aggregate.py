"""Several runs of a task: which rate is taken, and the mean with its standard error."""

import math

import pytest
from made_runs import scored_run as run
from scipy import stats

from bertglue.evaluation import aggregate


def test_the_rate_is_chosen_by_the_mean_on_what_was_held_out_not_on_validation():
    bad, good = [run(1e-3, held_out=0.6, score=0.9)] * 2, [run(1e-4, 0, held_out=0.9), run(1e-4, 1, held_out=0.5)]
    assert aggregate.selection_split(bad + good) == "held_out"
    assert aggregate.best_learning_rate(bad + good) == good


def test_without_held_out_rows_validation_chooses():
    runs = [run(1e-3, held_out=None, score=0.9), run(1e-4, held_out=None, score=0.8)]
    assert aggregate.selection_split(runs) == "validation"
    assert aggregate.best_learning_rate(runs) == runs[:1]


def test_the_standard_error_has_the_spread_of_seeds_and_the_sampling_of_examples():
    runs = [run(seed=seed, score=score, width=2 * 1.959964 * 0.03) for seed, score in enumerate((0.7, 0.8, 0.9))]
    found = aggregate.seed_mean(runs, "validation", "accuracy")
    assert found.mean == pytest.approx(0.8)
    assert found.error == pytest.approx((0.1**2 / 3 + 0.03**2) ** 0.5)
    assert found.freedom == pytest.approx(2 * found.error**4 / (0.1**2 / 3) ** 2)
    one = aggregate.seed_mean(runs[:1], "validation", "accuracy")
    assert one == pytest.approx((0.7, 0.03, math.inf))
    assert one.margin == pytest.approx(1.959964 * 0.03)


def test_few_seeds_have_the_interval_of_students_t():
    runs = [run(seed=seed, score=score, width=0) for seed, score in enumerate((0.7, 0.8, 0.9))]
    low, high = stats.ttest_1samp([0.7, 0.8, 0.9], 0).confidence_interval()
    assert high > 1
    assert aggregate.mean_interval(runs, "validation", "accuracy") == pytest.approx((low, 1))
    runs = [run(seed=seed, score=score, width=0.1) for seed, score in enumerate((0.7, 0.8, 0.9))]
    assert aggregate.mean_interval(runs[:1], "validation", "accuracy") == pytest.approx((0.65, 0.75))
    alike = [run(seed=seed, score=0.8, width=0.1) for seed in range(3)]
    assert aggregate.mean_interval(alike, "validation", "accuracy") == pytest.approx((0.75, 0.85))


def test_the_difference_of_two_means_is_welchs():
    sides = (0.7, 0.8, 0.9), (0.5, 0.55, 0.5, 0.45)
    first, second = (
        aggregate.seed_mean([run(seed=at, score=one, width=0) for at, one in enumerate(side)], "validation", "accuracy")
        for side in sides
    )
    gain, expected = first.minus(second), stats.ttest_ind(*sides, equal_var=False).confidence_interval()
    assert (gain.mean - gain.margin, gain.mean + gain.margin) == pytest.approx(tuple(expected))


def test_a_learning_rate_is_scored_by_the_mean_over_metrics_and_seeds():
    runs = [run(task="mrpc", seed=seed) for seed in (0, 1)]
    runs[0]["metrics"]["validation"] = {"f1": 0.9, "accuracy": 0.7}
    runs[1]["metrics"]["validation"] = {"f1": 0.5, "accuracy": 0.1}
    assert aggregate.learning_rate_score(runs, "validation") == pytest.approx((0.8 + 0.3) / 2)


def test_runs_are_grouped_by_what_they_share_in_the_order_in_which_it_comes():
    runs = [run(2, 0), run(1, 0), run(2, 1)]
    assert aggregate.group_runs(runs, "learning_rate") == {(2,): [runs[0], runs[2]], (1,): [runs[1]]}
    assert list(aggregate.group_runs(runs, "learning_rate", "seed")) == [(2, 0), (1, 0), (2, 1)]


def test_one_run_without_held_out_rows_is_enough_for_validation_to_select():
    assert aggregate.selection_split([run(), run(held_out=None)]) == "validation"
    assert aggregate.selection_split([run(task="mnli", held_out=None)]) == "validation_matched"

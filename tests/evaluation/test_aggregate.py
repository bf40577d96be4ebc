"""Several runs of a task: which rate is taken, and the mean with its standard error."""

import pytest
from made_runs import scored_run as run

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
    mean, error = aggregate.mean_and_error(runs, "validation", "accuracy")
    assert mean == pytest.approx(0.8)
    assert error == pytest.approx((0.1**2 / 3 + 0.03**2) ** 0.5)
    assert aggregate.mean_and_error(runs[:1], "validation", "accuracy")[1] == pytest.approx(0.03)


def test_the_interval_of_a_mean_is_so_many_standard_errors_wide():
    runs = [run(seed=seed, score=score, width=0.1) for seed, score in enumerate((0.7, 0.8, 0.9))]
    mean, error = aggregate.mean_and_error(runs, "validation", "accuracy")
    assert aggregate.mean_interval(runs, "validation", "accuracy") == pytest.approx(
        (mean - 1.959964 * error, mean + 1.959964 * error)
    )
    assert aggregate.mean_interval(runs[:1], "validation", "accuracy") == pytest.approx((0.65, 0.75))


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

"""Several runs of a task: which rate is taken, and the mean with its standard error."""

import pytest
from bertglue import grid
from bertglue.tasks import TASKS


def run(rate=1e-3, seed=0, *, task="sst2", encoder="embedded", held_out=0.5, score=0.5, width=0.0):
    """The record of a run: `score` on validation, with an interval of that width, `held_out` on the part of train."""
    splits = {**dict.fromkeys(TASKS[task].validation, score), **({} if held_out is None else {"held_out": held_out})}

    def of_each(value):
        return {split: dict.fromkeys(TASKS[task].metrics, value(score)) for split, score in splits.items()}

    return {
        "task": task,
        "encoder": encoder,
        "learning_rate": rate,
        "seed": seed,
        "metrics": of_each(lambda score: score),
        "interval": of_each(lambda score: (score - width / 2, score + width / 2)),
        "baseline": of_each(lambda score: 0.5),
        "examples": {"train": 90, **dict.fromkeys(splits, 10)},
    }


def test_the_rate_is_chosen_by_the_mean_on_what_was_held_out_not_on_validation():
    bad, good = [run(1e-3, held_out=0.6, score=0.9)] * 2, [run(1e-4, 0, held_out=0.9), run(1e-4, 1, held_out=0.5)]
    assert grid.chosen_on(bad + good) == "held_out"
    assert grid.best_rate(bad + good) == good


def test_without_held_out_rows_validation_chooses():
    runs = [run(1e-3, held_out=None, score=0.9), run(1e-4, held_out=None, score=0.8)]
    assert grid.chosen_on(runs) == "validation"
    assert grid.best_rate(runs) == runs[:1]


def test_the_standard_error_has_the_spread_of_seeds_and_the_sampling_of_examples():
    runs = [run(seed=seed, score=score, width=2 * 1.959964 * 0.03) for seed, score in enumerate((0.7, 0.8, 0.9))]
    mean, error = grid.mean(runs, "validation", "accuracy")
    assert mean == pytest.approx(0.8)
    assert error == pytest.approx((0.1**2 / 3 + 0.03**2) ** 0.5)
    assert grid.mean(runs[:1], "validation", "accuracy")[1] == pytest.approx(0.03)

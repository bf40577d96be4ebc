"""Heads pruned one after another, and their number selected: the scores are those of the smaller models."""

import math
from itertools import pairwise

import numpy as np
import pytest

from bertglue import InputError
from bertglue.compression import head_gates, head_importance, head_selection, pruning_curve
from bertglue.data.batches import Batches
from bertglue.data.dataset import HELD_OUT, Data, Split
from bertglue.data.token_ids import Tokens
from bertglue.evaluation import metrics
from bertglue.evaluation.evaluate import evaluate
from bertglue.models.heads import keep_heads
from bertglue.parameters import Parameters
from bertglue.tasks import TASKS
from bertglue.training.optimizer import GATE_WEIGHT

TASK = TASKS["mrpc"]
ROWS = 12
LABELS = np.arange(ROWS) % 3 % 2
PARAMETERS = Parameters(task="mrpc", batch_size=4, epochs=2, learning_rate=1e-3)


@pytest.fixture
def packed():
    lengths = np.arange(ROWS) % 5 + 4
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    return Tokens(np.arange(offsets[-1], dtype="int32") % 45 + 4, offsets, lengths // 2, 16)


@pytest.fixture
def tokens(packed):
    return dict.fromkeys(("train", "validation", HELD_OUT), packed)


@pytest.fixture
def data():
    split = Split(dict.fromkeys(TASK.columns, [""] * ROWS), LABELS)
    return Data(TASK, "toy", dict.fromkeys(("train", "validation", HELD_OUT), split))


@pytest.mark.parametrize("kept", [[[1], [0, 1]], [[], [1]]])
def test_unmasked_heads_matter_as_in_the_smaller_model(classifier, packed, kept):
    masked = head_importance.MaskedHeads(classifier, TASK)
    masked.importance(Batches(packed, LABELS, batch_size=4))  # leaves nothing behind
    masked.keep(kept)
    unmasked = masked.importance(Batches(packed, LABELS, batch_size=4))
    smaller = head_importance.MaskedHeads(keep_heads(classifier, kept), TASK).importance(
        Batches(packed, LABELS, batch_size=4)
    )
    for layer, heads in enumerate(kept):
        np.testing.assert_allclose(unmasked[layer][heads], smaller[layer], rtol=1e-4)
        assert unmasked[layer].astype(bool).sum() == len(heads)


@pytest.mark.parametrize("order", pruning_curve.PRUNING_ORDERS)
def test_heads_go_one_after_another_until_none_is_left(classifier, packed, order):
    masked = head_importance.MaskedHeads(classifier, TASK)
    sample = Batches(packed, LABELS, batch_size=4)
    steps = list(pruning_curve.pruning_steps(masked, order, sample, step=1, seed=1))
    assert [sum(map(len, kept)) for kept in steps] == [4, 3, 2, 1, 0]
    for more, fewer in pairwise(steps):
        assert all(set(a) >= set(b) for a, b in zip(more, fewer, strict=True))
    assert steps == list(pruning_curve.pruning_steps(masked, order, sample, step=1, seed=1))
    assert [sum(map(len, kept)) for kept in pruning_curve.pruning_steps(masked, order, sample, step=3, seed=1)] == [
        4,
        1,
        0,
    ]


def test_the_first_to_go_has_the_smallest_gradient(classifier, data, tokens):
    points = pruning_curve.compute_pruning_curve(classifier, data, tokens, PARAMETERS, seeds=1, rows=ROWS)
    scores = head_importance.MaskedHeads(classifier, TASK).importance(Batches(tokens["train"], LABELS, batch_size=4))
    assert next(p.kept for p in points if p.order == "gradient" and p.heads == 3) == head_importance.drop_lowest(
        scores, 1
    )


def test_scores_of_a_pruning_curve_are_those_of_the_smaller_models(classifier, data, tokens, packed):
    points = pruning_curve.compute_pruning_curve(classifier, data, tokens, PARAMETERS, seeds=2, rows=8, step=2)
    assert [(p.order, p.seed, p.heads) for p in points] == [
        (order, seed, heads)
        for order, seed in (("gradient", 0), ("gradient", 1), ("magnitude", 0), ("random", 0), ("random", 1))
        for heads in (4, 2, 0)
    ]
    for point in points:
        logits = keep_heads(classifier, point.kept).predict(packed.batch(np.arange(ROWS)), verbose=0)
        assert evaluate(data, {"validation": logits}).metrics == point.scores


def test_a_pruning_curve_without_steps_is_refused(classifier, data, tokens):
    with pytest.raises(InputError, match="step is 0; remove 1 head or more at a time"):
        pruning_curve.compute_pruning_curve(classifier, data, tokens, PARAMETERS, step=0)


def test_gradients_are_measured_anew_after_each_removal(classifier, monkeypatch):
    masked = head_importance.MaskedHeads(classifier, TASK)
    found = iter(
        [[[0.1, 0.9], [0.5, 0.6]], [[0.0, 0.3], [0.8, 0.2]], [[0.0, 0.1], [0.9, 0.0]], [[0.0, 0.0], [0.9, 0.0]]]
    )
    monkeypatch.setattr(masked, "importance", lambda sample: [np.array(row) for row in next(found)])
    steps = list(pruning_curve.pruning_steps(masked, "gradient", None, step=1, seed=0))
    assert steps == [[[0, 1], [0, 1]], [[1], [0, 1]], [[1], [0]], [[], [0]], [[], []]]
    _, first, *_ = pruning_curve.pruning_steps(masked, "magnitude", None, step=1, seed=0)
    assert first == head_importance.drop_lowest(head_importance.head_magnitude(classifier), 1)


def test_a_sample_has_the_labels_of_its_rows(data, tokens, packed):
    def rows(of):
        return [tuple(of.ids[start:end].tolist()) for start, end in pairwise(of.offsets)]

    for seed in range(4):
        drawn = pruning_curve.sample_batches(data, tokens["train"], PARAMETERS, 8, seed)
        assert drawn.labels.tolist() == [LABELS[rows(packed).index(row)] for row in rows(drawn.tokens)]


def test_a_trial_does_not_depend_on_the_ones_before(classifier, data, tokens):
    del data.splits["validation"], tokens["validation"]  # which selects nothing
    gated = head_selection.GatedTraining(classifier, data, tokens, PARAMETERS)
    first, weights = gated.train(0.01), [w.copy() for w in gated.model.get_weights()]
    gated.train(10.0)
    assert gated.train(0.01) == first
    for weight, value in zip(gated.model.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(weight, value)


@pytest.mark.parametrize("epochs", [1, 5])
def test_gates_may_travel_as_far_in_a_short_trial_as_in_a_long_one(classifier, data, tokens, epochs):
    gated = head_selection.GatedTraining(classifier, data, tokens, PARAMETERS.model_copy(update={"epochs": epochs}))
    optimizer, variables = gated.reduced.model.optimizer, gated.reduced.model.trainable_variables
    (factor,) = {optimizer.factor(v) for v in variables if GATE_WEIGHT in v.path}
    assert factor * optimizer.rates(len(gated.batches) * epochs).sum() == pytest.approx(head_selection.GATE_TRAVEL)
    assert {optimizer.factor(v) for v in variables if GATE_WEIGHT not in v.path} == {1}


def test_a_perfect_score_has_a_standard_error(classifier, data, tokens, monkeypatch):
    """Of the accuracy alone; a resampled metric does not vary."""
    gated = head_selection.GatedTraining(classifier, data, tokens, PARAMETERS)
    labels = np.arange(100) % 2
    monkeypatch.setattr(gated, "labels_and_predictions", lambda: (TASK, labels, labels))
    low, _ = metrics.intervals(TASK, labels, labels)["accuracy"]
    assert gated.error() == pytest.approx((1 - low) / 1.959964)


def test_the_strength_is_raised_while_it_costs_nothing(classifier, data, tokens):
    del data.splits["validation"], tokens["validation"]  # which selects nothing
    choice = head_selection.select_heads(classifier, data, tokens, PARAMETERS, trials=4)
    strengths = [trial.strength for trial in choice.trials]
    assert strengths[0] == pytest.approx(math.sqrt(head_selection.MIN_STRENGTH * head_selection.MAX_STRENGTH))
    for before, after, trial in zip(strengths, strengths[1:], choice.trials, strict=False):
        assert (after > before) == choice.enough(trial)
    assert len(set(strengths)) == 4


def test_the_fewest_heads_that_are_enough_are_chosen():
    trials = [
        head_selection.Trial(0.1, [[0], [1]], 0.79),
        head_selection.Trial(0.2, [[0], []], 0.78),
        head_selection.Trial(0.15, [[1], []], 0.81),
        head_selection.Trial(0.4, [[], []], 0.6),
    ]
    whole = [[0, 1], [0, 1]]
    assert head_selection.Selection(trials, 0.8, 0.02, whole).kept == [[1], []]
    assert head_selection.Selection(trials[-1:], 0.8, 0.02, whole).kept == whole


def test_without_held_out_rows_there_is_nothing_to_choose_by(classifier, data, tokens):
    del data.splits[HELD_OUT]
    with pytest.raises(InputError, match="hold_out is 0; give the share of train"):
        head_selection.select_heads(classifier, data, tokens, PARAMETERS)


def test_an_open_gate_costs_what_is_set(classifier, packed):
    gated = head_gates.add_gates(classifier, 0.5)
    inputs = packed.batch(np.arange(ROWS))
    gated(inputs)
    before = float(sum(gated.losses))
    head_gates.set_strength(gated, 1.0)
    gated(inputs)
    assert before > 0
    assert float(sum(gated.losses)) == pytest.approx(2 * before)


def test_a_gate_is_open_as_often_as_the_penalty_counts(classifier):
    """By the formula of Louizos et al. (2018): sigmoid(log alpha - beta log(-gamma / zeta)), and by drawing gates."""
    gates = head_gates.HeadGates(4, 1.0)
    gates.build(None)
    log_alpha = np.array([-4.0, -1.0, 0.0, 2.0], "float32")
    gates.log_alpha.assign(log_alpha)
    chance = 1 / (1 + np.exp(-(log_alpha - 2 / 3 * np.log(0.1 / 1.1))))
    np.testing.assert_allclose(gates.open_probability(), chance, rtol=1e-5)
    drawn = np.array([gates(None, training=True) for _ in range(3000)])
    np.testing.assert_allclose((drawn > 0).mean(axis=0), chance, atol=0.03)
    assert (drawn.min(), drawn.max()) == (0, 1)
    gates.losses.clear()
    settled = np.clip(1.2 / (1 + np.exp(-log_alpha)) - 0.1, 0, 1)
    np.testing.assert_allclose(gates(None, training=False), settled, rtol=1e-5)


@pytest.mark.parametrize(
    ("score", "enough"), [(0.9, True), (0.8, True), (0.7801, True), (0.7799, False), (0.7601, False)]
)
def test_a_trial_may_lose_one_standard_error_and_no_more(score, enough):
    selection = head_selection.Selection([], 0.8, 0.02, [])
    assert selection.enough(head_selection.Trial(0.1, [[0]], score)) is enough


def test_the_standard_error_is_the_lower_half_of_the_intervals(classifier, data, tokens, monkeypatch):
    gated = head_selection.GatedTraining(classifier, data, tokens, PARAMETERS)
    labels, predictions = np.arange(60) % 2, np.where(np.arange(60) < 45, np.arange(60) % 2, 0)
    monkeypatch.setattr(gated, "labels_and_predictions", lambda: (TASK, labels, predictions))
    scores, intervals = (f(TASK, labels, predictions) for f in (metrics.scores, metrics.intervals))
    errors = [(scores[name] - low) / 1.959964 for name, (low, _) in intervals.items()]
    assert gated.error() == pytest.approx(np.mean(errors), rel=1e-6)

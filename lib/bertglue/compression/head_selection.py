"""Select the heads that a task needs, and their number, automatically.

Gates on the heads (`head_gates`) are trained with the task. The strength of the penalty that closes them is found by
bisection: the greatest that leaves the score on held-out rows of train within one standard error.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import fmean

import keras
import numpy as np

from bertglue.compression.head_gates import add_gates, open_heads, set_strength
from bertglue.data.batches import Batches, batch_lengths
from bertglue.data.dataset import HELD_OUT, Data
from bertglue.data.token_ids import Tokens
from bertglue.errors import InputError
from bertglue.evaluation import metrics
from bertglue.evaluation.aggregate import ERRORS_PER_INTERVAL
from bertglue.models.logits import predict_splits
from bertglue.parameters import Parameters
from bertglue.tasks import Task
from bertglue.training.checkpoint import assign
from bertglue.training.finetune import compile_for_training, fit
from bertglue.training.optimizer import GATE_WEIGHT, unwrapped
from bertglue.training.used_embeddings import UsedEmbeddingsModel

MIN_STRENGTH, MAX_STRENGTH = 1e-3, 1.0  # strengths to search between; at the latter every gate closes
GATE_TRAVEL = 24.0  # how far a gate's log alpha may move in a trial, of any length; from open to closed it is 4.4


@dataclass(frozen=True)
class Trial:
    """One strength, the heads that it left open, and the mean metric on the held-out rows without the others."""

    strength: float
    kept: list[list[int]]
    score: float

    @property
    def heads(self) -> int:
        return sum(map(len, self.kept))


@dataclass(frozen=True)
class Selection:
    """The trials in the order of the search; `reference` is the score after the same training without a push, and
    `error` its standard error."""

    trials: list[Trial]
    reference: float
    error: float
    whole: list[list[int]]

    def enough(self, trial: Trial) -> bool:
        return trial.score >= self.reference - self.error

    @property
    def kept(self) -> list[list[int]]:
        """Return the fewest heads within one standard error of the reference; all of them where no trial is."""
        good = [trial for trial in self.trials if self.enough(trial)]
        return min(good, key=lambda trial: (trial.heads, -trial.score)).kept if good else self.whole


class GatedTraining:
    """A classifier with gates, which is trained from the same start again and again."""

    def __init__(self, classifier: keras.Model, data: Data, tokens: dict[str, Tokens], parameters: Parameters):
        self.model, self.data, self.tokens, self.parameters = add_gates(classifier, 0.0), data, tokens, parameters
        self.whole = open_heads(self.model)
        self.reduced = UsedEmbeddingsModel(self.model, tokens["train"])
        lengths = batch_lengths(parameters)
        self.batches = Batches(
            tokens["train"],
            data["train"].labels,
            batch_size=parameters.batch_size,
            accumulate=parameters.accumulate,
            seed=parameters.seed,
            lengths=lengths,
        )
        trained = self.reduced.model
        steps = self.batches.updates * parameters.epochs
        compile_for_training(trained, data.task, parameters, steps)
        optimizer = unwrapped(trained.optimizer)
        optimizer.set_factor(GATE_WEIGHT, GATE_TRAVEL / optimizer.rates(steps).sum())
        self.variables = [*trained.variables, *trained.optimizer.variables]
        self.start = [np.array(v) for v in self.variables]  # copies: JAX gives the memory of what it trains away

    def train(self, strength: float) -> Trial:
        """Train from the start with a strength; score without the heads whose gates closed."""
        assign(self.variables, self.start)
        set_strength(self.model, strength)
        fit(self.reduced.model, self.batches, epochs=self.parameters.epochs)
        self.reduced.publish()
        scores = metrics.scores(*self.labels_and_predictions())
        return Trial(strength, open_heads(self.model), fmean(scores.values()))

    def labels_and_predictions(self) -> tuple[Task, np.ndarray, np.ndarray]:
        """Return the task, and the labels and predictions [rows] of the held-out rows, without the closed heads."""
        logits = predict_splits(self.model, self.tokens, [HELD_OUT], self.parameters)[HELD_OUT]
        return self.data.task, self.data[HELD_OUT].labels, metrics.predictions_of(self.data.task, logits)

    def error(self) -> float:
        """Return the mean of the metrics' standard errors on the held-out rows, downwards.

        That of the mean of the metrics is no greater, since they are of the same rows. A resampled metric has none
        where every row is right; the accuracy beside it has.
        """
        answers = self.labels_and_predictions()
        scores, intervals = metrics.scores(*answers), metrics.intervals(*answers)
        below = [2 * (scores[name] - low) / ERRORS_PER_INTERVAL for name, (low, _) in intervals.items()]
        return fmean([error for error in below if error > 0] or [0.0])


def select_heads(
    classifier: keras.Model, data: Data, tokens: dict[str, Tokens], parameters: Parameters, trials: int = 5
) -> Selection:
    """Search the strength that closes most gates at no loss; `parameters.epochs` is the length of each trial.

    `classifier` must have been trained without the held-out rows. Validation is not used for selection.
    """
    if HELD_OUT not in data.splits:
        raise InputError("hold_out is 0; give the share of train by which the number of heads is chosen, such as 0.1")
    gated = GatedTraining(classifier, data, tokens, parameters)
    reference, error = gated.train(0.0).score, gated.error()  # after the same training, with every gate open
    choice = Selection([], reference, error, gated.whole)
    weak, strong = math.log(MIN_STRENGTH), math.log(MAX_STRENGTH)
    for _ in range(trials):
        strength = math.exp((weak + strong) / 2)
        trial = gated.train(strength)
        choice.trials.append(trial)
        against = f"all heads {reference:.4f} ± {error:.4f}"
        print(f"strength {strength:.4f}: {trial.heads} heads, {trial.score:.4f} ({against})", flush=True)
        if choice.enough(trial):
            weak = math.log(strength)
        else:
            strong = math.log(strength)
    return choice

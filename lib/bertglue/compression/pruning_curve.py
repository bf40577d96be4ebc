"""The pruning curve: scores as heads are pruned one after another, in three orders, down to none.

`gradient` removes the heads that the loss would miss least, measured anew after each removal (Michel et al., 2019,
arXiv:1905.10650); `magnitude` those with the smallest weights; `random` any.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import keras
import numpy as np

from bertglue.compression.head_importance import MaskedHeads, drop_lowest, head_magnitude
from bertglue.data.batches import Batches, batch_lengths
from bertglue.data.dataset import Data
from bertglue.data.token_ids import Tokens
from bertglue.errors import InputError
from bertglue.evaluation import metrics
from bertglue.models.heads import Heads
from bertglue.models.logits import predict_splits
from bertglue.parameters import Parameters
from bertglue.runs.schemas import PRUNING_ORDERS

PRUNED_SCORE = -1.0  # the score of a head that is masked already


@dataclass(frozen=True)
class CurvePoint:
    """The heads kept of each layer at one step of a pruning curve, and the scores with them."""

    order: str
    seed: int
    kept: list[list[int]]
    scores: dict[str, dict[str, float]]  # {split: {metric: value}}

    @property
    def heads(self) -> int:
        return sum(map(len, self.kept))


def compute_pruning_curve(
    classifier: keras.Model, data: Data, tokens: dict[str, Tokens], parameters: Parameters, *,
    seeds: int = 3, rows: int = 256, step: int = 1,
) -> list[CurvePoint]:  # fmt: skip
    """Remove heads, `step` at a time, in each order, and score validation after each removal.

    `seeds` of random orders are drawn, and as many samples of `rows` training rows to measure gradients on; magnitude
    leaves nothing to chance.
    """
    if step < 1:
        raise InputError(f"step is {step}; remove 1 head or more at a time")
    masked, points, known = MaskedHeads(classifier, data.task), [], {}  # every order begins and ends with the same
    for order in PRUNING_ORDERS:
        for seed in range(1 if order == "magnitude" else seeds):
            sample = sample_batches(data, tokens["train"], parameters, rows, seed)
            for kept in pruning_steps(masked, order, sample, step, seed):
                unmasked = tuple(map(tuple, kept))
                if unmasked not in known:
                    known[unmasked] = score(masked, data, tokens, parameters)
                points.append(CurvePoint(order, seed, kept, known[unmasked]))
    return points


def sample_batches(data: Data, train: Tokens, parameters: Parameters, rows: int, seed: int) -> Batches:
    """Draw rows of train, for gradients to be measured on."""
    chosen = np.sort(np.random.default_rng(seed).permutation(len(train))[:rows])
    return Batches(
        train.take(chosen),
        data["train"].labels[chosen],
        batch_size=parameters.batch_size,
        lengths=batch_lengths(parameters),
    )


def pruning_steps(masked: MaskedHeads, order: str, sample: Batches, step: int, seed: int) -> Iterator[Heads]:
    """Silence more and more heads; give those that are left, all of them first and none last."""
    kept = [list(range(heads)) for heads in masked.heads]
    rng = np.random.default_rng(seed)
    masked.keep(kept)
    if order == "magnitude":
        scores = head_magnitude(masked.model)
    elif order == "random":
        scores = [rng.random(heads) for heads in masked.heads]
    total = sum(masked.heads)
    for number in [*range(0, total, step), total]:
        if order == "gradient" and number:
            scores = masked.importance(sample)
            for layer, heads in enumerate(kept):
                scores[layer][np.setdiff1d(np.arange(len(scores[layer])), heads)] = PRUNED_SCORE
        kept = drop_lowest(scores, number) if number else kept
        masked.keep(kept)
        yield kept


def score(masked: MaskedHeads, data: Data, tokens: dict[str, Tokens], parameters: Parameters) -> dict:
    """Score validation, without the intervals over examples: a pruning curve has its spread over seeds."""
    task = data.task
    logits = predict_splits(masked.model, tokens, task.validation, parameters)
    return {s: metrics.scores(task, data[s].labels, metrics.predictions_of(task, logits[s])) for s in task.validation}

"""Compute the logits of a split, of all splits that a run scores, and of texts."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence

import keras
import numpy as np
from keras import ops

from bertglue.data.batches import Batches, batch_lengths, stream
from bertglue.data.token_ids import Tokens
from bertglue.devices import predict_together, process
from bertglue.parameters import Parameters


def predict(classifier: keras.Model, tokens: Tokens, batch_size: int, lengths: Sequence[int] = ()) -> np.ndarray:
    """Return the logits [rows, outputs] of every row of a split, in order; `lengths` are those of `Batches`."""
    part = process()
    batches = Batches(tokens, batch_size=batch_size, part=part, lengths=lengths)
    together = part[1] > 1
    found = predict_together(classifier, batches) if together else classifier.predict(stream(batches), verbose=0)
    logits = np.empty((len(tokens), *found.shape[1:]), found.dtype)
    logits[batches.order] = found[: len(tokens)]
    return logits


def predict_splits(
    classifier: keras.Model, tokens: dict[str, Tokens], splits: Iterable[str], parameters: Parameters
) -> dict[str, np.ndarray]:
    """Return the logits of splits, predicted in the batches of a run."""
    size, lengths = parameters.evaluation_batch_size, batch_lengths(parameters)
    return {split: predict(classifier, tokens[split], size, lengths) for split in splits}


def predict_rest(classifier: keras.Model, tokens: dict[str, Tokens], training, parameters: Parameters) -> dict:
    """Predict every split but train: the logits that the training left, and those of test and AX.

    How long each of the others took is kept in `training.predict_seconds`.
    """
    logits = dict(training.logits)
    for split in tokens:
        if split != "train" and split not in logits:
            started = time.perf_counter()
            logits |= predict_splits(classifier, tokens, [split], parameters)
            training.predict_seconds[split] = time.perf_counter() - started
    return logits


def predict_texts(classifier: keras.Model, preprocessor, texts: list) -> np.ndarray:
    """Return the logits [texts, outputs] of sentences, or of pairs of them."""
    rows = [[text] if isinstance(text, str) else text for text in texts]
    packed = preprocessor(list(zip(*rows, strict=True)))
    inputs = {name: np.asarray(ids) for name, ids in packed.items()}
    return ops.convert_to_numpy(classifier(inputs, training=False))

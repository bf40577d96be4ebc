"""Compute the logits of a split, of all splits that a run scores, and of texts."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterable, Sequence

import keras
import numpy as np
from keras import ops

from bertglue.data.batches import COMPILED_LENGTHS, Batches, batch_lengths, stream
from bertglue.data.token_ids import ENCODER_INPUTS, Tokens
from bertglue.devices import jit_compile, on_one_cpu, predict_together, process
from bertglue.models.fast_layers import fused_dense_layers
from bertglue.parameters import Parameters

TEXT_BATCH_ROWS = 32  # of texts, predicted together
GRAPH, FUSED_GRAPH = "graph_of_splits", "graph_of_texts"  # the attributes that keep them


def predict(classifier: keras.Model, tokens: Tokens, batch_size: int, lengths: Sequence[int] = ()) -> np.ndarray:
    """Return the logits [rows, outputs] of every row of a split, in order; `lengths` are those of `Batches`."""
    part = process()
    batches = Batches(tokens, batch_size=batch_size, part=part, lengths=lengths)
    if part[1] > 1:
        found = predict_together(classifier, batches)
    elif on_one_cpu():  # where Keras's own loop traces twice, and has much to do beside a small encoder
        answer = graph_of(classifier)
        found = np.concatenate([answer(batches[at][0]).numpy() for at in range(len(batches))])
    else:
        found = classifier.predict(stream(batches), verbose=0)
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
    """Return the logits [texts, outputs] of sentences, or of pairs of them, in their order.

    Rows of similar length are predicted together, padded to little more than their own.
    """
    segments = zip(*([text] if isinstance(text, str) else text for text in texts), strict=True)
    tokens = pack_texts(preprocessor, list(segments))
    lengths = text_lengths(tokens.seq_length)
    with fused_dense_layers():
        answer = graph_of(classifier, FUSED_GRAPH)
    found = []
    order = np.argsort(tokens.lengths, kind="stable")
    for start in range(0, len(order), TEXT_BATCH_ROWS):
        rows = order[start : start + TEXT_BATCH_ROWS]
        width = min(length for length in lengths if length >= tokens.lengths[rows].max())
        found.append(ops.convert_to_numpy(answer(tokens.batch(rows, width))))
    return np.concatenate(found)[np.argsort(order)]


def graph_of(classifier: keras.Model, name: str = GRAPH) -> Callable:
    """Return a function from the inputs of a batch to its logits; on TensorFlow a graph, traced once for all shapes.

    It is kept with the classifier under `name`.
    """
    if keras.backend.backend() != "tensorflow":
        return functools.partial(classifier, training=False)
    import tensorflow as tf

    kept = vars(classifier)  # beside Keras's own functions, and as long as the classifier
    if name not in kept:
        signature = {name: tf.TensorSpec((None, None), "int32") for name in ENCODER_INPUTS}
        kept[name] = tf.function(
            functools.partial(classifier, training=False), input_signature=[signature], autograph=False
        )
        kept[name].get_concrete_function()
    return kept[name]


def text_lengths(seq_length: int) -> list[int]:
    """Return the lengths that rows to predict are padded to: few where each costs a compilation."""
    shorter = COMPILED_LENGTHS if jit_compile() else range(4, seq_length, 4)
    return [*(length for length in shorter if length < seq_length), seq_length]


def pack_texts(preprocessor, segments: list) -> Tokens:
    """Tokenize rows in memory: a list of texts for each segment."""
    import tensorflow as tf

    with tf.device("/CPU:0"):
        ids, lengths, second = (part.numpy() for part in preprocessor.pack_rows([tf.constant(s) for s in segments]))
    return Tokens(ids, np.concatenate([[0], np.cumsum(lengths)]), second, preprocessor.seq_length)

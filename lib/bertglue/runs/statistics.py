"""A run's data and model in numbers, as its record keeps them; no text of a data set is in it."""

from __future__ import annotations

from dataclasses import asdict
from itertools import pairwise

import numpy as np

from bertglue.data.dataset import Data, Split
from bertglue.data.token_ids import Tokens
from bertglue.tasks import Task

LENGTH_BIN = 4  # tokens to a bar of a distribution of lengths


def label_counts(data: Data) -> dict[str, dict[str, int]]:
    """Count the rows of each label of each labelled split, {split: {label: rows}}; scores are counted by unit."""
    edges = score_edges(data) if data.task.regression else None
    return {name: counts(data.task, split, edges) for name, split in data.splits.items() if split.labelled}


def score_edges(data: Data) -> np.ndarray:
    """Return the edges of the bins that scores are counted in: units of STS-B, else fifths of the range of train."""
    if not data.task.own:
        return np.arange(6)
    return np.linspace(*np.percentile(data["train"].labels, (0, 100)), 6)


def counts(task: Task, split: Split, edges: np.ndarray | None) -> dict[str, int]:
    if edges is not None:
        names = [f"{low} to {high}" for low, high in pairwise(told_apart(edges))]
        found = np.histogram(np.clip(split.labels, edges[0], edges[-1]), bins=edges)[0]
    else:
        names, found = task.labels, np.bincount(split.labels, minlength=len(task.labels))
    return dict(zip(names, found.tolist(), strict=True))


def told_apart(edges: np.ndarray) -> list[str]:
    """Format the edges of bins with four digits, or as many more as it takes to tell them apart."""
    for digits in range(4, 18):
        names = [f"{edge:.{digits}g}" for edge in edges]
        if len(set(names)) == len(set(edges)):
            break
    return names


def length_counts(tokens: dict[str, Tokens]) -> dict[str, dict]:
    """Summarize how many tokens the rows of each split have, `[CLS]` and `[SEP]` included.

    `histogram[i]` counts the rows of `i * width` tokens or more, and less than `(i + 1) * width`; `at_limit` those as
    long as a row may be, which may have been truncated.
    """
    return {name: lengths(split) for name, split in tokens.items()}


def lengths(tokens: Tokens) -> dict:
    found = tokens.lengths
    return {
        "mean": float(found.mean()),
        "median": float(np.median(found)),
        "p95": float(np.percentile(found, 95)),
        "longest": int(found.max()),
        "at_limit": int((found >= tokens.seq_length).sum()),
        "width": LENGTH_BIN,
        "histogram": np.bincount(found // LENGTH_BIN).tolist(),
    }


def model_sizes(classifier) -> dict:
    """Return the sizes of a classifier's encoder, and how many parameters each of its parts has."""
    from bertglue.models.bert import encoder_config

    return {
        "sizes": asdict(encoder_config(classifier.get_layer("encoder"))),
        "parameters": parameter_counts(classifier),
    }


def parameter_counts(model) -> dict[str, int]:
    """Count the parameters of a model by part: embeddings, each layer, pooler, head."""
    found: dict[str, int] = {}
    for weight in model.trainable_weights:
        part = weight.path.removeprefix("encoder/").split("/")[0]
        if part.startswith("layer_"):
            part = "_".join(part.split("_")[:2])
        elif "embedding" in part:
            part = "embeddings"
        found[part] = found.get(part, 0) + int(np.prod(weight.shape))
    return found

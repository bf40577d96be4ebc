"""Error analysis by what a row looks like: its length, whether it negates, how many words its two texts share."""

from __future__ import annotations

import re

import numpy as np

from bertglue.data.dataset import Split
from bertglue.evaluation.metrics import NORMAL_QUANTILE, wilson
from bertglue.tasks import Task

WORD = re.compile(r"[a-z0-9]+(?:'[a-z]+)?|n't")
NEGATIONS = {
    "no", "not", "n't", "never", "none", "nobody", "nothing", "nowhere", "neither", "nor", "without", "cannot",
    "hardly", "scarcely", "barely",
}  # fmt: skip
LENGTH, NEGATION, OVERLAP = "length", "negation", "word overlap"
WITH_NEGATION, WITHOUT_NEGATION = "with a negation", "without"


def words_of(text: str) -> list[str]:
    """Split a text into lower-case words; `n't` is one of its own.

    Example:
        >>> words_of("It isn't Peter's boat.")
        ['it', 'is', "n't", "peter's", 'boat']
    """
    return WORD.findall(text.lower().replace("n't", " n't"))


def slice_rows(split: Split) -> dict[str, dict[str, np.ndarray]]:
    """Sort the rows of a split into groups, {what they are sorted by: {group: bool [rows]}}.

    By length in words, in three groups of about as many rows; by whether a text has a word of negation; and, where rows
    are pairs, by the share of the second text's words that the first has too, in three groups.
    """
    texts = [[words_of(text) for text in column] for column in split.segments]
    rows = list(zip(*texts, strict=True))
    negated = np.array([any(word in NEGATIONS for words in row for word in words) for row in rows])
    found = {
        LENGTH: in_thirds(np.array([sum(map(len, row)) for row in rows]), "words"),
        NEGATION: {WITH_NEGATION: negated, WITHOUT_NEGATION: ~negated},
    }
    if len(texts) > 1:
        shares = np.array([100 * len(set(b) & set(a)) // max(1, len(set(b))) for a, b in rows])
        found[OVERLAP] = in_thirds(shares, "%")
    return {by: {name: rows for name, rows in groups.items() if rows.any()} for by, groups in found.items()}


def in_thirds(values: np.ndarray, unit: str) -> dict[str, np.ndarray]:
    """Sort whole numbers [rows] into up to three groups of neighboring values, as even as equal values allow."""
    bounds = np.unique(np.quantile(values, (1 / 3, 2 / 3), method="lower"))
    at = np.searchsorted(bounds, values, side="left")
    groups = [at == group for group in range(len(bounds) + 1)]
    return {f"{span(values[rows])} {unit}": rows for rows in groups if rows.any()}


def span(values: np.ndarray) -> str:
    low, high = values.min(), values.max()
    return f"{low}" if low == high else f"{low} to {high}"


def error_rates(task: Task, split: Split, predictions: np.ndarray) -> list[dict]:
    """Compute the error of each group of rows, with its 95 % interval.

    Args:
        task: of the rows.
        split: labelled rows with their texts.
        predictions: labels [rows], or scores [rows] where the task has scores for labels.

    Returns:
        One dict a group: `by`, `group`, `rows`, `error` (the share that is wrong, or the mean absolute difference of
        scores), `low` and `high`.

    Source:
        McCoy et al., 2019, arXiv:1902.01007, for word overlap; Naik et al., 2018, arXiv:1806.00692, for negation,
        overlap and length.

    Example:
        >>> from bertglue import get_task, load_data
        >>> data = load_data(get_task("rte"), "toy")
        >>> right = data["validation"].labels
        >>> {one["error"] for one in error_rates(data.task, data["validation"], right)}
        {0.0}
    """
    found = []
    for by, groups in slice_rows(split).items():
        for group, rows in groups.items():
            error, low, high = error_of(task, split.labels[rows], predictions[rows])
            found.append({"by": by, "group": group, "rows": int(rows.sum()), "error": error, "low": low, "high": high})
    return found


def error_of(task: Task, labels: np.ndarray, predictions: np.ndarray) -> tuple[float, float, float]:
    """Compute the error of some rows and its 95 % interval: Wilson's, or the normal one of a mean difference."""
    if task.regression:
        differences = np.abs(predictions - labels)
        mean = float(differences.mean())
        half = NORMAL_QUANTILE * float(differences.std(ddof=1)) / len(labels) ** 0.5 if len(labels) > 1 else mean
        return mean, max(0.0, mean - half), mean + half
    wrong = int((predictions != labels).sum())
    return wrong / len(labels), *wilson(wrong, len(labels))

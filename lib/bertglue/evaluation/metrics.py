"""GLUE's metrics over a whole split at once, each with a baseline and an interval."""

from __future__ import annotations

import numpy as np
from scipy import special, stats
from sklearn import metrics as sk

from bertglue.tasks import Task

METRIC_TITLES = {
    "matthews": "Matthews correlation",
    "accuracy": "Accuracy",
    "f1": "F1",
    "macro_f1": "Macro F1",
    "pearson": "Pearson correlation",
    "spearman": "Spearman correlation",
    "loss": "Loss",
    "calibration_error": "Expected calibration error",
}
NOT_FOR_SELECTION = ("loss", "calibration_error")  # kept of each epoch beside the task's metrics, and never chosen by
CALIBRATION_BINS = 15  # of confidence, as in Guo et al. (2017)
BOOTSTRAP_RESAMPLES = 1000
MANY_LABELS = 30  # from so many on a confusion matrix of each resample would fill the memory: rows are resampled
NORMAL_QUANTILE = float(stats.norm.ppf(0.975))  # half of a 95 % interval is so many standard errors


def correlation(function, labels, predictions) -> float:
    """Correlate, with 0 where one side is constant: the mean predicts no order."""
    if np.ptp(labels) == 0 or np.ptp(predictions) == 0:
        return 0.0
    return float(function(labels, predictions).statistic)


METRIC_FUNCTIONS = {
    "matthews": lambda labels, predictions, weights=None: float(
        sk.matthews_corrcoef(labels, predictions, sample_weight=weights)
    ),
    "accuracy": lambda labels, predictions, weights=None: float(
        np.average(np.equal(labels, predictions), weights=weights)
    ),
    "f1": lambda labels, predictions, weights=None: float(
        sk.f1_score(labels, predictions, sample_weight=weights, zero_division=0)
    ),
    "macro_f1": lambda labels, predictions, weights=None: float(
        sk.f1_score(labels, predictions, sample_weight=weights, average="macro", zero_division=0)
    ),
    "pearson": lambda labels, predictions: correlation(stats.pearsonr, labels, predictions),
    "spearman": lambda labels, predictions: correlation(stats.spearmanr, labels, predictions),
}


def predictions_of(task: Task, logits: np.ndarray) -> np.ndarray:
    """Convert logits [rows, outputs] to predictions [rows]: the most probable label, or the score itself."""
    return logits[:, 0] if task.regression else logits.argmax(axis=1)


def probabilities(logits: np.ndarray) -> np.ndarray:
    return special.softmax(logits.astype("float64"), axis=1)


def scores(task: Task, labels: np.ndarray, predictions: np.ndarray) -> dict[str, float]:
    """Compute a task's metrics over all rows; accuracy and F1 in 0..1, correlations in -1..1."""
    return {name: METRIC_FUNCTIONS[name](labels, predictions) for name in task.metrics}


def losses(task: Task, labels: np.ndarray, logits: np.ndarray) -> np.ndarray:
    """Compute of each row the squared error of a score, or the cross entropy (nats) of a label."""
    logits = logits.astype("float64")
    if task.regression:
        return (logits[:, 0] - labels) ** 2
    return -special.log_softmax(logits, axis=1)[np.arange(len(labels)), labels]


def loss(task: Task, labels: np.ndarray, logits: np.ndarray) -> float:
    """Compute the mean of the rows' losses."""
    return float(losses(task, labels, logits).mean())


def reliability(labels: np.ndarray, logits: np.ndarray, bins: int = CALIBRATION_BINS) -> np.ndarray:
    """Sort rows by the probability of their prediction into bins of equal width; return [bins, 3].

    Of each bin that has rows: their number, their mean probability, and the share that is right.
    """
    found = probabilities(logits)
    confidence, right = found.max(axis=1), found.argmax(axis=1) == labels
    at = np.minimum((confidence * bins).astype(int), bins - 1)
    number, *sums = (np.bincount(at, weights, minlength=bins) for weights in (None, confidence, right))
    used = number > 0
    return np.stack([number, *(total / np.maximum(number, 1) for total in sums)], axis=1)[used]


def calibration_error(labels: np.ndarray, logits: np.ndarray, bins: int = CALIBRATION_BINS) -> float:
    """Compute the expected calibration error, in 0..1: by how much the bins' probabilities miss their shares of correct
    predictions, averaged over rows (Guo et al., 2017, arXiv:1706.04599)."""
    return error_of_bins(reliability(labels, logits, bins))


def error_of_bins(bins: np.ndarray) -> float:
    """Compute the same of the bins of `reliability`."""
    number, confidence, right = bins.T
    return float(np.average(np.abs(confidence - right), weights=number))


def baseline(task: Task, train_labels: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Score what needs no reading: the majority class of train, or its mean."""
    guess = train_labels.mean() if task.regression else np.bincount(train_labels).argmax()
    return scores(task, labels, np.full(len(labels), guess))


def intervals(task: Task, labels: np.ndarray, predictions: np.ndarray, seed: int = 0) -> dict[str, tuple[float, float]]:
    """Return a 95 % interval of each metric over the rows.

    An accuracy has Wilson's, which has a width even where every row is right; the others have the percentiles of 1,000
    bootstrap resamples.
    """
    found = {}
    if "accuracy" in task.metrics:
        right = int(np.equal(labels, predictions).sum())
        found["accuracy"] = wilson(right, len(labels))
    others = [name for name in task.metrics if name != "accuracy"]
    if others:
        resample = resample_rows if task.regression or task.outputs > MANY_LABELS else resample_counts
        draws = resample(others, labels, predictions, np.random.default_rng(seed))
        bounds = np.percentile(draws, (2.5, 97.5), axis=0).T.tolist()
        found |= dict(zip(others, map(tuple, bounds), strict=True))
    return {name: found[name] for name in task.metrics}


def wilson(right: int, rows: int) -> tuple[float, float]:
    """Return Wilson's 95 % interval of a share of rows."""
    low, high = stats.binomtest(right, rows).proportion_ci(method="wilson")
    return float(low), float(high)


def resample_rows(names: list[str], labels: np.ndarray, predictions: np.ndarray, rng) -> np.ndarray:
    """Resample rows with replacement, `BOOTSTRAP_RESAMPLES` times; return metrics [draws, names]."""
    drawn = (rng.integers(len(labels), size=len(labels)) for _ in range(BOOTSTRAP_RESAMPLES))
    return np.array([[METRIC_FUNCTIONS[name](labels[rows], predictions[rows]) for name in names] for rows in drawn])


def resample_counts(names: list[str], labels: np.ndarray, predictions: np.ndarray, rng) -> np.ndarray:
    """Resample the confusion matrix of such rows, on which alone these metrics depend."""
    number = 1 + max(1, labels.max(), predictions.max())
    found = sk.confusion_matrix(labels, predictions, labels=range(number))
    drawn = rng.multinomial(len(labels), found.ravel() / len(labels), size=BOOTSTRAP_RESAMPLES)
    return np.stack([CONFUSION_METRICS[name](drawn.reshape(-1, *found.shape)) for name in names], axis=1)


def matthews_of_counts(matrices: np.ndarray) -> np.ndarray:
    """Compute the correlation of each confusion matrix [draws, labels, predictions] (Gorodkin, 2004)."""
    total, right = matrices.sum(axis=(1, 2), dtype="float64"), matrices.trace(axis1=1, axis2=2)
    true, given = (matrices.sum(axis=axis, dtype="float64") for axis in (2, 1))
    spread = (total**2 - (true**2).sum(axis=1)) * (total**2 - (given**2).sum(axis=1))
    return np.where(spread > 0, right * total - (true * given).sum(axis=1), 0.0) / np.sqrt(np.maximum(spread, 1.0))


def f1_of_counts(matrices: np.ndarray) -> np.ndarray:
    """Compute F1 of the second label from each confusion matrix [draws, 2, 2]."""
    return 2 * matrices[:, 1, 1] / np.maximum(matrices[:, 1, :].sum(axis=1) + matrices[:, :, 1].sum(axis=1), 1)


def macro_f1_of_counts(matrices: np.ndarray) -> np.ndarray:
    """Compute the mean of the labels' F1 from each confusion matrix; of the labels that are there or predicted."""
    right = matrices.diagonal(axis1=1, axis2=2)
    both = matrices.sum(axis=1) + matrices.sum(axis=2)
    return (2 * right / np.maximum(both, 1)).sum(axis=1) / np.maximum((both > 0).sum(axis=1), 1)


def accuracy_of_counts(matrices: np.ndarray) -> np.ndarray:
    """Compute the accuracy of each confusion matrix [draws, labels, predictions]."""
    return matrices.trace(axis1=1, axis2=2) / matrices.sum(axis=(1, 2))


CONFUSION_METRICS = {
    "matthews": matthews_of_counts,
    "f1": f1_of_counts,
    "macro_f1": macro_f1_of_counts,
    "accuracy": accuracy_of_counts,
}

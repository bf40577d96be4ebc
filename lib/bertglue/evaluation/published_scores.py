"""Scores that others published: the report, the BERT paper and two reference implementations, with intervals."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml

from bertglue.evaluation.metrics import BOOTSTRAP_RESAMPLES, NORMAL_QUANTILE, wilson

# the report's name of a column, our task and its validation split
TABLE_1_COLUMNS = {
    "CoLA": ("cola", "validation"),
    "SST-2": ("sst2", "validation"),
    "MRPC": ("mrpc", "validation"),
    "QQP": ("qqp", "validation"),
    "MNLI-m": ("mnli", "validation_matched"),
    "MNLI-mm": ("mnli", "validation_mismatched"),
    "QNLI": ("qnli", "validation"),
    "RTE": ("rte", "validation"),
}
PUBLISHED_LOGS = {"QNLI": "figure_10_qnli", "SST-2": "figure_12_sst2"}  # the curves that the report printed as logs
COLUMNS_NOT_IN_REPORT = {"STS-B": ("stsb", "validation"), "WNLI": ("wnli", "validation"), "AX": ("mnli", "ax")}
# (task, split) -> the printed name
PUBLISHED_NAMES = {place: name for name, place in (TABLE_1_COLUMNS | COLUMNS_NOT_IN_REPORT).items()}
REPORT, PAPER, HUGGING_FACE = "report", "BERT paper", "Hugging Face"
REFERENCE_IMPLEMENTATIONS = {HUGGING_FACE: "hf_run_glue_cased", "ClaF": "claf_uncased"}
# the metric of a score that names none, where it is not accuracy
MAIN_METRICS = {"CoLA": "matthews", "MRPC": "f1", "QQP": "f1", "STS-B": "pearson"}
TEST_METRICS = {**MAIN_METRICS, "STS-B": "spearman"}  # as BERT's authors print them
DEV, TEST = "dev", "test"


@functools.cache
def published_numbers() -> dict:
    """Read every number that the report, the BERT paper and the reference models printed."""
    return yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text(encoding="utf-8"))


@dataclass(frozen=True)
class PublishedScore:
    """A score that somebody printed, in 0..1, of GLUE's dev or test split."""

    who: str
    split: str
    name: str  # of the column, as in PUBLISHED_NAMES
    metric: str
    value: float

    @property
    def examples(self) -> int:
        return published_numbers()["glue_examples"][self.name][1 if self.split == DEV else 2]


@functools.cache
def published_scores() -> tuple[PublishedScore, ...]:
    """List every printed score."""
    found = []
    for name in TABLE_1_COLUMNS:
        column = published_numbers()["report"]["table_1"][name]
        for metric in ("accuracy", "f1"):
            if f"validation_{metric}" in column:
                found.append(PublishedScore(REPORT, DEV, name, metric, column[f"validation_{metric}"] / 100))
    for name, value in published_numbers()["bert_paper_test"].items():
        metric = TEST_METRICS.get(name, "accuracy")
        found.append(PublishedScore(PAPER, TEST, name, metric, value / 100))
    for who, key in REFERENCE_IMPLEMENTATIONS.items():
        for entry, value in published_numbers()["reference_dev"][key].items():
            name, _, metric = entry.partition("_")
            found.append(PublishedScore(who, DEV, name, metric or MAIN_METRICS.get(name, "accuracy"), value / 100))
    return tuple(found)


def find_published_score(who: str, name: str, metric: str) -> PublishedScore | None:
    """Find a published score; None where there is none."""
    return next((one for one in published_scores() if (one.who, one.name, one.metric) == (who, name, metric)), None)


def published_interval(one: PublishedScore) -> tuple[float, float] | None:
    """Return the 95 % interval of a published score over its examples, where it follows from what was published.

    Wilson's of an accuracy; Fisher's of a correlation; of an F1 beside an accuracy, a bootstrap over the four counts
    that follow from the two. The report's F1 is no F1 and has none.
    """
    if one.metric == "accuracy":
        return wilson(round(one.value * one.examples), one.examples)
    if one.metric in ("pearson", "spearman"):
        width = NORMAL_QUANTILE * np.sqrt((1.0 if one.metric == "pearson" else 1.06) / (one.examples - 3))
        return tuple(np.tanh(np.arctanh(one.value) + side * width) for side in (-1, 1))
    accuracy = find_published_score(one.who, one.name, "accuracy")
    if one.metric == "f1" and accuracy:
        return f1_interval(one.value, accuracy.value, one.examples)
    return None


def f1_interval(f1: float, accuracy: float, rows: int, seed: int = 0) -> tuple[float, float]:
    """Bootstrap an F1 from the counts that it and the accuracy leave: hits, errors of both kinds, and the rest."""
    wrong = 1 - accuracy
    hits = f1 * wrong / (2 * (1 - f1))  # from F1 = 2 hits / (2 hits + wrong)
    drawn = np.random.default_rng(seed).multinomial(rows, [hits, wrong, 1 - hits - wrong], size=BOOTSTRAP_RESAMPLES)
    low, high = np.percentile(2 * drawn[:, 0] / np.maximum(2 * drawn[:, 0] + drawn[:, 1], 1), (2.5, 97.5))
    return float(low), float(high)

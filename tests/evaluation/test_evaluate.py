"""Every labelled split is scored whole, beside its interval and its baseline."""

import numpy as np

from bertglue import evaluate
from bertglue.data.dataset import Data, Split
from bertglue.evaluation import metrics
from bertglue.tasks import AX, TASKS


def split(labels):
    return Split(dict.fromkeys(("premise", "hypothesis"), ["x"] * len(labels)), np.array(labels, "int32"))


def test_each_split_has_its_own_scores_and_ax_its_own_metric():
    data = Data(
        TASKS["mnli"],
        "toy",
        {
            "train": split([0, 0, 0, 1, 2]),
            "validation_matched": split([0, 1, 1, 1]),
            "validation_mismatched": split([2, 2, 0, 0, 0]),
            "test_matched": split([-1, -1]),
            "ax": split([0, 1, 2, 2]),
        },
    )
    predicted = {
        "validation_matched": [0, 1, 1, 2],
        "validation_mismatched": [2, 0, 0, 1, 1],
        "test_matched": [0, 1],
        "ax": [0, 1, 2, 0],
    }
    found = evaluate(data, {name: np.eye(3)[labels] for name, labels in predicted.items()})
    ax = metrics.METRIC_FUNCTIONS["matthews"]([0, 1, 2, 2], [0, 1, 2, 0])
    assert found.metrics == {
        "validation_matched": {"accuracy": 0.75}, "validation_mismatched": {"accuracy": 0.4}, "ax": {"matthews": ax}
    }  # fmt: skip
    assert found.baseline == {
        "validation_matched": {"accuracy": 0.25}, "validation_mismatched": {"accuracy": 0.6}, "ax": {"matthews": 0.0}
    }  # fmt: skip
    assert found.interval["validation_matched"] == {"accuracy": metrics.wilson(3, 4)}
    assert found.interval["ax"] == metrics.intervals(AX, np.array([0, 1, 2, 2]), np.array([0, 1, 2, 0]))

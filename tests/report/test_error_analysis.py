"""The page of error analysis, from the statistics and explanations that the repository keeps of the reference run."""

import numpy as np
import pytest
from shown import as_text

from bertglue.evaluation import metrics
from bertglue.report.pages import error_analysis
from bertglue.report.pages.common import other_precision_said
from bertglue.report.reference_runs import runs_by_task
from bertglue.tasks import TASKS


@pytest.fixture(params=list(error_analysis.statistics()))
def task(request):
    return TASKS[request.param]


def test_the_confusion_matrices_are_of_the_runs_that_were_kept(task):
    """Rows and accuracy that follow from the counts are those of the record of each seed."""
    runs = runs_by_task()[task.name]
    for split in task.validation:
        found = error_analysis.statistics()[task.name]["splits"][split]
        assert len(found["confusion"]) == len(runs)
        for counts, run in zip(map(np.array, found["confusion"]), runs, strict=True):
            assert counts.sum() == run["examples"][split]
            if not task.regression:
                accuracy = np.trace(counts) / counts.sum()
                assert accuracy == pytest.approx(run["metrics"][split].get("accuracy", accuracy))


def test_the_errors_of_groups_add_up_to_those_of_all(task):
    for split in task.validation:
        found = error_analysis.statistics()[task.name]["splits"][split]
        rows = {}
        for one in found["errors"]:
            rows.setdefault(one["by"], []).append((one["rows"], one["error"]))
            assert one["low"] <= one["error"] <= one["high"]
        if not task.regression:
            wrong = np.mean([1 - np.trace(counts) / np.sum(counts) for counts in map(np.array, found["confusion"])])
            for groups in rows.values():
                counts, errors = zip(*groups, strict=True)
                assert np.average(errors, weights=counts) == pytest.approx(wrong, abs=1e-4)


def test_the_calibration_error_of_the_bins_is_that_of_the_last_epoch(task):
    for split in () if task.regression else task.validation:
        found = error_analysis.statistics()[task.name]["splits"][split]["reliability"]
        for bins, run in zip(found, runs_by_task()[task.name], strict=True):
            kept = run["history"][run["kept_epoch"] - 1][split]["calibration_error"]
            assert metrics.error_of_bins(np.array(bins)) == pytest.approx(kept, abs=1e-3)


def test_tokens_are_shaded_by_what_they_add(monkeypatch):
    sentence = {
        "text": "the cast is hardly brilliant", "tokens": ["[CLS]", "a", "<b>", "c", "[SEP]"], "logits": [-1.0, 2.0],
        "attributions": [[9.0, -9.0], [-1.0, 1.0], [2.0, -2.0], [0.0, 0.0], [0.0, 0.0]],
    }  # fmt: skip
    monkeypatch.setattr(error_analysis, "explanations", lambda task: [sentence])
    shown = error_analysis.attributions("sst2").data
    assert "<span>[CLS]</span>" in shown  # no token of the text, whatever it is said to add
    assert '<span class="n5">&lt;b&gt;</span>' in shown
    assert '<span class="p2">a</span>' in shown
    assert "<b>" not in shown
    assert "positive, probability 0.953; <strong>wrong</strong>, a reader says negative" in shown


def test_what_is_not_there_yet_is_not_shown(monkeypatch, tmp_path):
    monkeypatch.setattr(error_analysis, "statistics", dict)
    monkeypatch.setattr(error_analysis, "REFERENCE_EXPLANATIONS", tmp_path)
    for draw in (error_analysis.confusion_matrices, error_analysis.error_rates):
        assert draw() is None
    assert error_analysis.attention_maps("mrpc") is None
    for shown in (
        error_analysis.attributions("sst2"),
        error_analysis.diagnostic(),
        error_analysis.paired_comparisons(),
    ):
        assert "not run yet" in shown.data
    assert "No final run" in error_analysis.error_findings()


@pytest.mark.parametrize(
    ("kinds", "beside", "said"),
    [
        (["float32"], ["float32", "mixed_bfloat16"], ""),
        (["mixed_bfloat16"], ["float32"], ", in bfloat16"),
        ([], ["float32"], ""),
    ],
)
def test_runs_in_another_precision_say_so(kinds, beside, said):
    runs, others = ([{"environment": {"precision": kind}} for kind in side] for side in (kinds, beside))
    assert other_precision_said(runs, others) == said


def test_figures_and_sentences_are_of_the_kept_files():
    figure = error_analysis.attention_maps("mrpc")
    assert len(figure.axes) == 72  # six layers of twelve heads
    assert "[CLS] and [SEP]" in error_analysis.attention_findings("mrpc")
    assert "MRPC, by word overlap" in error_analysis.error_findings()
    assert "nan" not in as_text(error_analysis.error_rates())

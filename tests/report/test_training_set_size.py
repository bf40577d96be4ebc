"""Scores by the number of rows of train: which runs are shown, and what is said of them."""

import pytest

from bertglue.report.pages import training_set_size as page


def run(task, rows, score, seed=0):
    split, metric = page.TASKS[task].validation[0], page.TASKS[task].metrics[0]
    return {
        "task": task, "seed": seed, "examples": {"train": rows}, "metrics": {split: {metric: score}},
        "environment": {"precision": "float32"},
        "interval": {split: {metric: [score - 0.05, score + 0.05]}}, "baseline": {split: {metric: 0.5}},
    }  # fmt: skip


@pytest.fixture
def kept(monkeypatch):
    stages = {
        "rows-minilm": [run("sst2", 1000, 0.8), run("sst2", 250, 0.53)],
        "rows-random": [run("sst2", 250, 0.5), run("sst2", 1000, 0.51)],
        "final": [run("sst2", 67349, 0.9), run("sst2", 67349, 0.1, seed=1), run("rte", 2490, 0.6)],
    }
    monkeypatch.setattr(page, "read_reference_runs", lambda stage: stages.get(stage, []))
    return stages


def test_points_are_of_the_first_seed_and_of_the_tasks_that_have_parts(kept):
    frame = page.points()
    assert frame[["task", "encoder", "rows", "score"]].to_numpy().tolist() == [
        ["sst2", page.MINILM, 250, 0.53], ["sst2", page.UNTRAINED, 250, 0.5], ["sst2", page.MINILM, 1000, 0.8],
        ["sst2", page.UNTRAINED, 1000, 0.51], ["sst2", page.MINILM, 67349, 0.9],
    ]  # fmt: skip


def against(stage, rows, gain):
    return {"stage": stage, "rows": [rows, 250], "second": 0.53, "gain": gain, "low": gain - 0.01, "high": gain + 0.01}


def test_the_fewest_rows_of_minilm_are_compared_with_the_most_of_the_others(kept):
    found = {"sst2": {"rows": [against("rows-bundled", 4000, -0.2), against("rows-random", 1000, 0.02)]}}
    assert page.findings({**found, "rte": {"rows": []}}) == (
        "- SST-2: MiniLM on 250 rows reaches 0.530, -0.200 (-0.210 to -0.190) over the bundled encoder on 4,000 rows "
        "and +0.020 (+0.010 to +0.030) over MiniLM's sizes, randomly initialized on 1,000 rows."
    )
    kept["final"][0]["environment"]["precision"] = "mixed_bfloat16"
    assert page.findings(found).endswith(
        "Runs of SST-2 were computed in float32 and mixed_bfloat16, each in what its processor multiplies in fastest."
    )


def test_the_figure_has_a_panel_for_each_task_and_its_description_the_baseline(kept):
    figure = page.by_rows(page.points())
    assert [axis.get_title() for axis in figure.axes] == ["SST-2"]
    assert "Accuracy over rows of train" in figure.get_gid()
    assert "baseline 0.5" in figure.get_gid()


def test_without_such_runs_it_is_said(monkeypatch):
    monkeypatch.setattr(page, "read_reference_runs", lambda stage: [])
    assert page.by_rows(page.points()) is None
    assert page.findings({}) == "No run with a part of train is kept yet."

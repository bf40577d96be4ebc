"""What the README and the book say of speed follows from the recorded measurements."""

import json
import statistics

import pytest

from bertglue.report import training_speed
from bertglue.report.measured_files import COST_GROWTH


def measured(contestant, turn, seconds, race="4x256, sst2"):
    return {
        "race": race, "contestant": contestant, "turn": turn, "tokenize": 1.0, "epochs": [9.0, seconds],
        "evaluate": 2.0, "examples": 100, "evaluated": 400, "accuracy": 0.8, "precision": "float32",
        "matrix_gflops": 100.0, "peak_memory_mb": 1500, "peak_share": 0.4,
    }  # fmt: skip


@pytest.fixture
def result():
    ours = [measured("bertglue", turn, seconds) for turn, seconds in enumerate((1.0, 2.0, 4.0), 1)]
    theirs = [measured("run_glue", turn, seconds) for turn, seconds in enumerate((5.0, 20.0, 8.0), 1)]
    return training_speed.build_result(settings=[], runs=theirs + ours)


def test_rates_are_medians_and_ratios_those_of_the_same_turn(result):
    found = training_speed.contestants(result, "4x256, sst2")
    assert list(found.index) == ["run_glue", "bertglue"]
    assert found.loc["bertglue", "training"] == 50
    assert found.loc["run_glue", "ahead"] == statistics.median([5, 10, 2])
    assert found.loc["run_glue", "first_epoch"] == 10
    assert training_speed.summary(result).loc[0, "run_glue"] == "12.5 (5.0 x)"
    assert training_speed.details(result, "4x256, sst2").loc[0, "accuracy"] == "0.800 ± 0.020"


def test_what_is_kept_is_read_back_and_shown(result, tmp_path):
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{training_speed.README_BEGIN}old\n{training_speed.README_END}after\n")
    training_speed.keep_result(result, tmp_path / "speed.json", readme)
    assert training_speed.read_result(tmp_path / "speed.json") == json.loads(json.dumps(result))
    text = readme.read_text()
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "12.5 (5.0 x)" in text
    assert "old" not in text


def test_races_that_were_not_run_anew_stay_where_nothing_else_changed(result):
    other = training_speed.build_result(settings=[{"name": "other"}], runs=[measured("bertglue", 1, 1.0, race="other")])
    merged = training_speed.merge(result, other)
    assert training_speed.races(merged) == ["4x256, sst2", "other"]
    again = training_speed.build_result(settings=[], runs=[measured("bertglue", 1, 0.5)])
    assert (
        training_speed.contestants(training_speed.merge(merged, again), "4x256, sst2").loc["bertglue", "training"]
        == 200
    )
    assert training_speed.races(training_speed.merge({**result, "processor": "another"}, other)) == ["other"]


def test_the_readme_shows_the_recorded_figures():
    assert training_speed.markdown(training_speed.read_result()) in training_speed.README_FILE.read_text(
        encoding="utf-8"
    )


def test_growth_is_drawn_and_worded():
    result = training_speed.read_result(COST_GROWTH)
    assert len(training_speed.growth_figure(result).axes) == 4
    assert f"{result['rows'][-1]['rows']:,} rows" in training_speed.growth_findings(result)

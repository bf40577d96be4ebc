"""What the README and the book say of speed follows from the recorded measurements."""

import json
import statistics

import pytest

from bertglue.report import race_results, training_speed
from bertglue.report.measured_files import COST_GROWTH

RACE = "MiniLM, mrpc"
LABELS = "0101" * 100


def setting(name=RACE):
    return {"name": name, "metric": "accuracy", "labels": LABELS, "train": None, "validation": 200}


def measured(contestant, turn, seconds, race=RACE, wrong=80):
    return {
        "race": race, "contestant": contestant, "turn": turn, "tokenize": 1.0, "first_step": 7.0, "whole": 60.0,
        "epochs": [9.0, seconds], "evaluate": 2.0, "examples": 100, "predictions": "10" * (wrong // 2) + LABELS[wrong:],
        "precision": "float32", "matrix_gflops": 100.0, "peak_memory_mb": 1500, "peak_share": 0.4,
        "huge_pages": turn > 1,
    }  # fmt: skip


@pytest.fixture
def result():
    ours = [measured("bertglue", turn, seconds) for turn, seconds in enumerate((1.0, 2.0, 4.0), 1)]
    theirs = [measured("run_glue", turn, seconds, wrong=120) for turn, seconds in enumerate((5.0, 20.0, 8.0), 1)]
    return race_results.build_result(settings=[setting()], runs=theirs + ours)


def test_rates_are_medians_and_ratios_those_of_the_same_turn(result):
    found = training_speed.contestants(result, RACE)
    assert list(found.index) == ["run_glue", "bertglue"]
    assert found.loc["bertglue", "training"] == 50
    assert found.loc["bertglue", "evaluation"] == 200
    assert found.loc["run_glue", "ahead"] == statistics.median([5, 10, 2])
    assert training_speed.summary(result).loc[0, "run_glue"] == "12.5 (5.0 x, 2.0 to 10.0)"
    assert training_speed.details(result).loc[1].to_dict() == {
        "encoder, rows of": RACE, "contestant": "bertglue", "precision": "float32", "trained/s": "50",
        "evaluated/s": "200", "first step, s": "7.0", "whole, s": "60", "GB": "1.5",
    }  # fmt: skip


def test_a_contestant_that_did_not_run_is_left_blank(result):
    other = {"settings": [setting("other")], "runs": [measured("bertglue", 1, 1.0, race="other")]}
    both = race_results.merge(result, race_results.build_result(**other))
    shown = training_speed.summary(both).values.tolist()
    assert shown == [[RACE, "12.5 (5.0 x, 2.0 to 10.0)", "50"], ["other", "", "100"]]


def test_conditions_name_the_turns_that_had_small_pages(result):
    assert "Large arrays lay on huge pages in all turns but MiniLM, mrpc, turn 1. " in training_speed.conditions(result)
    for run in result["runs"]:
        run["huge_pages"] = True
    assert "Large arrays lay on huge pages in all turns. " in training_speed.conditions(result)


def test_scores_are_compared_on_the_same_rows(result):
    found = training_speed.scores(result).set_index("contestant")
    assert found["score"].to_dict() == {"run_glue": "0.700", "bertglue": "0.800"}
    assert found.loc["bertglue", "ours above it"] == ""
    gain, low, high = training_speed.contestants(result, RACE).loc["run_glue", "gain"]
    assert gain == pytest.approx(0.1)
    assert 0 < low < 0.1 < high  # the same rows are wrong in both, so that chance has little part in it
    assert found.loc["run_glue", "ours above it"] == f"+0.100 ({low:+.3f} to {high:+.3f})"


def test_what_is_kept_is_read_back(result, tmp_path):
    race_results.keep_result(result, tmp_path / "speed.json")
    assert race_results.read_result(tmp_path / "speed.json") == json.loads(json.dumps(result))
    assert training_speed.headline(result, result).endswith(
        "the fastest peer's (run_glue): MiniLM 5.0 on MRPC (turns: 3); on a processor with bfloat16 "
        "MiniLM 5.0 on MRPC (turns: 3)."
    )


def test_turns_that_were_not_run_anew_stay_where_nothing_else_changed(result):
    other = race_results.build_result(settings=[setting("other")], runs=[measured("bertglue", 1, 1.0, race="other")])
    merged = race_results.merge(result, other)
    assert race_results.races(merged) == [RACE, "other"]
    again = race_results.build_result(settings=[setting()], runs=[measured("bertglue", 3, 0.5)])
    found = race_results.merge(merged, again)
    assert race_results.races(found) == [RACE, "other"]
    turns = [(run["contestant"], run["turn"], run["epochs"][-1]) for run in found["runs"] if run["race"] == RACE]
    assert turns == [
        ("run_glue", 1, 5.0), ("bertglue", 1, 1.0), ("run_glue", 2, 20.0), ("bertglue", 2, 2.0), ("bertglue", 3, 0.5),
    ]  # fmt: skip
    assert race_results.races(race_results.merge({**result, "processor": "another"}, other)) == ["other"]


def test_growth_is_drawn_and_worded():
    result = race_results.read_result(COST_GROWTH)
    assert len(training_speed.growth_figure(result).axes) == 6
    assert f"{result['rows'][-1]['rows']:,} rows" in training_speed.growth_findings(result)

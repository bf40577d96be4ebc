"""What the README and the book say of the speed of prediction follows from the recorded measurements."""

import pytest

from bertglue.report import prediction_speed, race_results

RACE = "MiniLM, mrpc"


def measured(contestant, turn, seconds, same=1.0):
    return {
        "race": RACE, "contestant": contestant, "turn": turn, "precision": "float32", "rows": 100, "seconds": seconds,
        "single": 0.012, "first_answer": 4.5, "peak_memory_mb": 1200 + 100 * turn, "huge_pages": True, "same": same,
    }  # fmt: skip


@pytest.fixture
def result():
    ours = [measured("bertglue", turn, seconds) for turn, seconds in enumerate((2.0, 4.0, 8.0), 1)]
    fastest = [measured(prediction_speed.FASTEST, turn, s, 0.98) for turn, s in enumerate((1.0, 2.0, 4.0), 1)]
    theirs = [measured("transformers, pipeline", turn, s, 1 - turn / 50) for turn, s in enumerate((5.0, 20.0, 8.0), 1)]
    return race_results.build_result(settings=[{"name": RACE, "rows": 100}], runs=theirs + ours + fastest)


def test_rates_are_medians_and_ratios_those_of_the_same_turn(result):
    assert prediction_speed.summary(result).to_dict("records") == [
        {
            "encoder, rows of": RACE, "contestant": "transformers, pipeline", "precision": "float32", "rows/s": "12.5",
            "--precision auto is": "5.0 x, 2.0 to 10.0", "single row, ms": "12.0", "first answer, s": "4.5",
            "GB": "1.4", "answers as bertglue": "94.00%",
        },
        {
            "encoder, rows of": RACE, "contestant": "bertglue", "precision": "float32", "rows/s": "25",
            "--precision auto is": "2.0 x", "single row, ms": "12.0", "first answer, s": "4.5", "GB": "1.4",
            "answers as bertglue": "100.00%",
        },
        {
            "encoder, rows of": RACE, "contestant": "bertglue, --precision auto", "precision": "float32",
            "rows/s": "50", "--precision auto is": "", "single row, ms": "12.0", "first answer, s": "4.5", "GB": "1.4",
            "answers as bertglue": "98.00%",
        },
    ]  # fmt: skip


def test_the_sentences_name_rows_turns_and_machine(result):
    said = prediction_speed.conditions(result)
    assert said.startswith(
        "Rows: 100 (MiniLM, mrpc). Turns, over which a median is taken: 3 (MiniLM, mrpc). Large arrays lay on huge "
        f"pages in all turns. {result['processor']}; "
    )
    start = "Prediction speed (`--precision auto`), times transformers' pipeline (times the fastest peer's): MiniLM"
    assert prediction_speed.headline(result) == f"{start} 5.0 (5.0) on MRPC (turns: 3)."
    faster = [measured("onnxruntime", turn, seconds) for turn, seconds in enumerate((0.5, 1.0, 2.0), 1)]
    both = result | {"runs": [*result["runs"], *faster]}
    assert prediction_speed.headline(both).startswith(f"{start} 5.0 (0.5) on MRPC")


def test_turns_are_kept_as_they_come(result, tmp_path):
    keeper = race_results.Keeper(tmp_path / "speed.json")
    for turn in (1, 2, 3):
        assert not race_results.has_turn(tmp_path / "speed.json", RACE, turn)
        keeper({**result, "runs": [run for run in result["runs"] if run["turn"] == turn]})
        assert race_results.has_turn(tmp_path / "speed.json", RACE, turn)
        assert {run["turn"] for run in keeper.result["runs"]} == set(range(1, turn + 1))
    assert keeper.total == race_results.read_result(tmp_path / "speed.json")
    assert not race_results.has_turn(tmp_path / "speed.json", RACE, 1, ("onnxruntime", "torch"))  # other packages

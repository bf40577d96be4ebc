"""What is computed from the kept logits of the reference run, on small files."""

import json

import numpy as np
import pytest
from small_glue import write_glue

from bertglue.data.load_data import load_data
from bertglue.errors import InputError
from bertglue.tasks import TASKS
from bertglue.tools import reference_statistics as statistics


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_glue(tmp_path / "glue", ("RTE", "STS-B"), train=8, dev=24, test=0)
    statistics.STATISTICS.parent.mkdir(parents=True)
    return tmp_path / "glue"


def keep(stage, unit, logits):
    path = statistics.LOGITS / stage / f"{unit}.npz"
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, validation=logits.astype("float32"))


def test_right_and_wrong_predictions_are_counted_and_compared(here):
    labels = load_data(TASKS["rte"], "folder", glue_dir=str(here))["validation"].labels
    right = np.eye(2)[labels]
    keep("final", "rte-0", right)
    keep("final", "rte-1", right)
    keep("random", "rte-0", 1 - right)
    assert statistics.write_statistics(here) == statistics.STATISTICS
    found = json.loads(statistics.STATISTICS.read_text())["rte"]
    split = found["splits"]["validation"]
    assert split["confusion"] == [np.diag(np.bincount(labels)).tolist()] * 2
    assert {group["error"] for group in split["errors"]} == {0.0}
    (bins,) = {json.dumps(bins) for bins in split["reliability"]}
    assert json.loads(bins) == [[24, pytest.approx(np.e / (1 + np.e)), 1.0]]
    (against,) = found["against"]["random"]
    assert (against["first"], against["second"], against["gain"], against["seeds"]) == (0.0, 1.0, 1.0, [1, 2])
    assert 0 < against["p_value"] < 1e-6
    assert found["against"]["after-mnli"] == []


def test_the_fewest_rows_of_one_encoder_are_compared_with_the_most_of_the_others(here):
    labels = load_data(TASKS["rte"], "folder", glue_dir=str(here))["validation"].labels
    right = np.eye(2)[labels]
    keep("final", "rte-0", right)
    for stage, rows, logits in (
        ("rows-minilm", 4, right), ("rows-minilm", 8, 1 - right),
        ("rows-random", 4, right), ("rows-random", 8, 1 - right),
    ):  # fmt: skip
        keep(stage, f"rte-{rows}", logits)
    statistics.write_statistics(here)
    (one,) = json.loads(statistics.STATISTICS.read_text())["rte"]["rows"]
    assert (one["stage"], one["rows"], one["second"], one["gain"]) == ("rows-random", [8, 4], 1.0, 1.0)


def test_scores_are_counted_in_bins(here):
    labels = load_data(TASKS["stsb"], "folder", glue_dir=str(here))["validation"].labels
    keep("final", "stsb-0", labels[:, None])
    statistics.write_statistics(here)
    split = json.loads(statistics.STATISTICS.read_text())["stsb"]["splits"]["validation"]
    (seed,) = split["confusion"]
    assert np.trace(seed) == np.sum(seed) == 24
    assert "reliability" not in split


def test_logits_of_other_rows_are_one_line(here):
    keep("final", "rte-0", np.zeros((23, 2)))
    with pytest.raises(InputError, match="24 rows are in the files, and 23 were predicted"):
        statistics.write_statistics(here)


def test_nothing_is_written_where_nothing_is_kept(here, capsys):
    assert statistics.main([str(here)]) == 0
    assert "no logits are kept yet" in capsys.readouterr().out
    assert not statistics.STATISTICS.exists()

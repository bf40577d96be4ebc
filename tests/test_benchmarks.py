"""What the benchmarks race on is what they say."""

import importlib.util
import sys
from pathlib import Path

import pytest

from bertglue.data.glue_files import LAYOUTS

TRAINING = Path(__file__).parents[1] / "benchmarks" / "training.py"


@pytest.fixture(scope="module")
def training():
    spec = importlib.util.spec_from_file_location("benchmark_of_training", TRAINING)
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, spec.name, module)  # where dataclasses look for their types
        spec.loader.exec_module(module)
        yield module


@pytest.mark.parametrize(("task", "header"), [("cola", ""), ("sst2", "sentence\tlabel\n")])
def test_chosen_rows_are_taken_with_the_header_that_the_file_has(training, tmp_path, task, header):
    layout = LAYOUTS[task]
    (tmp_path / layout.folder).mkdir()
    (tmp_path / layout.folder / "train.tsv").write_text(header + "a\t1\nb\t0\nc\t1\n")
    training.take_rows(layout, "train", [0, 2], 3, tmp_path, tmp_path / "out")
    assert (tmp_path / "out" / layout.folder / "train.tsv").read_text() == header + "a\t1\nc\t1\n"
    training.take_rows(layout, "train", [0, 1, 2], 3, tmp_path, tmp_path / "all")
    assert (tmp_path / "all" / layout.folder / "train.tsv").read_text() == header + "a\t1\nb\t0\nc\t1\n"
    with pytest.raises(SystemExit, match=r"train.tsv has 3 lines for 2 rows; race on all of them"):
        training.take_rows(layout, "train", [1], 2, tmp_path, tmp_path / "cut")


def test_each_contestant_of_a_race_has_a_command(training):
    assert {name for setting in training.SETTINGS for name in setting.contestants} <= set(training.commands())

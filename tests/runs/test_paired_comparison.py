"""Two runs of a task, compared on the same rows."""

import numpy as np
import pytest
from made_runs import write_run
from typer.testing import CliRunner

from bertglue import cli
from bertglue.errors import InputError
from bertglue.evaluation.metrics import METRIC_FUNCTIONS, predictions_of
from bertglue.evaluation.significance import mcnemar, paired_bootstrap
from bertglue.parameters import Parameters
from bertglue.runs.paired_comparison import compare_runs
from bertglue.runs.record import read_labels, read_logits, write_arrays
from bertglue.tasks import TASKS


def made(folder, task="mrpc", right=0.75, **values):
    write_run(folder, Parameters(task=task, run_dir=str(folder), **values), right)
    return folder


def predicted(folder, task="mrpc", split="validation"):
    labels, logits = (read(folder / name, TASKS[task])[split] for read, name in (
        (read_labels, "labels.npz"), (read_logits, "logits.npz")))  # fmt: skip
    return labels, predictions_of(TASKS[task], logits)


def test_the_gain_is_that_of_the_paired_tests(tmp_path):
    first, second = made(tmp_path / "a", right=0.5), made(tmp_path / "b", right=0.9)
    labels, theirs = predicted(first)
    _, ours = predicted(second)
    task, found = compare_runs(first, second)
    assert task is TASKS["mrpc"]
    assert [each.metric for each in found] == ["f1", "accuracy"]
    for each in found:
        score = METRIC_FUNCTIONS[each.metric]
        assert (each.first, each.second) == (score(labels, theirs), score(labels, ours))
        assert (each.gain, each.low, each.high) == paired_bootstrap(each.metric, labels, theirs, ours)
        assert each.p_value == mcnemar(labels, theirs, ours)
        assert each.beyond_chance == (each.low > 0)


def test_several_seeds_of_one_recipe_are_a_side(tmp_path):
    for seed in range(2):
        made(tmp_path / "a" / str(seed), right=0.5 + 0.1 * seed, seed=seed)
    single = made(tmp_path / "b", right=0.9)
    _, found = compare_runs(tmp_path / "a", single)
    scores = [compare_runs(tmp_path / "a" / str(seed), single)[1][1].first for seed in range(2)]
    assert found[1].first == pytest.approx(np.mean(scores))


@pytest.mark.parametrize("place", ["a/1", "b"])
def test_every_run_of_a_side_has_the_same_rows(tmp_path, place):
    for folder, seed in (("a/0", 0), ("a/1", 1), ("b", 0)):
        made(tmp_path / folder, seed=seed)
    path = tmp_path / place / "labels.npz"
    labels = read_labels(path, TASKS["mrpc"])
    write_arrays(path, {split: 1 - values for split, values in labels.items()})
    with pytest.raises(InputError, match="have different rows of validation; run them on the same data"):
        compare_runs(tmp_path / "a", tmp_path / "b")


def test_scores_have_no_mcnemar(tmp_path):
    shown = CliRunner().invoke(cli.app, ["compare", *(str(made(tmp_path / name, "stsb")) for name in "ab")])
    assert shown.exit_code == 0
    assert "Pearson" in shown.output
    assert "+0.000" in shown.output
    assert "p =" not in shown.output
    assert "McNemar" not in shown.output


def test_every_validation_split_is_compared(tmp_path):
    _, found = compare_runs(*(made(tmp_path / name, "mnli") for name in "ab"))
    assert [each.split for each in found] == list(TASKS["mnli"].validation)


def test_what_cannot_be_compared_is_refused(tmp_path):
    run, other = made(tmp_path / "a"), made(tmp_path / "b", "rte")
    with pytest.raises(InputError, match="a is of MRPC and .*b of RTE; give two runs of one task"):
        compare_runs(run, other)
    with pytest.raises(InputError, match="none: no finished run is there"):
        compare_runs(run, tmp_path / "none")
    made(tmp_path / "c" / "one")
    made(tmp_path / "c" / "two", learning_rate=1e-3)
    with pytest.raises(InputError, match="differ in learning_rate; give runs that differ in their seed alone"):
        compare_runs(run, tmp_path / "c")
    changed = made(tmp_path / "d")
    labels = read_labels(changed / "labels.npz", TASKS["mrpc"])
    np.savez(changed / "labels.npz", **{name: 1 - rows for name, rows in labels.items()})
    with pytest.raises(InputError, match="different rows of validation"):
        compare_runs(run, changed)

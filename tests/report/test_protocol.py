"""A grid of runs: what the page on the protocol says of rates, seeds, failures and differences."""

import numpy as np
import pytest
from made_runs import EPOCHS, ROWS, write_run
from shown import as_text

from bertglue.errors import InputError
from bertglue.evaluation import aggregate, metrics, significance
from bertglue.parameters import Parameters
from bertglue.report.pages import protocol
from bertglue.runs.collection import Runs, collect_runs, load_runs
from bertglue.runs.record import write_arrays
from bertglue.tasks import TASKS

RIGHT = {1e-3: (0.8, 0.9, 0.7), 1e-4: (0.55, 0.6, 0.0)}  # of the rows of each seed, by rate


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder, expected = tmp_path_factory.mktemp("grid"), {}
    for task in ("rte", "stsb"):
        for rate, shares in RIGHT.items():
            for seed, right in enumerate(shares):
                parameters = Parameters(task=task, epochs=EPOCHS, learning_rate=rate, seed=seed)
                where = folder / task / f"lr{rate:g}-seed{seed}"
                write_run(where, parameters, right)
                expected[str(where)] = parameters.model_dump()
    collect_runs(expected, folder / "results.json", folder / "logs")
    return folder / "results.json"


@pytest.fixture
def runs(place):
    return load_runs(place)


def test_the_grid_is_counted_and_what_chooses_is_said(runs):
    said = protocol.summary(runs.records)
    assert said.startswith("12 runs: 2 tasks, 2 learning rates, 3 seeds.")
    assert "selected on validation, as the BERT paper did" in said
    assert "SEEDS=" in protocol.summary([runs["rte"]])
    assert protocol.summary([]) == "No run has finished."


def test_rates_are_set_side_by_side_and_the_better_one_is_chosen(runs):
    shown = protocol.learning_rates(runs.records).data
    assert "0.001 (chosen)" in shown
    assert "0.800 ± 0.100" in shown  # of .8, .9 and .7
    assert {task.name: runs[0]["learning_rate"] for task, runs in protocol.chosen(runs.records).items()} == {
        "rte": 1e-3, "stsb": 1e-3,
    }  # fmt: skip


def test_seeds_have_their_mean_median_best_and_interval(runs):
    shown = protocol.seeds(runs.records).data
    for value in (0.8, 0.9, 0.1):
        assert f"<td>{value:.3f}</td>" in shown
    low, high = aggregate.mean_interval(protocol.chosen(runs.records)[TASKS["rte"]], "validation", "accuracy")
    assert f"{low:.3f} to {high:.3f}" in shown


def test_runs_that_learned_nothing_are_counted_and_named(runs):
    lost = [run for run in runs.records if protocol.failed(run)]
    assert {(run["learning_rate"], run["seed"]) for run in lost} >= {(1e-4, 2)}
    for run in lost:
        name = TASKS[run["task"]].metrics[0]
        assert run["metrics"]["validation"][name] <= run["baseline"]["validation"][name]
    said = protocol.failures(runs.records)
    assert said.startswith(f"{len(lost)} of 12 runs ended at or below the baseline: ")
    assert "RTE (rate 0.0001, seed 2)" in said
    assert protocol.failures([run for run in runs.records if run not in lost]).startswith("None of the ")


def test_a_run_has_failed_where_no_metric_is_above_its_baseline():
    run = {"task": "mrpc", "baseline": {"validation": {"f1": 0.81, "accuracy": 0.68}}}
    for f1, accuracy, expected in ((0.81, 0.68, True), (0.8, 0.7, False), (0.82, 0.68, False), (0.5, 0.5, True)):
        scored = run | {"metrics": {"validation": {"f1": f1, "accuracy": accuracy}}}
        assert protocol.failed(scored) is expected


def test_the_epochs_that_were_tried_are_of_the_chosen_learning_rate():
    def tried(rate, epochs, score):
        return {"task": "cola", "learning_rate": rate, "epochs": epochs, "seed": 0, "metrics": {"held_out": score}}

    searched = [tried(1e-4, 3, {"matthews": 0.2}), tried(2e-4, 3, {"matthews": 0.3})]
    longer = [tried(1e-4, 5, {"matthews": 0.9}), tried(2e-4, 5, {"matthews": 0.4})]
    shown = as_text(protocol.epochs(searched, longer)).splitlines()
    assert shown[-2:] == ["CoLA | 0.0002 | 0 | 3 | 0.300", "CoLA | 0.0002 | 0 | 5 (chosen) | 0.400"]
    dropped = {**longer[1], "parameters": {"encoder_dropout": 0.1}, "metrics": {"held_out": {"matthews": 0.9}}}
    shown = as_text(protocol.epochs(searched, [*longer, dropped])).splitlines()
    assert shown[-2:] == ["CoLA | 0.0002 | 0 | 5 (chosen) | 0.400", "CoLA | 0.0002 | 0.1 | 5 | 0.900"]


def test_a_difference_is_judged_on_the_same_rows(runs):
    shown = protocol.differences(runs).data
    assert "0.001 against 0.0001" in shown
    same = {
        rate: of
        for (rate,), of in aggregate.group_runs(
            [r for r in runs.records if r["task"] == "rte"], "learning_rate"
        ).items()
    }
    labels, ours = protocol.labels_and_predictions(runs, same[1e-3], "validation")
    _, theirs = protocol.labels_and_predictions(runs, same[1e-4], "validation")
    gain, low, _ = significance.paired_bootstrap("accuracy", labels, theirs, ours)
    assert f"{gain:+.3f}" in shown
    assert low > 0
    assert ">yes<" in shown
    assert f"p = {significance.mcnemar(labels, theirs[0], ours[0]):.2g}" in shown


def test_one_run_a_task_has_no_differences_and_none_has_no_tables(runs):
    one = Runs([runs["rte"]], place=runs.place)
    assert "against" not in protocol.differences(one).data
    assert protocol.spreads(one.records) is protocol.spreads([]) is None
    assert "Empty" not in protocol.differences(Runs()).data
    for show in (protocol.learning_rates, protocol.seeds):
        assert show([]).data
    assert protocol.failures([]) == ""


def test_runs_that_were_validated_on_other_rows_are_not_compared(runs, tmp_path):
    same = protocol.chosen(runs.records)[TASKS["rte"]][:2]
    for number, run in enumerate(same):
        folder = tmp_path / run["run"]
        folder.mkdir(parents=True)
        write_arrays(folder / "labels.npz", {"validation": np.arange(ROWS) % 2 ^ number})
        write_arrays(folder / "logits.npz", {"validation": np.eye(ROWS, 2)})
    with pytest.raises(InputError, match="the runs of rte validate on different rows; remove their folders"):
        protocol.labels_and_predictions(Runs(same, place=tmp_path), same, "validation")


def test_the_reference_run_has_its_tables():
    real = protocol.pretrained_bundled_runs()
    assert "6 tasks, 3 learning rates, 3 seeds" in protocol.summary(real)
    assert "on a held-out part of train" in protocol.summary(real)
    assert "(chosen)" in protocol.learning_rates(real).data
    assert protocol.seeds(real).data.count("<tr") == 1 + sum(
        len(TASKS[name].validation) * len(TASKS[name].metrics)
        for name in ("cola", "sst2", "mrpc", "qqp", "mnli", "qnli")
    )
    assert metrics.METRIC_TITLES["matthews"] in protocol.seeds(real).data

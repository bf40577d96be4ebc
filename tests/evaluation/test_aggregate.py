"""Several runs of a task: which rate is taken, and the mean with its standard error; what pre-training gives."""

import json

import pytest

from bertglue.atomic_files import write_json
from bertglue.evaluation import aggregate
from bertglue.evaluation.published_scores import published_numbers
from bertglue.report import encoder_card, reference_runs
from bertglue.report.pages import pretraining_gain
from bertglue.runs import record as run_record
from bertglue.tasks import TASKS


def run(rate=1e-3, seed=0, *, task="sst2", encoder="bundled", held_out=0.5, score=0.5, width=0.0):
    """The record of a run: `score` on validation, with an interval of that width, `held_out` on the part of train."""
    splits = {**dict.fromkeys(TASKS[task].validation, score), **({} if held_out is None else {"held_out": held_out})}

    def of_each(value):
        return {split: dict.fromkeys(TASKS[task].metrics, value(score)) for split, score in splits.items()}

    return {
        "task": task,
        "encoder": encoder,
        "learning_rate": rate,
        "seed": seed,
        "metrics": of_each(lambda score: score),
        "interval": of_each(lambda score: (score - width / 2, score + width / 2)),
        "baseline": of_each(lambda score: 0.5),
        "examples": {"train": 90, **dict.fromkeys(splits, 10)},
    }


def test_the_rate_is_chosen_by_the_mean_on_what_was_held_out_not_on_validation():
    bad, good = [run(1e-3, held_out=0.6, score=0.9)] * 2, [run(1e-4, 0, held_out=0.9), run(1e-4, 1, held_out=0.5)]
    assert aggregate.selection_split(bad + good) == "held_out"
    assert aggregate.best_learning_rate(bad + good) == good


def test_without_held_out_rows_validation_chooses():
    runs = [run(1e-3, held_out=None, score=0.9), run(1e-4, held_out=None, score=0.8)]
    assert aggregate.selection_split(runs) == "validation"
    assert aggregate.best_learning_rate(runs) == runs[:1]


def test_the_standard_error_has_the_spread_of_seeds_and_the_sampling_of_examples():
    runs = [run(seed=seed, score=score, width=2 * 1.959964 * 0.03) for seed, score in enumerate((0.7, 0.8, 0.9))]
    mean, error = aggregate.mean_and_error(runs, "validation", "accuracy")
    assert mean == pytest.approx(0.8)
    assert error == pytest.approx((0.1**2 / 3 + 0.03**2) ** 0.5)
    assert aggregate.mean_and_error(runs[:1], "validation", "accuracy")[1] == pytest.approx(0.03)


def test_the_interval_of_a_mean_is_so_many_standard_errors_wide():
    runs = [run(seed=seed, score=score, width=0.1) for seed, score in enumerate((0.7, 0.8, 0.9))]
    mean, error = aggregate.mean_and_error(runs, "validation", "accuracy")
    assert aggregate.mean_interval(runs, "validation", "accuracy") == pytest.approx(
        (mean - 1.959964 * error, mean + 1.959964 * error)
    )
    assert aggregate.mean_interval(runs[:1], "validation", "accuracy") == pytest.approx((0.65, 0.75))


def test_a_learning_rate_is_scored_by_the_mean_over_metrics_and_seeds():
    runs = [run(task="mrpc", seed=seed) for seed in (0, 1)]
    runs[0]["metrics"]["validation"] = {"f1": 0.9, "accuracy": 0.7}
    runs[1]["metrics"]["validation"] = {"f1": 0.5, "accuracy": 0.1}
    assert aggregate.learning_rate_score(runs, "validation") == pytest.approx((0.8 + 0.3) / 2)


def test_runs_are_grouped_by_what_they_share_in_the_order_in_which_it_comes():
    runs = [run(2, 0), run(1, 0), run(2, 1)]
    assert aggregate.group_runs(runs, "learning_rate") == {(2,): [runs[0], runs[2]], (1,): [runs[1]]}
    assert list(aggregate.group_runs(runs, "learning_rate", "seed")) == [(2, 0), (1, 0), (2, 1)]


def test_one_run_without_held_out_rows_is_enough_for_validation_to_select():
    assert aggregate.selection_split([run(), run(held_out=None)]) == "validation"
    assert aggregate.selection_split([run(task="mnli", held_out=None)]) == "validation_matched"


def test_the_comparison_takes_the_best_rate_of_each_encoder():
    width = 2 * 1.959964 * 0.04
    fresh = [run(rate, task="mnli", encoder="bundled-random", held_out=rate, score=0.6, width=width) for rate in (1, 2)]
    trained = [run(1e-4, task="mnli", held_out=0.9, score=0.75, width=width * 3 / 4), run(1e-3, task="mnli")]
    frame = pretraining_gain.comparison([*fresh, *trained, run(task="cola")])  # CoLA has no other half
    assert list(frame["split"]) == ["validation_matched", "validation_mismatched"]
    assert frame["gain"].tolist() == pytest.approx([0.15, 0.15])
    assert frame["error"].tolist() == pytest.approx([0.05, 0.05])
    shown = pretraining_gain.scores_frame([*fresh, *trained])
    assert shown["gain (in errors)"].tolist() == ["+0.150 (3.0)", "+0.150 (3.0)"]
    assert "ahead by more than two standard errors on MNLI, matched; MNLI, mismatched." in pretraining_gain.findings(
        [*fresh, *trained]
    )
    tiny = published_numbers()["small_bert_test"]["tiny_2x128"]
    assert shown["BERT-Tiny, test"].tolist() == [f"{tiny[name] / 100:.3f}" for name in ("MNLI-m", "MNLI-mm")]
    assert pretraining_gain.rates_frame(trained)["0.0001"].tolist() == ["0.900 (chosen)"]


def test_kept_records_come_back_without_the_place_of_the_data(tmp_path):
    runs = [{**run(seed=seed), "parameters": {"glue_dir": "/home/me/glue", "epochs": 4}} for seed in (0, 1)]
    path = write_json(tmp_path / "results.json", runs)
    kept = run_record.read_results(reference_runs.keep_records([path], tmp_path / "reference.json"))
    assert [record["parameters"] for record in kept] == [{"epochs": 4}] * 2
    assert len((tmp_path / "reference.json").read_text().splitlines()) == 4


def test_the_reference_run_is_whole():
    """Three seeds and three rates of each task with both encoders, none of it tuned on validation."""
    runs = aggregate.group_runs(reference_runs.read_reference_runs(), "task", "encoder")
    assert {task for task, _ in runs} == {"cola", "sst2", "mrpc", "qqp", "mnli", "qnli"}
    assert {encoder for _, encoder in runs} == set(pretraining_gain.ENCODER_TITLES)
    for same in runs.values():
        assert sorted((run["learning_rate"], run["seed"]) for run in same) == [
            (rate, seed) for rate in (1e-4, 3e-4, 1e-3) for seed in range(3)
        ]
        assert aggregate.selection_split(same) == "held_out"
        assert all(run["source"] == "folder" and "glue_dir" not in run["parameters"] for run in same)


def test_the_card_says_what_the_records_say():
    assert (encoder_card.BUNDLED_FOLDER / encoder_card.CARD_FILE).read_text(
        encoding="utf-8"
    ) == encoder_card.render_card()
    assert "/" not in json.dumps(encoder_card.read_pretraining_record()["environment"])


def test_the_best_rates_first_seed_is_made_smaller(tmp_path):
    runs = [
        {**run(rate, seed, task=task, held_out=rate), "run": f"{task}/lr{rate:g}-seed{seed}"}
        for task in ("cola", "qnli")
        for rate in (0.1, 0.3)
        for seed in (0, 1)
    ]
    path = write_json(tmp_path / "results.json", runs)
    assert reference_runs.to_compress(path) == [tmp_path / "compressed/cola/lr0.3-seed0/compression.json"]


def test_the_compressions_of_the_reference_run_are_of_its_best_rates():
    found = {record["task"]: record for record in reference_runs.read_reference_compressions()}
    assert set(found) == set(reference_runs.COMPRESSED_TASKS)
    for name, record in found.items():
        best = aggregate.best_learning_rate(
            [r for r in reference_runs.read_reference_runs() if (r["task"], r["encoder"]) == (name, "bundled")]
        )
        assert (record["learning_rate"], record["source"]) == (best[0]["learning_rate"], "folder")
        assert "glue_dir" not in record["parameters"]

"""The reference run: what it holds, how it is kept, what pre-training gives, and the card of the encoder."""

import json
import shutil

import pytest
from made_runs import scored_run as run

from bertglue.atomic_files import write_json
from bertglue.evaluation import aggregate
from bertglue.evaluation.published_scores import published_numbers
from bertglue.report import bundled_runs, encoder_card
from bertglue.report.pages import pretraining_gain
from bertglue.runs import record as run_record


def test_the_comparison_takes_the_best_rate_of_each_encoder():
    width = 2 * 1.959964 * 0.04
    fresh = [run(rate, task="mnli", encoder="bundled-random", held_out=rate, score=0.6, width=width) for rate in (1, 2)]
    trained = [run(1e-4, task="mnli", held_out=0.9, score=0.75, width=width * 3 / 4), run(1e-3, task="mnli")]
    frame = pretraining_gain.comparison([*fresh, *trained, run(task="cola")])  # CoLA has no other half
    assert list(frame["split"]) == ["validation_matched", "validation_mismatched"]
    assert [gain[:2] for gain in frame["gain"]] == [pytest.approx((0.15, 0.05))] * 2
    shown = pretraining_gain.scores_frame([*fresh, *trained])
    assert shown["gain (95 % interval)"].tolist() == ["+0.150 (+0.052 to +0.248)"] * 2
    assert "ahead by more than the 95 % interval on MNLI, matched; MNLI, mismatched." in pretraining_gain.findings(
        [*fresh, *trained]
    )
    tiny = published_numbers()["small_bert_test"]["tiny_2x128"]
    assert shown["BERT-Tiny, test"].tolist() == [f"{tiny[name] / 100:.3f}" for name in ("MNLI-m", "MNLI-mm")]
    assert pretraining_gain.rates_frame(trained)["0.0001"].tolist() == ["0.900 (chosen)"]


def test_kept_records_come_back_without_the_place_of_the_data(tmp_path):
    runs = [{**run(seed=seed), "parameters": {"glue_dir": "/home/me/glue", "epochs": 4}} for seed in (0, 1)]
    path = write_json(tmp_path / "results.json", runs)
    kept = run_record.read_results(bundled_runs.keep_records([path], tmp_path / "reference.json"))
    assert [record["parameters"] for record in kept] == [{"epochs": 4}] * 2
    assert len((tmp_path / "reference.json").read_text().splitlines()) == 4


def test_the_reference_run_is_whole():
    """Three seeds and three rates of each task with both encoders, none of it tuned on validation."""
    runs = aggregate.group_runs(bundled_runs.read_bundled_runs(), "task", "encoder")
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
    assert bundled_runs.to_compress(path) == [tmp_path / "compressed/cola/lr0.3-seed0/compression.json"]


def test_the_compressions_of_the_reference_run_are_of_its_best_rates():
    found = {record["task"]: record for record in bundled_runs.read_bundled_compressions()}
    assert set(found) == set(bundled_runs.COMPRESSED_TASKS)
    for name, record in found.items():
        best = aggregate.best_learning_rate(
            [r for r in bundled_runs.read_bundled_runs() if (r["task"], r["encoder"]) == (name, "bundled")]
        )
        assert (record["learning_rate"], record["source"]) == (best[0]["learning_rate"], "folder")
        assert "glue_dir" not in record["parameters"]


def test_compressions_are_kept_one_a_line_in_the_order_given(tmp_path):
    paths = [write_json(tmp_path / name / "compression.json", {"task": name, "loss": 0.5}) for name in ("sst2", "cola")]
    kept = bundled_runs.keep_compressions(paths, tmp_path / "kept.jsonl")
    assert [json.loads(line)["task"] for line in kept.read_text().splitlines()] == ["sst2", "cola"]


def test_the_command_keeps_records_and_compressions_and_writes_the_card_anew(tmp_path, monkeypatch, capsys):
    encoder = shutil.copytree(encoder_card.BUNDLED_FOLDER, tmp_path / "encoder")
    (encoder / encoder_card.CARD_FILE).write_text("old")
    kept = {name: tmp_path / name for name in ("records.json", "compressions.jsonl")}
    given = [
        write_json(tmp_path / f"{at}.json", [run(seed=at) | {"parameters": {"glue_dir": "/x"}}]) for at in range(2)
    ]
    smaller = write_json(tmp_path / "compression.json", {"task": "cola"})
    monkeypatch.setattr(bundled_runs, "BUNDLED_FOLDER", encoder)
    for function, target in (("keep_records", "records.json"), ("keep_compressions", "compressions.jsonl")):
        keep = getattr(bundled_runs, function)
        monkeypatch.setattr(bundled_runs, function, lambda paths, keep=keep, target=target: keep(paths, kept[target]))
    assert bundled_runs.main([*map(str, given), "--compressions", str(smaller)]) == 0
    assert [record["seed"] for record in json.loads(kept["records.json"].read_text())] == [0, 1]
    assert json.loads(kept["compressions.jsonl"].read_text()) == {"task": "cola"}
    assert (encoder / encoder_card.CARD_FILE).read_text(encoding="utf-8").startswith("# The bundled encoder")
    assert capsys.readouterr().out.split() == [*map(str, kept.values()), str(encoder / encoder_card.CARD_FILE)]
    assert bundled_runs.main([str(tmp_path / "missing.json")]) == 1


def test_the_command_names_what_is_to_be_compressed_and_keeps_nothing(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(bundled_runs, "keep_records", lambda paths: pytest.fail("it kept records"))
    path = write_json(tmp_path / "results.json", [run(task="mrpc") | {"run": "mrpc/lr0.001-seed0"}])
    assert bundled_runs.main([str(path), "--to-compress"]) == 0
    assert capsys.readouterr().out.strip() == str(tmp_path / "compressed/mrpc/lr0.001-seed0/compression.json")

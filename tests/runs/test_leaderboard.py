"""Submissions: the leaderboard's files, headers and labels, from the run that validates best."""

import zipfile

import numpy as np
import pytest

from bertglue.atomic_files import write_json
from bertglue.errors import InputError
from bertglue.evaluation.published_scores import published_numbers
from bertglue.runs import leaderboard
from bertglue.tasks import TASKS

ROWS = {name: counts[2] for name, counts in published_numbers()["glue_examples"].items()}


def write_run(folder, task, score=0.5, seed=0, short=0, best=None):
    """A finished run whose logits are random, or always answer `best`."""
    rng = np.random.default_rng(seed)
    splits = {
        split: ROWS[name] - short for name, (owner, split) in leaderboard.SUBMISSION_FILES.items() if owner == task
    }
    logits = {split: rng.normal(2.5, 4, (rows, TASKS[task].outputs)) for split, rows in splits.items()}
    if best is not None:
        logits = {split: np.eye(TASKS[task].outputs)[np.full(len(values), best)] for split, values in logits.items()}
    run = folder / task / f"lr0.001-seed{seed}"
    run.mkdir(parents=True)
    np.savez(run / "logits.npz", **logits)
    metrics = {split: dict.fromkeys(TASKS[task].metrics, score) for split in TASKS[task].validation}
    write_json(run / "record.json", {"task": task, "metrics": metrics})
    return logits


@pytest.fixture
def runs(tmp_path):
    return {task: write_run(tmp_path / "runs", task) for task in TASKS}


def test_a_folder_without_runs_is_not_filled(tmp_path):
    with pytest.raises(InputError, match="nowhere: no finished run is there; name the folder of runs on GLUE"):
        leaderboard.write_submission(tmp_path / "nowhere", tmp_path / "submission.zip", fill=True)
    assert not (tmp_path / "submission.zip").exists()


def lines(path, name):
    with zipfile.ZipFile(path) as archive:
        return archive.read(f"{name}.tsv").decode().split("\n")


def test_every_file_has_the_answers_of_its_split(runs, tmp_path):
    path = tmp_path / "submission.zip"
    leaderboard.write_submission(tmp_path / "runs", path)
    leaderboard.check_submission(path)
    cola = lines(path, "CoLA")
    assert cola[:3] == ["index\tprediction", *(f"{i}\t{runs['cola']['test'][i].argmax()}" for i in (0, 1))]
    assert cola[-1] == ""
    assert len(cola) == 1063 + 2
    names = ("entailment", "neutral", "contradiction")
    for name, split in (("MNLI-m", "test_matched"), ("MNLI-mm", "test_mismatched"), ("AX", "ax")):
        assert lines(path, name)[5] == f"4\t{names[runs['mnli'][split][4].argmax()]}"
    for name in ("QNLI", "RTE"):
        assert {line.split("\t")[1] for line in lines(path, name)[1:-1]} == {"entailment", "not_entailment"}
    scores = [float(line.split("\t")[1]) for line in lines(path, "STS-B")[1:-1]]
    assert (min(scores), max(scores)) == (0, 5)  # clipped
    np.testing.assert_allclose(scores, runs["stsb"]["test"][:, 0].clip(0, 5), atol=5e-4)


def test_the_same_answers_are_the_same_bytes(runs, tmp_path):
    for name in "ab":
        leaderboard.write_submission(tmp_path / "runs", tmp_path / f"{name}.zip")
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()


def test_of_several_runs_the_one_that_validates_best_answers(runs, tmp_path):
    write_run(tmp_path / "runs", "sst2", score=0.9, seed=1, best=1)
    sources = leaderboard.write_submission(tmp_path / "runs", tmp_path / "submission.zip")
    assert sources["SST-2"].endswith("lr0.001-seed1")
    assert {line.split("\t")[1] for line in lines(tmp_path / "submission.zip", "SST-2")[1:-1]} == {"1"}


def test_a_task_without_answers_is_named_or_filled(tmp_path):
    write_run(tmp_path / "runs", "cola")
    with pytest.raises(
        InputError, match="has no predictions for SST-2; run sst2 on GLUE with its test split, or give --fill"
    ):
        leaderboard.write_submission(tmp_path / "runs", tmp_path / "submission.zip")
    assert not (tmp_path / "submission.zip").exists()
    sources = leaderboard.write_submission(tmp_path / "runs", tmp_path / "submission.zip", fill=True)
    assert sources["RTE"] == "filled with the first label"
    leaderboard.check_submission(tmp_path / "submission.zip")


def test_rows_that_are_not_glues_are_refused(tmp_path):
    write_run(tmp_path / "runs", "cola", short=3)
    with pytest.raises(InputError, match=r"predicts 1,060 rows of CoLA, and GLUE's test split has 1,063"):
        leaderboard.write_submission(tmp_path / "runs", tmp_path / "submission.zip", fill=True)


def test_a_damaged_file_of_logits_is_named(runs, tmp_path):
    (tmp_path / "runs/rte/lr0.001-seed0/logits.npz").write_bytes(b"PK")
    with pytest.raises(InputError, match=r"seed0/logits.npz cannot be read .*run it again"):
        leaderboard.write_submission(tmp_path / "runs", tmp_path / "submission.zip")


@pytest.mark.parametrize(
    ("name", "row", "line", "message"),
    [
        ("CoLA", 4, "3\t2", "CoLA.tsv, row 3: '3\\\\t2' is no prediction"),
        ("AX", 1, "0\tperhaps", "AX.tsv, row 0"),
        ("STS-B", 1, "0\t5.5", "STS-B.tsv, row 0"),
        ("RTE", 2, "7\tentailment", "RTE.tsv, row 1"),
        ("WNLI", 0, "index,prediction", "146 rows under 'index,prediction'"),
    ],
)
def test_the_validator_finds_what_is_wrong(runs, tmp_path, name, row, line, message):
    path = tmp_path / "submission.zip"
    leaderboard.write_submission(tmp_path / "runs", path)
    with zipfile.ZipFile(path) as archive:
        texts = {member: archive.read(member).decode() for member in archive.namelist()}
    changed = texts[f"{name}.tsv"].split("\n")
    changed[row] = line
    leaderboard.write_zip(path, {**texts, f"{name}.tsv": "\n".join(changed)})
    with pytest.raises(InputError, match=message):
        leaderboard.check_submission(path)

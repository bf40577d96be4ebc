"""The zip for the leaderboard from what is kept of the reference run."""

import json
import zipfile

import numpy as np
import pytest

from bertglue.evaluation.published_scores import published_numbers
from bertglue.runs.leaderboard import SUBMISSION_FILES
from bertglue.tasks import TASKS
from bertglue.tools import reference_submission as submission


@pytest.fixture
def kept(tmp_path, monkeypatch):
    """The first final run of every task; of MNLI and QQP the files at hand have no test split."""
    monkeypatch.chdir(tmp_path)
    for task in TASKS.values():
        record, logits = (path(f"final/{task.name}-0") for path in (submission.record_of, submission.logits_of))
        for path in (record, logits):
            path.parent.mkdir(parents=True, exist_ok=True)
        scores = {split: dict.fromkeys(task.metrics, 0.5) for split in task.validation}
        record.write_text(json.dumps({"task": task.name, "metrics": scores}))
        splits = {split: name for name, (of, split) in SUBMISSION_FILES.items() if of == task.name}
        if task.name in ("qqp", "mnli"):
            splits = {split: name for split, name in splits.items() if split == "ax"}
        counts = {split: published_numbers()["glue_examples"][name][2] for split, name in splits.items()}
        rng = np.random.default_rng(0)
        np.savez(logits, **{split: rng.normal(size=(rows, task.outputs)) for split, rows in counts.items()})
    return tmp_path


def test_the_zip_holds_predictions_alone_and_what_lacks_is_filled(kept, capsys):
    assert submission.main([]) == 0
    said = capsys.readouterr().out
    assert "benchmarks/reference/submission.zip, filled with the first label: QQP, MNLI-m, MNLI-mm" in said
    with zipfile.ZipFile(submission.SUBMISSION) as archive:
        assert sorted(archive.namelist()) == sorted(f"{name}.tsv" for name in SUBMISSION_FILES)
        lines = archive.read("RTE.tsv").decode().splitlines()
    assert len(lines) == 3001
    assert {line.split("\t")[1] for line in lines[1:]} == {"entailment", "not_entailment"}


def test_it_waits_for_every_task(kept, capsys):
    submission.record_of("final/rte-0").unlink()
    assert submission.main([]) == 0
    assert "no submission yet: final/rte-0 of the reference run are not kept" in capsys.readouterr().out
    assert not submission.SUBMISSION.exists()

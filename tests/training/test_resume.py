"""A run that was killed within an epoch ends as an unbroken one, to the bit, on both backends."""

import json

import keras
import numpy as np
import pytest
from other_backend import passes_on_the_other_backend
from small_run import Run

from bertglue.runs.record import RESUME_FILE
from bertglue.training import callbacks
from bertglue.training.callbacks import EpochRecorder

RECIPE = {"epochs": 3, "batch_size": 4, "accumulate": 2, "save_every": 3}  # 37 rows: 10 steps, saved after 4 and 6


@pytest.fixture
def kill(monkeypatch):
    """Let a training be killed after a step of an epoch."""
    step_ends = EpochRecorder.on_train_batch_end

    def kill_after(epoch, step):
        def end(self, batch, logs=None):
            step_ends(self, batch, logs)
            if (self.epoch, self.first + batch + 1) >= (epoch, step):
                raise KeyboardInterrupt

        monkeypatch.setattr(EpochRecorder, "on_train_batch_end", end)

    yield kill_after
    monkeypatch.undo()


def broken(kill, monkeypatch, folder, config, epoch, step, **recipe) -> Run:
    """Kill a run after a step; give the same run, begun again."""
    kill(epoch, step)
    with pytest.raises(KeyboardInterrupt):
        Run(folder, config, **recipe).train()
    monkeypatch.undo()
    return Run(folder, config, **recipe)


def assert_same(run, training, unbroken, expected):
    assert training.history == expected.history
    assert training.curve == expected.curve
    assert training.kept == expected.kept
    assert len(training.seconds) == len(expected.seconds)
    assert min(training.seconds) > 0
    np.testing.assert_array_equal(training.logits["validation"], expected.logits["validation"])
    for mine, theirs in zip(run.classifier.variables, unbroken.classifier.variables, strict=True):
        if "seed" not in mine.path:
            np.testing.assert_array_equal(*map(keras.ops.convert_to_numpy, (mine, theirs)), err_msg=mine.path)


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    """Train whole, once for each recipe; give the run and its result."""
    found = {}

    def train(config, **recipe):
        if (key := json.dumps(recipe)) not in found:
            run = Run(tmp_path_factory.mktemp("unbroken"), config, **recipe)
            found[key] = run, run.train()
        return found[key]

    return train


@pytest.mark.parametrize(
    ("epoch", "step", "changes", "said"),
    [
        (1, 5, {}, "epoch 1, step 4 of 10"),
        (2, 9, {}, "epoch 2, step 6 of 10"),
        (3, 3, {}, "epoch 2"),
        (2, 5, {"keep": "best", "patience": 1, "signal": 0.3, "bucketing": False}, "epoch 2, step 4 of 10"),
        (2, 5, {"accumulate": 1, "save_every": 1, "bucket_lengths": None}, "epoch 2, step 5 of 10"),
        (2, 7, {"accumulate": 1, "steps_per_execution": 3, "save_every": 4}, "epoch 2, step 9 of 10"),
    ],
    ids=["first epoch", "second", "after one", "best", "every step", "several steps a call"],
)
def test_a_run_killed_within_an_epoch_ends_as_an_unbroken_one(
    tiny_config, tmp_path, kill, monkeypatch, capsys, unbroken, epoch, step, changes, said
):
    recipe = RECIPE | changes
    whole, expected = unbroken(tiny_config, **recipe)
    run = broken(kill, monkeypatch, tmp_path, tiny_config, epoch, step, **recipe)
    capsys.readouterr()
    training = run.train()
    assert f"resuming after {said}, from {tmp_path / RESUME_FILE}\n" in capsys.readouterr().out
    assert_same(run, training, whole, expected)


def test_a_run_killed_again_and_again_with_another_save_every(tiny_config, tmp_path, kill, monkeypatch, unbroken):
    whole, expected = unbroken(tiny_config, **RECIPE)
    for epoch, step, every in ((1, 5, 3), (1, 9, 2), (2, 3, 1)):
        run = broken(kill, monkeypatch, tmp_path, tiny_config, epoch, step, **RECIPE | {"save_every": every})
    assert_same(run, run.train(), whole, expected)


def test_killed_before_the_first_checkpoint_a_run_starts_anew(tiny_config, tmp_path, kill, monkeypatch, capsys):
    run = broken(kill, monkeypatch, tmp_path, tiny_config, 1, 3, **RECIPE)
    assert not (tmp_path / RESUME_FILE).exists()
    assert len(run.train().history) == 3
    assert "resuming" not in capsys.readouterr().out


def test_what_goes_wrong_after_resuming_is_named_by_the_step_of_its_epoch(tiny_config, tmp_path, kill, monkeypatch):
    run = broken(kill, monkeypatch, tmp_path, tiny_config, 1, 5, **RECIPE)
    seen = []
    monkeypatch.setattr(callbacks.math, "isfinite", lambda loss: len(seen) < 1 and not seen.append(loss))
    with pytest.raises(callbacks.InputError, match="at step 6 of 10, epoch 1, at a learning rate of"):
        run.train()


@pytest.fixture(scope="module")
def resumable(tmp_path_factory):
    """A run that was killed after step 4 of its first epoch: its folder, and its checkpoint."""
    folder = tmp_path_factory.mktemp("killed")

    def make(config, kill, monkeypatch):
        if not (folder / RESUME_FILE).exists():
            broken(kill, monkeypatch, folder, config, 1, 5, **RECIPE)
        with np.load(folder / RESUME_FILE) as saved:
            return dict(saved)

    return make


def place(**changes):
    return lambda about, arrays: about["place"].update(changes)


def seen(**changes):
    return lambda about, arrays: about["place"]["seen"].update(changes)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda about, arrays: about.pop("place"), "place"),  # as an older version wrote it
        (lambda about, arrays: about.update(place=[4]), "place"),
        (place(step="4"), "place: step"), (place(step=-2), "place: step"), (place(step=10**30), "place: step"),
        (place(step=True), "place: step"), (place(seconds=-1.0), "place: seconds"),
        (place(step=6), "step 6 of epoch 1"), (place(step=3), "step 3 of epoch 1"), (place(step=14), "step 14 of"),
        (place(step=0), "not those of this model"),  # nothing has been trained there
        (seen(loss=1e300), "place: seen.loss"), (seen(accuracy=2.0), "place: seen.accuracy"),
        (seen(rows=0), "it cannot have been written"), (seen(steps=5, rows=20), "it cannot have been written"),
        (lambda about, arrays: about["training"]["curve"].pop(), "it cannot have been written"),
        (lambda about, arrays: arrays.pop("running0"), "not those of this model"),
        (lambda about, arrays: arrays.update(running1=np.float32(np.nan)), "not those of this model"),
        (lambda about, arrays: arrays.update(best0=np.zeros(3)), "not those of this model"),
    ],
)  # fmt: skip
def test_a_damaged_place_is_not_gone_on_from(tiny_config, tmp_path, kill, monkeypatch, capsys, resumable, damage, said):
    arrays = resumable(tiny_config, kill, monkeypatch)
    about = json.loads(str(arrays.pop("about")))
    damage(about, arrays)
    np.savez(tmp_path / RESUME_FILE, about=json.dumps(about), **arrays)
    run = Run(tmp_path, tiny_config, **RECIPE)
    monkeypatch.setattr(EpochRecorder, "finished", True)  # no need to train
    monkeypatch.setattr(EpochRecorder, "finish", lambda self: (self.training, self.resumed))
    training, resumed = run.train()
    line = capsys.readouterr().out
    assert f"{RESUME_FILE} is damaged (" in line
    assert said in line
    assert line.endswith("; starting from the first epoch\n")
    assert line.count("\n") == 1
    assert (training.history, training.curve, resumed.step) == ([], [], 0)


def test_the_other_backend_does_the_same(tmp_path):
    passes_on_the_other_backend(__file__, "unbroken and best", tmp_path, count=1)

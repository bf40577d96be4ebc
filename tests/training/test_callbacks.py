"""After each epoch: a killed run resumes, the best weights are kept, and early stopping stops."""

import numpy as np
import pytest
from small_run import Run

from bertglue.errors import InputError
from bertglue.runs.record import RESUME_FILE
from bertglue.training import callbacks


@pytest.mark.parametrize("batch_size", [8, 2])
def test_the_curve_within_an_epoch_adds_up_to_the_epoch(tiny_config, tmp_path, batch_size):
    run = Run(tmp_path, tiny_config, epochs=2, batch_size=batch_size)
    training, rows = run.train(), len(run.tokens["train"])
    steps = -(-rows // batch_size)
    ends = np.array([point["step"] for point in training.curve])
    assert ends[-1] == 2 * steps
    assert len(ends) == 2 * min(steps, callbacks.CURVE_POINTS_PER_EPOCH)
    seen = np.minimum((ends - 1) % steps * batch_size + batch_size, rows) + rows * ((ends - 1) // steps)
    weights = np.diff(seen, prepend=0)
    assert weights.sum() == 2 * rows
    for number, row in enumerate(training.history):
        within = (ends - 1) // steps == number
        for name in ("loss", "accuracy"):
            values = np.array([point[name] for point in training.curve])[within]
            assert np.average(values, weights=weights[within]) == pytest.approx(row["train"][name], abs=1e-5)


@pytest.fixture
def killed(monkeypatch):
    """Kill a training right after the state of an epoch was written."""

    def kill_after(epoch):
        save = callbacks.EpochRecorder.save

        def save_and_die(self):
            save(self)
            if len(self.training.history) == epoch:
                raise KeyboardInterrupt

        monkeypatch.setattr(callbacks.EpochRecorder, "save", save_and_die)

    yield kill_after
    monkeypatch.undo()


@pytest.mark.parametrize(("keep", "after"), [("last", 1), ("last", 4), ("best", 3)])
def test_a_killed_run_goes_on_as_an_unbroken_one(tiny_config, tmp_path, killed, monkeypatch, keep, after):
    unbroken = Run(tmp_path / "unbroken", tiny_config, keep=keep)
    expected = unbroken.train()
    killed(after)
    with pytest.raises(KeyboardInterrupt):
        Run(tmp_path / "broken", tiny_config, keep=keep).train()
    monkeypatch.undo()
    broken = Run(tmp_path / "broken", tiny_config, keep=keep)
    training = broken.train()
    assert training.history == expected.history
    assert training.kept == expected.kept
    np.testing.assert_allclose(training.logits["validation"], expected.logits["validation"], atol=1e-6)
    for left, right in zip(broken.classifier.get_weights(), unbroken.classifier.get_weights(), strict=True):
        np.testing.assert_array_equal(left, right)


def test_the_best_epoch_is_kept_and_its_weights_score_as_recorded(tiny_config, tmp_path):
    run = Run(tmp_path, tiny_config, signal=0.3, keep="best", epochs=6)
    training = run.train()
    scores = [row["validation"]["accuracy"] for row in training.history]
    assert training.kept == 1 + int(np.argmax(scores)) < 6  # the last one is not the best here
    assert run.score() == max(scores)


def test_the_last_epoch_is_kept_unless_the_best_is_asked_for(tiny_config, tmp_path):
    run = Run(tmp_path, tiny_config, signal=0.3, epochs=6)
    training = run.train()
    assert training.kept == 6
    assert run.score() == training.history[-1]["validation"]["accuracy"]


def test_patience_ends_a_run_that_gets_no_better(tiny_config, tmp_path):
    run = Run(tmp_path, tiny_config, signal=0.3, epochs=30, patience=2)
    history = run.train().history
    best = callbacks.best_epoch(history, "validation")
    assert len(history) == best + 2 < 30


@pytest.mark.parametrize("damage", ["other rate", "cut short"])
def test_a_state_of_another_run_or_a_damaged_one_is_not_used(tiny_config, tmp_path, capsys, damage):
    Run(tmp_path, tiny_config, epochs=2).train()
    if damage == "cut short":
        (tmp_path / RESUME_FILE).write_bytes((tmp_path / RESUME_FILE).read_bytes()[:500])
    rate = 0.01 if damage == "other rate" else 0.02
    training = Run(tmp_path, tiny_config, epochs=2, learning_rate=rate).train()
    assert len(training.seconds) == 2
    assert "is not of this run; starting from the first epoch" in capsys.readouterr().out


def test_an_unreadable_checkpoint_is_named(tmp_path):
    (tmp_path / "checkpoint.npz").write_bytes(b"no zip")
    with pytest.raises(InputError, match=r"checkpoint.npz cannot be read .*remove it to start anew"):
        callbacks.load_checkpoint(tmp_path / "checkpoint.npz", "state")

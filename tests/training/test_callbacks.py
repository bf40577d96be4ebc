"""After each epoch: a killed run resumes, the best weights are kept, and early stopping stops."""

import re

import numpy as np
import pytest
from small_run import Run

from bertglue.data.batches import Batches
from bertglue.data.dataset import HELD_OUT
from bertglue.errors import InputError
from bertglue.parameters import Parameters
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
    said = "resume.npz is not of this run" if damage == "other rate" else "resume.npz cannot be read"
    assert re.search(rf"{said}.*; starting from the first epoch\n", capsys.readouterr().out)


def test_an_unreadable_checkpoint_is_named(tmp_path):
    (tmp_path / "checkpoint.npz").write_bytes(b"no zip")
    with pytest.raises(InputError, match=r"checkpoint.npz cannot be read .*remove it to start anew"):
        callbacks.load_checkpoint(tmp_path / "checkpoint.npz", "state")


# ---------------------------------------------------------------- selection on held-out rows


def means(history, split):
    return [row[split]["accuracy"] for row in history]


def test_the_best_epoch_is_that_of_the_held_out_rows_not_of_validation(tiny_config, tmp_path):
    run = Run(tmp_path, tiny_config, against=True, keep="best", epochs=6)
    training = run.train()
    held_out, validation = means(training.history, HELD_OUT), means(training.history, "validation")
    assert training.kept == 1 + int(np.argmax(held_out)) != 1 + int(np.argmax(validation))
    assert run.score() == validation[training.kept - 1]
    assert set(training.logits) == {HELD_OUT, "validation"}
    assert set(training.history[0]) == {"epoch", "train", HELD_OUT, "validation"}


def test_early_stopping_waits_for_the_held_out_rows(tiny_config, tmp_path):
    training = Run(tmp_path, tiny_config, against=True, patience=1, epochs=8).train()
    held_out = means(training.history, HELD_OUT)
    assert len(held_out) == 1 + max(i for i, value in enumerate(held_out) if value > max(held_out[:i], default=-1)) + 1
    assert means(training.history, "validation")[-1] >= means(training.history, "validation")[0]


def history_of(**splits):
    """A history whose epochs have these values of F1 and accuracy, {split: [(f1, accuracy), ...]}."""
    epochs = zip(*splits.values(), strict=True)
    return [
        {"epoch": number + 1} | {
            split: {"loss": 9.0 - number, "f1": f1, "accuracy": accuracy, "calibration_error": 0.9}
            for split, (f1, accuracy) in zip(splits, row, strict=True)
        }
        for number, row in enumerate(epochs)
    ]  # fmt: skip


def test_the_best_epoch_has_the_highest_mean_of_the_metrics_and_comes_first():
    history = history_of(validation=[(0.5, 0.9), (0.8, 0.7), (0.7, 0.8), (0.6, 0.6)], held_out=[(0, 0)] * 3 + [(1, 1)])
    assert callbacks.best_epoch(history, "validation") == 2
    assert callbacks.best_epoch(history[2:], "validation") == 1
    assert callbacks.best_epoch(history, "held_out") == 4


@pytest.mark.parametrize(
    ("scores", "patience", "finished"),
    [([1], 1, False), ([1, 1], 1, True), ([1, 2], 1, False), ([1, 2, 1], 2, False), ([1, 2, 1, 2], 2, True),
     ([1, 1, 1], None, False), ([1, 2, 3, 4, 5], None, True), ([], 1, False)],
)  # fmt: skip
def test_a_run_ends_after_its_epochs_or_as_many_without_gain(tiny_config, tmp_path, scores, patience, finished):
    recorder = recorder_of(Run(tmp_path, tiny_config, epochs=5, patience=patience))
    recorder.training.history = history_of(validation=[(value, value) for value in scores])
    assert recorder.finished is finished


# ---------------------------------------------------------------- resuming


def recorder_of(run):
    return callbacks.EpochRecorder(run.data, run.tokens, run.parameters, [], run.classifier, lambda: None)


OTHER = {
    "seed": 1, "encoder": "bundled-random", "learning_rate": 0.5, "batch_size": 4, "epochs": 9, "dropout": 0.3,
    "encoder_dropout": 0.3, "warmup_fraction": 0.3, "weight_decay": 0.3, "max_length": 8, "hold_out": 0.3,
    "keep": "best", "patience": 3, "precision": "auto", "bias_correction": False, "bucketing": False,
    "bucket_lengths": [4], "pooling": "mean", "layer_decay": 0.5,
    "source": "folder", "task": "cola", "steps_per_execution": 2, "evaluation_batch_size": 4, "machines": 2,
    "backend": "jax", "preprocessor": "other", "train_rows": 9, "accumulate": 2,
    "files": {"train": "t.csv"}, "columns": ["text"], "label": "class", "labels": ["a", "b"], "metrics": ["f1"],
    "dialect": "tab", "validation_share": 0.5,
}  # fmt: skip


@pytest.mark.parametrize("name", Parameters.model_fields)
def test_a_run_resumes_under_the_same_parameters_alone(tiny_config, tmp_path, name):
    values = OTHER | {
        "run_dir": "r", "cache_dir": "c", "glue_dir": "g", "samples": ["s"], "profile": "p", "tracking": "wandb",
        "device": "cpu", "save_every": 3,
    }  # fmt: skip
    run = Run(tmp_path, tiny_config)
    first = recorder_of(run)
    before = first.identity()
    first.parameters = run.parameters.model_copy(update={name: values[name]})
    assert (first.identity() == before) is (name not in OTHER)


@pytest.mark.parametrize("change", ["labels", "ids", "offsets"])
def test_a_run_resumes_on_the_same_rows_alone(tiny_config, tmp_path, change):
    run, other = Run(tmp_path, tiny_config), Run(tmp_path, tiny_config)
    array = other.data["train"].labels if change == "labels" else getattr(other.tokens["train"], change)
    array[1] += 1
    assert recorder_of(run).identity() != recorder_of(other).identity()


def test_a_resumed_epoch_has_its_own_order_of_rows(tiny_config, tmp_path, killed, monkeypatch):
    killed(2)
    with pytest.raises(KeyboardInterrupt):
        Run(tmp_path, tiny_config).train()
    monkeypatch.undo()
    started, start = [], Batches.start
    monkeypatch.setattr(Batches, "start", lambda self, epoch: started.append((self.seed, epoch)) or start(self, epoch))
    Run(tmp_path, tiny_config).train()
    assert [epoch for seed, epoch in started if seed == 0] == [0, 2, 3]  # the first is of the constructor


# ---------------------------------------------------------------- what is printed and kept within an epoch


def test_a_line_of_an_epoch():
    row = {
        "epoch": 2,
        "train": {"loss": 0.5, "f1": 0.25},
        "validation": {"loss": 0.75, "f1": 0.125, "calibration_error": 1},
    }
    assert callbacks.epoch_line(row, 3, 12.34) == (
        "epoch 2/3 |  12.3 s | train loss 0.5000, f1 0.2500 | validation loss 0.7500, f1 0.1250"
    )


def test_the_mean_since_a_point_leaves_the_rows_before_out():
    before, now = callbacks.EpochProgress(1, 10, loss=2.0, accuracy=0.5), callbacks.EpochProgress(3, 40, 1.25, 0.8)
    assert now.since(before, "loss") == pytest.approx((1.25 * 40 - 2.0 * 10) / 30)
    assert now.since(before, "accuracy") == pytest.approx((0.8 * 40 - 0.5 * 10) / 30)
    assert now.since(callbacks.EpochProgress(), "loss") == 1.25


def test_of_several_machines_the_first_writes_the_checkpoint_and_shares_it(tiny_config, tmp_path, monkeypatch):
    run, shared = Run(tmp_path, tiny_config), []
    monkeypatch.setattr(callbacks, "share_file", shared.append)
    monkeypatch.setattr(callbacks, "process", lambda: (1, 2))
    assert recorder_of(run).resume() == 0
    assert shared == [tmp_path / RESUME_FILE]

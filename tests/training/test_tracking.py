"""What follows a run: TensorBoard's files hold the history; others are asked only when they are named."""

import sys
import types

import pytest
import tensorflow as tf
from small_run import Run

from bertglue.errors import InputError
from bertglue.training import callbacks, tracking


def read_events(folder):
    """Read the scalars of TensorBoard's files, {(name, step): value}."""
    found = {}
    for path in sorted((folder / tracking.TENSORBOARD_FOLDER).glob("events.*")):
        for record in tf.data.TFRecordDataset(str(path)):
            event = tf.compat.v1.Event.FromString(record.numpy())
            for value in event.summary.value:
                found[value.tag, event.step] = float(tf.make_ndarray(value.tensor))
    return found


def test_tensorboard_has_the_history(tiny_config, tmp_path):
    history = Run(tmp_path, tiny_config, epochs=2).train().history
    expected = {
        (f"{split}/{name}", row["epoch"]): pytest.approx(value, rel=1e-5)
        for row in history
        for split, values in row.items()
        if split != "epoch"
        for name, value in values.items()
    }
    assert read_events(tmp_path) == expected


class Recorder(types.ModuleType):
    """Stand for a package that is not installed here, and remember what it was asked."""

    def __init__(self, name):
        super().__init__(name)
        self.asked = []

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)

        def ask(*arguments, **named):
            self.asked.append((name, *arguments, named))
            return self

        return ask


@pytest.mark.parametrize(
    ("package", "calls"),
    [
        ("wandb", ["init", "log", "log", "finish"]),
        ("mlflow", ["set_experiment", "start_run", "log_params", "log_metrics", "log_metrics", "end_run"]),
    ],
)
def test_a_run_is_followed_elsewhere_if_asked(tiny_config, tmp_path, monkeypatch, package, calls):
    stand_in = Recorder(package)
    monkeypatch.setitem(sys.modules, package, stand_in)
    Run(tmp_path / "silent", tiny_config, epochs=1).train()
    assert stand_in.asked == []
    history = Run(tmp_path, tiny_config, epochs=2, tracking=package).train().history
    assert [name for name, *_ in stand_in.asked] == calls
    logged = [call for call in stand_in.asked if call[0] in ("log", "log_metrics")]
    assert [(call[1], call[2]["step"]) for call in logged] == [(tracking.scalars(row), row["epoch"]) for row in history]
    assert str(tmp_path) not in str(stand_in.asked)  # where things lie here is nobody's business


def test_a_run_that_fails_is_closed_there(tiny_config, tmp_path, monkeypatch):
    stand_in = Recorder("mlflow")
    monkeypatch.setitem(sys.modules, "mlflow", stand_in)
    monkeypatch.setattr(callbacks.math, "isfinite", lambda loss: False)
    with pytest.raises(InputError, match="the loss is"):
        Run(tmp_path, tiny_config, epochs=1, tracking="mlflow").train()
    assert stand_in.asked[-1][:2] == ("end_run", "FAILED")


def test_what_is_not_installed_is_named_and_installed_it_trains(tiny_config, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb", None)
    run = Run(tmp_path, tiny_config, epochs=1, tracking="wandb")
    with pytest.raises(InputError, match="tracking is 'wandb', which is not installed; pip install wandb"):
        run.train()
    monkeypatch.setitem(sys.modules, "wandb", Recorder("wandb"))
    assert len(run.train().history) == 1  # the same classifier, as in a notebook whose cell is run again

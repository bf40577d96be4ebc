"""The line that shows how far a training is: in a notebook, rewritten now and then, and nowhere else."""

import time

from bertglue.training.progress import Progress, notebook_display


class Display:
    def __init__(self):
        self.lines = []

    def update(self, data, raw):
        assert raw
        self.lines.append(data["text/plain"])


def test_the_line_says_epoch_step_loss_and_what_is_left(monkeypatch):
    clock = iter([100.0, 101.0, 110.0, 111.0, 120.0, 130.0])
    monkeypatch.setattr(time, "perf_counter", lambda: next(clock))
    progress = Progress(steps=4, epochs=3, every=5)
    progress.display = Display()
    progress.on_train_begin()
    progress.on_epoch_begin(1)
    progress.on_train_batch_end(0, {"loss": 0.5})  # one second after the last: too soon
    progress.on_train_batch_end(1, {"loss": 0.25})  # 10 s for 6 of 12 steps
    progress.on_train_batch_end(2, {"loss": 0.25})
    progress.on_train_batch_end(3, {"loss": 0.125})  # 20 s for 8 of 12
    progress.on_train_end()
    assert progress.display.lines == [
        "epoch 2/3, step 2/4, loss 0.2500, about 10 s left",
        "epoch 2/3, step 4/4, loss 0.1250, about 10 s left",
        "12 steps in 30 s",
    ]


def test_a_run_that_goes_on_within_an_epoch_counts_its_own_steps(monkeypatch):
    clock = iter([100.0, 110.0, 101.0, 120.0, 130.0])
    monkeypatch.setattr(time, "perf_counter", lambda: next(clock))
    progress = Progress(steps=4, epochs=3, every=5, done=6)
    progress.display = Display()
    progress.on_train_begin()
    progress.on_epoch_begin(1)
    progress.on_train_batch_end(0, {"loss": 0.5})  # the third of its epoch: 10 s for a step, and five are left
    progress.on_epoch_begin(2)
    progress.on_train_batch_end(0, {"loss": 0.5})  # the clock was set back: nothing is due
    progress.on_train_batch_end(1, {"loss": 0.25})  # 20 s for four steps, and two are left
    progress.on_train_end()
    assert progress.display.lines == [
        "epoch 2/3, step 3/4, loss 0.5000, about 50 s left",
        "epoch 3/3, step 2/4, loss 0.2500, about 10 s left",
        "6 steps in 30 s",
    ]


def test_outside_a_notebook_nothing_is_shown():
    progress = Progress(steps=1, epochs=1, every=0)
    assert notebook_display() is progress.display is None
    progress.on_train_begin()
    progress.on_epoch_begin(0)
    progress.on_train_batch_end(0, {"loss": 1.0})
    progress.on_train_end()

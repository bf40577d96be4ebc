"""One line that shows how far a training is, in a notebook."""

from __future__ import annotations

import time

import keras


class Progress(keras.callbacks.Callback):
    """Show the step, the loss and the time left in one line that is rewritten, in a notebook only.

    A run that is resumed has `done` steps behind it; the first of its epochs may begin within one.
    """

    def __init__(self, steps: int, epochs: int, every: float = 2.0, done: int = 0):
        super().__init__()
        self.steps, self.epochs, self.every, self.resumed_at = steps, epochs, every, done
        self.started = None
        self.display = notebook_display()

    def on_train_begin(self, logs=None):
        if self.started is None:
            self.started = self.shown = time.perf_counter()

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch, self.first = epoch, max(0, self.resumed_at - epoch * self.steps)

    def on_train_batch_end(self, batch, logs=None):
        now = time.perf_counter()
        if self.display is None or now - self.shown < self.every:
            return
        self.shown = now
        step = min(self.first + batch + 1, self.steps)
        done = self.epoch * self.steps + step
        left = (now - self.started) / (done - self.resumed_at) * (self.steps * self.epochs - done)
        self.show(
            f"epoch {self.epoch + 1}/{self.epochs}, step {step}/{self.steps}, "
            f"loss {float(logs['loss']):.4f}, about {left:.0f} s left"
        )

    def on_train_end(self, logs=None):
        if self.display is not None:
            self.show(
                f"{self.steps * self.epochs - self.resumed_at} steps in {time.perf_counter() - self.started:.0f} s"
            )

    def show(self, line: str):
        self.display.update({"text/plain": line}, raw=True)


def notebook_display():
    """Return a display handle in a notebook, None elsewhere."""
    try:
        from IPython import display, get_ipython
    except ImportError:
        return None
    shell = get_ipython()
    if shell is None or not hasattr(shell, "kernel"):
        return None
    return display.display({"text/plain": "starting"}, raw=True, display_id=True)

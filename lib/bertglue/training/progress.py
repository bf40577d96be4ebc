"""One line that shows how far a training is, in a notebook."""

from __future__ import annotations

import time

import keras


class Progress(keras.callbacks.Callback):
    """Show the step, the loss and the time left in one line that is rewritten, in a notebook only."""

    def __init__(self, steps: int, epochs: int, every: float = 2.0):
        super().__init__()
        self.steps, self.epochs, self.every = steps, epochs, every
        self.display = notebook_display()

    def on_train_begin(self, logs=None):
        self.started = self.shown = time.perf_counter()
        self.epoch = 0

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        now = time.perf_counter()
        if self.display is None or now - self.shown < self.every:
            return
        self.shown = now
        done = self.epoch * self.steps + batch + 1
        left = (now - self.started) / done * (self.steps * self.epochs - done)
        self.show(
            f"epoch {self.epoch + 1}/{self.epochs}, step {batch + 1}/{self.steps}, "
            f"loss {float(logs['loss']):.4f}, about {left:.0f} s left"
        )

    def on_train_end(self, logs=None):
        if self.display is not None:
            self.show(f"{self.steps * self.epochs} steps in {time.perf_counter() - self.started:.0f} s")

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

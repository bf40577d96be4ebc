"""Train a classifier on packed tokens and predict with it, on either backend of Keras."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import keras
import numpy as np
from keras import ops

from bertglue import metrics
from bertglue.batches import Batches
from bertglue.optimization import build_optimizer
from bertglue.parameters import Parameters
from bertglue.sources.data import HELD_OUT, Data
from bertglue.strategy import jit_compile, predict_together, process
from bertglue.tasks import Task
from bertglue.tokens import Tokens


@keras.saving.register_keras_serializable("bertglue")
class ConfusionMatrix(keras.metrics.Metric):
    """Count (label, prediction) pairs over an epoch [classes, classes]; every score follows from them."""

    def __init__(self, classes: int, name="confusion", **kwargs):
        super().__init__(name=name, **kwargs)
        self.counts = self.add_variable((classes, classes), "zeros", name="counts")

    def update_state(self, y_true, y_pred, sample_weight=None):
        classes = self.counts.shape[0]
        labels = ops.one_hot(ops.cast(ops.reshape(y_true, (-1,)), "int32"), classes, dtype="float32")
        predictions = ops.one_hot(ops.argmax(y_pred, axis=-1), classes, dtype="float32")
        if sample_weight is not None:
            labels = labels * ops.reshape(ops.sign(ops.cast(sample_weight, "float32")), (-1, 1))
        self.counts.assign_add(ops.matmul(ops.transpose(labels), predictions))

    def result(self):
        return ops.trace(self.counts) / ops.maximum(ops.sum(self.counts), 1.0)

    def scores(self, task: Task) -> dict[str, float]:
        counts = ops.convert_to_numpy(self.counts).round().astype(int)
        labels, predictions = (index.ravel() for index in np.indices(counts.shape))
        repeat = counts.ravel()
        return metrics.scores(task, labels.repeat(repeat), predictions.repeat(repeat))


@keras.saving.register_keras_serializable("bertglue")
class RunningLoss(keras.metrics.MeanMetricWrapper):
    """Average a loss over the rows of an epoch that count."""

    def update_state(self, y_true, y_pred, sample_weight=None):
        super().update_state(y_true, y_pred, None if sample_weight is None else ops.sign(sample_weight))


@dataclass
class Training:
    """What a training leaves: one dict an epoch (loss and metrics of train and validation), and times."""

    history: list[dict] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)  # of each epoch's training, without validation
    evaluate_seconds: float = 0.0
    logits: dict[str, np.ndarray] = field(default_factory=dict)  # of the validation splits, last epoch


def predict(classifier: keras.Model, tokens: Tokens, batch_size: int, lengths: Sequence[int] = ()) -> np.ndarray:
    """Give the logits [rows, outputs] of every row of a split, in order; `lengths` are those of `Batches`."""
    part = process()
    batches = Batches(tokens, batch_size=batch_size, part=part, lengths=lengths)
    served = predict_together(classifier, batches) if part[1] > 1 else classifier.predict(batches, verbose=0)
    logits = np.empty((len(tokens), *served.shape[1:]), served.dtype)
    logits[batches.order] = served[: len(tokens)]
    return logits


def predict_rest(
    classifier: keras.Model, tokens: dict[str, Tokens], training: Training, parameters: Parameters
) -> dict[str, np.ndarray]:
    """Give the logits of the validation splits, known from the last epoch, and of test and AX beside them."""
    rest = [split for split in tokens if split != "train" and split not in training.logits]
    size, lengths = parameters.evaluation_batch_size, parameters.lengths
    return {**training.logits, **{split: predict(classifier, tokens[split], size, lengths) for split in rest}}


def predict_texts(classifier: keras.Model, preprocessor, texts: list) -> np.ndarray:
    """Give the logits [texts, outputs] of sentences, or of pairs of them."""
    rows = [[text] if isinstance(text, str) else text for text in texts]
    packed = preprocessor(list(zip(*rows, strict=True)))
    inputs = {name: np.asarray(ids) for name, ids in packed.items()}
    return ops.convert_to_numpy(classifier(inputs, training=False))


def compile_classifier(classifier: keras.Model, task: Task, optimizer, steps_per_execution: int = 1):
    """Give a classifier its optimizer and loss; return the running metrics of its training steps."""
    if task.regression:
        loss = keras.losses.MeanSquaredError()
        running = [RunningLoss(keras.losses.mean_squared_error, name="running_loss")]
    else:
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        entropy = keras.losses.sparse_categorical_crossentropy
        running = [RunningLoss(entropy, name="running_loss", from_logits=True), ConfusionMatrix(task.outputs)]
    classifier.compile(
        optimizer,
        loss,
        weighted_metrics=running,
        steps_per_execution=steps_per_execution,
        jit_compile=jit_compile(),
    )
    return running


def build_trainer(classifier: keras.Model, task: Task, parameters: Parameters, steps: int):
    """Compile a model beside the classifier, for a run of `steps` steps; return it and its running metrics.

    What is saved is the classifier, without the optimizer's state.
    """
    optimizer = build_optimizer(
        parameters.learning_rate,
        steps=steps,
        warmup_fraction=parameters.warmup_fraction,
        weight_decay=parameters.weight_decay,
    )
    trainer = keras.Model(classifier.input, classifier.output)
    return trainer, compile_classifier(trainer, task, optimizer, parameters.steps_per_execution)


def train(classifier: keras.Model, data: Data, tokens: dict[str, Tokens], parameters: Parameters) -> Training:
    """Fine-tune on `train` and score every validation split after each epoch, whole and in one piece."""
    batches = Batches(
        tokens["train"], data["train"].labels, batch_size=parameters.batch_size, seed=parameters.seed, part=process(),
        lengths=parameters.lengths,
    )  # fmt: skip
    trainer, running = build_trainer(classifier, data.task, parameters, steps=len(batches) * parameters.epochs)
    recorder = EpochRecorder(data, tokens, parameters, running)
    callbacks = [recorder, Progress(len(batches), parameters.epochs)]
    trainer.fit(batches, epochs=parameters.epochs, callbacks=callbacks, shuffle=False, verbose=0)
    return recorder.training


class EpochRecorder(keras.callbacks.Callback):
    """Score the validation splits after each epoch and print a line."""

    def __init__(self, data, tokens, parameters, running):
        super().__init__()
        self.data, self.task, self.tokens = data, data.task, tokens
        self.parameters, self.running = parameters, running
        self.splits = [split for split in (HELD_OUT, *self.task.validation) if split in tokens]
        self.training = Training()

    def on_epoch_begin(self, epoch, logs=None):
        self.started = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        self.training.seconds.append(time.perf_counter() - self.started)
        row = {"epoch": epoch + 1, "train": self.train_scores(logs)}
        size, lengths = self.parameters.evaluation_batch_size, self.parameters.lengths
        started = time.perf_counter()
        for split in self.splits:
            logits = predict(self.model, self.tokens[split], size, lengths)
            self.training.logits[split] = logits
            labels, predictions = self.data[split].labels, metrics.decide(self.task, logits)
            row[split] = {
                "loss": metrics.loss(self.task, labels, logits),
                **metrics.scores(self.task, labels, predictions),
            }
        self.training.evaluate_seconds = time.perf_counter() - started
        self.training.history.append(row)
        print(epoch_line(row, self.parameters.epochs, self.training.seconds[-1]), flush=True)

    def train_scores(self, logs) -> dict[str, float]:
        """Score the steps of the epoch as they ran, with dropout on; ranks need all rows and are left out."""
        scores = {"loss": float(logs["running_loss"])}
        for metric in self.running:
            if isinstance(metric, ConfusionMatrix):
                scores |= metric.scores(self.task)
        return scores


def epoch_line(row: dict, epochs: int, seconds: float) -> str:
    parts = [f"epoch {row['epoch']}/{epochs}", f"{seconds:5.1f} s"]
    for split, values in row.items():
        if split != "epoch":
            parts.append(split + " " + ", ".join(f"{name} {value:.4f}" for name, value in values.items()))
    return " | ".join(parts)


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
    """Give a display handle in a notebook, None elsewhere."""
    try:
        from IPython import display, get_ipython
    except ImportError:
        return None
    shell = get_ipython()
    if shell is None or not hasattr(shell, "kernel"):
        return None
    return display.display({"text/plain": "starting"}, raw=True, display_id=True)

"""Callbacks of each epoch: evaluate, keep the best weights, early stopping, and a checkpoint to resume from."""

from __future__ import annotations

import hashlib
import math
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import fmean

import keras
import numpy as np
from keras import ops

from bertglue.checked_files import find_problem
from bertglue.data.dataset import HELD_OUT, Data
from bertglue.data.token_ids import Tokens
from bertglue.devices import process, share_file
from bertglue.environment import commit
from bertglue.errors import InputError
from bertglue.evaluation import metrics
from bertglue.models.bert import compute_dtype
from bertglue.models.logits import predict_splits
from bertglue.parameters import Parameters
from bertglue.runs.record import RESUME_FILE
from bertglue.runs.schemas import ResumedTraining
from bertglue.training.checkpoint import assign, fits, load_checkpoint, save_checkpoint
from bertglue.training.optimizer import loss_scale
from bertglue.training.running_metrics import ConfusionMatrix
from bertglue.training.tracking import Tracker, scalars, trackers

CURVE_POINTS_PER_EPOCH = 10  # of the curve within an epoch
MIN_LOSS_SCALE = 2.0**-8  # from 2^15; only gradients that are no numbers bring it lower
# may differ when a run goes on
FREE_ON_RESUME = {"run_dir", "cache_dir", "glue_dir", "samples", "profile", "tracking", "device"}


@dataclass
class TrainingResult:
    """The result of a training: one dict an epoch (loss and metrics of train and validation), times, and logits."""

    history: list[dict] = field(default_factory=list)
    curve: list[dict] = field(default_factory=list)  # within the epochs: step, and the training rows since the last
    seconds: list[float] = field(default_factory=list)  # of each epoch's training, without validation
    evaluate_seconds: float = 0.0
    kept: int = 0  # the epoch whose weights were kept, counted from 1
    logits: dict[str, np.ndarray] = field(default_factory=dict)  # of the splits that are scored, kept epoch
    predict_seconds: dict[str, float] = field(default_factory=dict)  # of each split that was predicted afterwards


@dataclass(frozen=True)
class EpochProgress:
    """The progress of an epoch: its steps and rows so far, with their mean loss and accuracy."""

    steps: int = 0
    rows: int = 0
    loss: float = 0.0
    accuracy: float = 0.0

    def since(self, before: EpochProgress, name: str) -> float:
        """Return the mean over the rows that came after `before`."""
        total = getattr(self, name) * self.rows - getattr(before, name) * before.rows
        return total / (self.rows - before.rows)


class EpochRecorder(keras.callbacks.Callback):
    """Evaluate after each epoch, print a line, and write the checkpoint from which a killed run resumes."""

    def __init__(self, data: Data, tokens: dict[str, Tokens], parameters: Parameters, running, classifier, publish):
        super().__init__()
        self.data, self.task, self.tokens = data, data.task, tokens
        self.parameters, self.running = parameters, running
        self.classifier, self.publish = classifier, publish  # what predicts, and what brings its weights up to date
        self.splits = [split for split in (HELD_OUT, *self.task.validation) if split in tokens]
        self.steps = -(-len(tokens["train"]) // parameters.batch_size)  # of an epoch
        self.training = TrainingResult()
        self.best: list[np.ndarray] = []  # the weights of the kept epoch, where that is the best one
        self.trackers: list[Tracker] = []
        self.path = Path(parameters.run_dir) / RESUME_FILE

    def on_train_begin(self, logs=None):
        if process()[0] == 0:
            self.trackers = trackers(self.parameters, fresh=not self.training.history)

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch + 1
        self.done = epoch * self.steps
        self.seen = EpochProgress()
        self.started = time.perf_counter()

    def on_train_batch_end(self, batch, logs=None):
        """Keep the loss and the accuracy of the rows since the last point; ten points an epoch."""
        if not math.isfinite(float(logs["running_loss"])):
            self.fail(f"the loss is {float(logs['running_loss'])} at step {batch + 1} of {self.steps}", self.epoch)
        if batch + 1 >= self.seen.steps + self.steps / CURVE_POINTS_PER_EPOCH or batch + 1 == self.steps:
            rows = min((batch + 1) * self.parameters.batch_size, len(self.tokens["train"]))
            seen = EpochProgress(batch + 1, rows, float(logs["running_loss"]), float(logs.get("confusion", 0.0)))
            point = {"step": self.done + batch + 1, "loss": seen.since(self.seen, "loss")}
            if not self.task.regression:
                point["accuracy"] = seen.since(self.seen, "accuracy")
            self.training.curve.append(point)
            self.seen = seen

    def on_epoch_end(self, epoch, logs=None):
        training = self.training
        training.seconds.append(time.perf_counter() - self.started)
        if (scale := loss_scale(self.model.optimizer)) is not None and scale < MIN_LOSS_SCALE:
            self.fail(f"gradients overflow even with the loss scaled by {scale:.3g}", epoch + 1)
        row = {"epoch": epoch + 1, "train": self.train_scores(logs)}
        started = time.perf_counter()
        logits = self.predict()
        training.evaluate_seconds = time.perf_counter() - started
        for split, values in logits.items():
            if not np.isfinite(values).all():
                self.fail(f"the logits of {split} are not all numbers", epoch + 1)
        training.history.append(row | {split: self.scores(split, logits[split]) for split in self.splits})
        print(epoch_line(training.history[-1], self.parameters.epochs, training.seconds[-1]), flush=True)
        for tracker in self.trackers:
            tracker.log(scalars(training.history[-1]), epoch + 1)
        if self.parameters.keep == "last" or best_epoch(training.history, self.splits[0]) == epoch + 1:
            training.kept, training.logits = epoch + 1, logits
            self.best = [ops.convert_to_numpy(v) for v in self.kept_variables()]
        self.model.stop_training = self.finished
        if process()[0] == 0:  # of several machines, all of which have the same state
            self.save()

    def fail(self, what: str, epoch: int) -> None:
        """End the run in one line: nothing after this step would mean anything."""
        rate = float(self.model.optimizer.learning_rate)
        computed = compute_dtype(self.classifier)  # which `auto` chose
        remedy = "lower learning_rate" if computed == "float32" else f"{computed} may be why: set precision to float32"
        raise InputError(f"{what}, epoch {epoch}, at a learning rate of {rate:.3g}; {remedy}")

    @property
    def finished(self) -> bool:
        """Whether all epochs are done, or `patience` epochs brought nothing better (early stopping)."""
        history, patience = self.training.history, self.parameters.patience
        if len(history) == self.parameters.epochs:
            return True
        return bool(history and patience) and len(history) - best_epoch(history, self.splits[0]) >= patience

    def finish(self) -> TrainingResult:
        """Restore the kept weights, and return the result of the training."""
        for tracker in self.trackers:
            tracker.close()
        assign(self.kept_variables(), self.best)
        self.publish()
        self.training.logits = self.training.logits or self.predict()
        return self.training

    def kept_variables(self) -> list:
        kept = [*self.model.trainable_variables, self.model.optimizer.iterations]
        return kept if self.parameters.keep == "best" else []

    def predict(self) -> dict[str, np.ndarray]:
        self.publish()
        return predict_splits(self.classifier, self.tokens, self.splits, self.parameters)

    def scores(self, split: str, logits: np.ndarray) -> dict[str, float]:
        labels, predictions = self.data[split].labels, metrics.predictions_of(self.task, logits)
        scores = {"loss": metrics.loss(self.task, labels, logits), **metrics.scores(self.task, labels, predictions)}
        if not self.task.regression:
            scores["calibration_error"] = metrics.calibration_error(labels, logits)
        return scores

    def train_scores(self, logs) -> dict[str, float]:
        """Score the steps of the epoch as they ran, with dropout on; ranks need all rows and are left out."""
        scores = {"loss": float(logs["running_loss"])}
        for metric in self.running:
            if isinstance(metric, ConfusionMatrix):
                scores |= metric.scores(self.task)
        return scores

    def save(self) -> None:
        training = asdict(self.training)
        training.pop("logits")
        save_checkpoint(self.path, {"of": self.identity(), "training": training}, state=self.state(), best=self.best)

    def resume(self) -> int:
        """Go on from where the same run was killed; return the epochs that are done."""
        if process()[1] > 1:
            share_file(self.path)
        if not self.path.exists():
            return 0
        try:
            about, groups = load_checkpoint(self.path, "state", "best")
            self.check_state(about, groups)
        except InputError as error:
            print(f"{error}; starting from the first epoch", flush=True)
            return 0
        assign(self.state(), groups["state"])
        self.training, self.best = TrainingResult(**about["training"]), groups["best"]
        if self.parameters.keep == "best":  # whose logits belong to other weights than the last
            last = [ops.convert_to_numpy(v) for v in self.kept_variables()]
            assign(self.kept_variables(), self.best)
            self.training.logits = self.predict()
            assign(self.kept_variables(), last)
        print(f"resuming after epoch {len(self.training.history)}, from {self.path}", flush=True)
        return len(self.training.history)

    def check_state(self, about: dict, groups: dict[str, list[np.ndarray]]) -> None:
        """Check that a state is of this run and whole; what is not is an InputError."""
        if about.get("of") != self.identity():
            raise InputError(f"{self.path} is not of this run")
        training = about.get("training")
        wrong = find_problem(training, ResumedTraining, context={"task": self.task.name})
        if not wrong and set(training) != set(ResumedTraining.model_fields):
            wrong = "training has other keys"
        if not wrong and not (fits(self.state(), groups["state"]) and fits(self.kept_variables(), groups["best"])):
            wrong = "the arrays are not those of this model"
        if wrong:
            raise InputError(f"{self.path} is damaged ({wrong})")

    def state(self) -> list:
        """List the variables that a run continues with: weights, optimizer, and the state of the random numbers."""
        return [*self.model.variables, *self.model.optimizer.variables]

    def identity(self) -> dict:
        """Describe the run that a state belongs to: what it was asked, on what rows, by which version of the code."""
        digest = hashlib.sha256()
        for split in ("train", *self.splits):  # the history holds scores of all of them
            rows = self.tokens[split]
            for part in (rows.ids, rows.offsets, rows.second, self.data[split].labels):
                digest.update(np.ascontiguousarray(part))
        return {
            "parameters": self.parameters.model_dump(exclude=FREE_ON_RESUME),
            "rows": digest.hexdigest(),
            "backend": keras.backend.backend(),
            "commit": commit(),
        }


def best_epoch(history: list[dict], split: str) -> int:
    """Return the epoch, counted from 1, whose metrics on a split have the best mean; the first of several."""
    means = [
        fmean(value for name, value in row[split].items() if name not in metrics.NOT_FOR_SELECTION) for row in history
    ]
    return 1 + int(np.argmax(means))


def epoch_line(row: dict, epochs: int, seconds: float) -> str:
    parts = [f"epoch {row['epoch']}/{epochs}", f"{seconds:5.1f} s"]
    for split, values in row.items():
        if split != "epoch":
            parts.append(
                split
                + " "
                + ", ".join(f"{name} {value:.4f}" for name, value in values.items() if name != "calibration_error")
            )
    return " | ".join(parts)

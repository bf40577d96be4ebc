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

from bertglue import __version__
from bertglue.checked_files import find_problem
from bertglue.data.dataset import HELD_OUT, Data
from bertglue.data.token_ids import Tokens
from bertglue.devices import process, share_file
from bertglue.environment import commit
from bertglue.errors import InputError
from bertglue.evaluation import metrics
from bertglue.models.bert import compute_dtype
from bertglue.models.encoder_source import origin_of
from bertglue.models.logits import predict_splits
from bertglue.parameters import Parameters
from bertglue.runs.record import RESUME_FILE
from bertglue.runs.schemas import ResumedPlace, ResumedTraining
from bertglue.training.checkpoint import assign, fits, load_checkpoint, save_checkpoint
from bertglue.training.optimizer import MIN_LOSS_SCALE, loss_scale, unwrapped
from bertglue.training.running_metrics import ConfusionMatrix
from bertglue.training.tracking import Tracker, scalars, trackers

CURVE_POINTS_PER_EPOCH = 10  # of the curve within an epoch
# may differ when a run goes on
FREE_ON_RESUME = {"run_dir", "cache_dir", "glue_dir", "samples", "profile", "tracking", "device", "save_every"}


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


@dataclass(frozen=True)
class Place:
    """The place of a training within an epoch: steps and seconds so far, and the progress at the curve's last point."""

    step: int = 0
    seconds: float = 0.0
    seen: EpochProgress = EpochProgress()


class EpochRecorder(keras.callbacks.Callback):
    """Evaluate after each epoch, print a line, and write the checkpoint from which a killed run resumes.

    With `save_every` it is written within the epochs too, between two updates of the weights.
    """

    def __init__(self, data: Data, tokens: dict[str, Tokens], parameters: Parameters, running, classifier, publish):
        super().__init__()
        self.data, self.task, self.tokens = data, data.task, tokens
        self.parameters, self.running = parameters, running
        self.classifier, self.publish = classifier, publish  # what predicts, and what brings its weights up to date
        self.splits = [split for split in (HELD_OUT, *self.task.validation) if split in tokens]
        update_rows = parameters.batch_size * parameters.accumulate
        self.steps = -(-len(tokens["train"]) // update_rows) * parameters.accumulate  # of an epoch
        self.training = TrainingResult()
        self.best: list[np.ndarray] = []  # the weights of the kept epoch, where that is the best one
        self.trackers: list[Tracker] = []
        self.path = Path(parameters.run_dir) / RESUME_FILE
        self.resumed, self.resumed_metrics = Place(), []  # where the next epoch begins

    def on_train_begin(self, logs=None):
        if process()[0] == 0 and not self.trackers:
            self.trackers = trackers(self.parameters, fresh=not self.training.history)

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch + 1
        self.done = epoch * self.steps
        self.first = self.saved = self.resumed.step
        self.seen, self.started = self.resumed.seen, time.perf_counter() - self.resumed.seconds
        if self.first:  # Keras has just reset them
            assign(self.metric_variables(), self.resumed_metrics)
        self.resumed, self.resumed_metrics = Place(), []

    def on_train_batch_end(self, batch, logs=None):
        """Keep the loss and the accuracy of the rows since the last point; ten points an epoch."""
        step = min(self.first + batch + 1, self.steps)  # the last call of the device may have room for more
        if not math.isfinite(float(logs["running_loss"])):
            self.fail(f"the loss is {float(logs['running_loss'])} at step {step} of {self.steps}", self.epoch)
        rows, all_rows = step * self.parameters.batch_size, len(self.tokens["train"])
        due = step >= self.seen.steps + self.steps / CURVE_POINTS_PER_EPOCH and rows < all_rows
        if due or step == self.steps:  # once all rows are seen there may be steps that only fill the last update up
            self.add_point(step, min(rows, all_rows), logs)
        if self.is_due(step):
            self.save_within_epoch(step)

    def is_due(self, step: int) -> bool:
        """Return whether `save_every` steps were passed; at the end of an epoch its own checkpoint follows."""
        every = self.parameters.save_every
        between_updates = step % self.parameters.accumulate == 0
        return bool(every) and between_updates and step < self.steps and step // every > self.saved // every

    def save_within_epoch(self, step: int) -> None:
        now = time.perf_counter()
        self.sync()
        if process()[0] == 0:
            self.save(Place(step, now - self.started, self.seen))
        self.saved = step
        self.started += time.perf_counter() - now  # the epoch's seconds are of training

    def sync(self) -> None:
        """Bring the variables up to date, which Keras on JAX keeps aside during an epoch."""
        if keras.backend.backend() == "jax":
            self.model.jax_state_sync()

    def add_point(self, step: int, rows: int, logs) -> None:
        seen = EpochProgress(step, rows, float(logs["running_loss"]), float(logs.get("confusion", 0.0)))
        point = {"step": self.done + step, "loss": seen.since(self.seen, "loss")}
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
        self.sync()
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
        assign(self.kept_variables(), self.best)
        self.publish()
        self.training.logits = self.training.logits or self.predict()
        return self.training

    def close_trackers(self, failed: bool) -> None:
        """Close what follows the run, also one that failed: the next training of this process opens its own."""
        for tracker in self.trackers:
            tracker.close(failed)

    def kept_variables(self) -> list:
        # the counter itself: `iterations` is computed from it where gradients are accumulated
        kept = [*self.model.trainable_variables, unwrapped(self.model.optimizer)._iterations]
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

    def save(self, place: Place = Place()) -> None:
        training = asdict(self.training)
        training.pop("logits")
        about = {"of": self.identity(), "training": training, "place": asdict(place)}
        running = self.metric_variables() if place.step else []
        save_checkpoint(self.path, about, state=self.state(), best=self.best, running=running)

    def resume(self) -> int:
        """Go on from where the same run was killed; return the epochs that are done.

        `resumed` is the place within the next one.
        """
        if process()[1] > 1:
            share_file(self.path)
        if not self.path.exists():
            return 0
        try:
            about, groups = load_checkpoint(self.path, "state", "best", "running")
            self.check_state(about, groups)
        except InputError as error:
            print(f"{error}; starting from the first epoch", flush=True)
            return 0
        assign(self.state(), groups["state"])
        self.training, self.best = TrainingResult(**about["training"]), groups["best"]
        place = ResumedPlace.model_validate(about["place"])
        self.resumed = Place(place.step, place.seconds, EpochProgress(**place.seen.model_dump()))
        self.resumed_metrics = groups["running"]
        if self.best:  # whose logits belong to other weights than the last
            last = [ops.convert_to_numpy(v) for v in self.kept_variables()]
            assign(self.kept_variables(), self.best)
            self.training.logits = self.predict()
            assign(self.kept_variables(), last)
        done = len(self.training.history)
        within = f"{done + 1}, step {place.step} of {self.steps}"
        print(f"resuming after epoch {within if place.step else done}, from {self.path}", flush=True)
        return done

    def check_state(self, about: dict, groups: dict[str, list[np.ndarray]]) -> None:
        """Check that a state is of this run and whole; what is not is an InputError."""
        if about.get("of") != self.identity():
            raise InputError(f"{self.path} is not of this run")
        training = about.get("training")
        wrong = find_problem(training, ResumedTraining, context={"task": self.task})
        if not wrong and set(training) != set(ResumedTraining.model_fields):
            wrong = "training has other keys"
        if not wrong and (problem := find_problem(about.get("place"), ResumedPlace)):
            wrong = f"place: {problem}"
        if not wrong:
            place = ResumedPlace.model_validate(about["place"])
            kept = self.kept_variables() if training["history"] else []
            running = self.metric_variables() if place.step else []
            pairs = ((self.state(), "state"), (kept, "best"), (running, "running"))
            if not all(fits(variables, groups[name]) for variables, name in pairs):
                wrong = "the arrays are not those of this model"
            elif not self.is_reached(place, training, groups["state"]):
                wrong = f"it cannot have been written at step {place.step} of epoch {len(training['history']) + 1}"
        if wrong:
            raise InputError(f"{self.path} is damaged ({wrong})")

    def is_reached(self, place: ResumedPlace, training: dict, state: list[np.ndarray]) -> bool:
        """Return whether a training that took the optimizer's steps is at this place, and its curve fits it."""
        epochs, seen = len(training["history"]), place.seen
        counter = next(i for i, v in enumerate(self.state()) if v is unwrapped(self.model.optimizer)._iterations)
        points = [point["step"] for point in training["curve"]]
        steps, taken = epochs * self.steps + place.step, int(state[counter])
        overflowed = loss_scale(self.model.optimizer) is not None  # steps that did are not counted
        return (
            place.step < self.steps
            and place.step % self.parameters.accumulate == 0
            and steps > 0
            and (0 <= taken <= steps if overflowed else taken == steps)
            and seen.steps <= place.step
            and seen.rows == min(seen.steps * self.parameters.batch_size, len(self.tokens["train"]))
            and (points[-1] if points else 0) == epochs * self.steps + seen.steps
        )

    def state(self) -> list:
        """List the variables that a run continues with: weights, optimizer, and the state of the random numbers."""
        return [*self.model.variables, *self.model.optimizer.variables]

    def metric_variables(self) -> list:
        """List the variables of the running metrics, Keras's mean loss among them, which begin anew with each epoch."""
        tracker = next(metric for metric in self.model.metrics if metric.name == "loss")
        return [variable for metric in (tracker, *self.running) for variable in metric.variables]

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
            "encoder": (origin_of(self.classifier.get_layer("encoder")) or {}).get("sha256"),
            "commit": commit() or __version__,
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

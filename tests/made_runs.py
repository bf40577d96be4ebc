"""Finished runs that nobody trained: made-up answers to made-up rows, written as a real run writes them."""

import functools

import numpy as np
import pytest

from bertglue.data.dataset import Data, Split
from bertglue.data.token_ids import Tokens
from bertglue.devices import Strategy
from bertglue.evaluation import metrics
from bertglue.evaluation.evaluate import evaluate
from bertglue.models.bert import EncoderConfig, build_encoder
from bertglue.models.classifier import build_classifier
from bertglue.parameters import Parameters
from bertglue.runs import record as run_record
from bertglue.runs.collection import collect_runs
from bertglue.runs.text_samples import collect_text_samples, write_text_samples
from bertglue.tasks import TASKS
from bertglue.training.callbacks import TrainingResult

ROWS = 40
TEXT = "<script>alert(1)</script> & so on"
EPOCHS = 2


class Packed(dict):
    """The tokens of each split, and the seconds that they took."""

    seconds = 0.25


def made_data(name: str, source: str = "toy") -> Data:
    task, rng = TASKS[name], np.random.default_rng(0)
    splits = {}
    for split in (*task.splits, *(["ax"] if name == "mnli" else [])):
        labels = rng.uniform(0, 5, ROWS).astype("float32") if task.regression else rng.integers(0, task.outputs, ROWS)
        labels = np.full(ROWS, -1) if split.startswith("test") else labels
        columns = {column: [f"{TEXT} {column} {row}" for row in range(ROWS)] for column in task.columns}
        splits[split] = Split(columns, labels.astype("float32" if task.regression else "int32"))
    return Data(task, source, splits)


def made_logits(data: Data, right: float) -> dict[str, np.ndarray]:
    """Answer the first share `right` of every split rightly, the rest wrongly."""
    found = {}
    for name, split in data.splits.items():
        if name == "train":
            continue
        labels, good = np.maximum(split.labels, 0), np.arange(ROWS) < right * ROWS
        if data.task.regression:
            found[name] = np.where(good, labels, 5 - labels)[:, None].astype("float32")
        else:
            answers = np.where(good, labels, (labels + 1) % data.task.outputs).astype(int)
            found[name] = np.eye(data.task.outputs, dtype="float32")[answers] * 2
    return found


@functools.cache
def classifier(outputs: int):
    return build_classifier(build_encoder(EncoderConfig(50, 8, 16, (2, 2), 4, 16)), outputs)


def write_run(folder, parameters: Parameters, right: float = 0.75):
    """Write the record, the answers and the texts of a run of these parameters; give the record."""
    data = made_data(parameters.task, parameters.source)
    task, logits = data.task, made_logits(data, right)
    lengths = np.arange(ROWS) % 9 + 4
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    tokens = Packed({s: Tokens(np.zeros(offsets[-1], "int32"), offsets, lengths // 2, 16) for s in data.splits})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(metrics, "BOOTSTRAP_RESAMPLES", 50)  # the intervals need be there, and not exact
        scores = evaluate(data, logits)
    beside = {"loss": 0.5} if task.regression else {"loss": 0.5, "calibration_error": 0.1}
    trained = {"loss": 0.4} if task.regression else {"loss": 0.4, **dict.fromkeys(task.metrics, 0.8)}
    history = [
        {"epoch": epoch, "train": trained, **{s: {**beside, **scores.metrics[s]} for s in task.validation}}
        for epoch in range(1, EPOCHS + 1)
    ]
    curve = [{"step": step, "loss": 0.4} | ({} if task.regression else {"accuracy": 0.8}) for step in range(1, 5)]
    validation = {split: logits[split] for split in task.validation}
    training = TrainingResult(history, curve, [2.0, 1.0], 0.5, EPOCHS, validation, dict.fromkeys(task.test, 0.125))
    strategy = Strategy("tensorflow", "CPU", 1)
    record = run_record.build_record(parameters, data, tokens, training, scores, strategy, classifier(task.outputs))
    samples = [[TEXT] * len(task.columns)] * 2
    write_text_samples(folder, collect_text_samples(data, logits, samples, logits[task.validation[0]][:2]))
    run_record.write_record(folder, record, data, logits)
    return record


def make_runs(place, tasks=tuple(TASKS), right: float = 0.75):
    """Write a finished run of each task, and the `results.json` that lists them; give its path."""
    expected = {}
    for task in tasks:
        parameters = Parameters(task=task, epochs=EPOCHS)
        folder = place / task / "lr2e-05-seed0"
        write_run(folder, parameters, right)
        expected[str(folder)] = parameters.model_dump()
    collect_runs(expected, place / "results.json", place / "logs")
    return place / "results.json"

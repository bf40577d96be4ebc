"""Finished runs that nobody trained: made-up predictions of made-up rows, written as a real run writes them.

No two values of a record are alike, so that a page that shows one for another is found out. A value in its history is
0.tepm (a loss 1.tep): the task by its number in GLUE's order, the epoch, the part (1 train, 2 and 3 validation) and the
metric.
"""

import functools
import itertools
import time

import numpy as np
import pytest

from bertglue import environment
from bertglue.atomic_files import write_json
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
from bertglue.runs.record import COMPRESSION_FILE
from bertglue.runs.schemas import ALL_HEADS, PRUNING_ORDERS, SELECTED_HEADS
from bertglue.runs.text_samples import collect_text_samples, write_text_samples
from bertglue.tasks import TASKS
from bertglue.training.callbacks import TrainingResult

ROWS = 40  # of validation; of the other splits:
SIZES = {"train": 48, "test": 30, "ax": 36}
TEXT = "<script>alert(1)</script> & so on"
EPOCHS, KEPT = 3, 2
RECIPE = {
    "epochs": EPOCHS, "batch_size": 24, "max_length": 16, "dropout": 0.2, "encoder_dropout": 0.3,
    "warmup_fraction": 0.25, "weight_decay": 0.02, "learning_rate": 2e-5, "hold_out": 0.0,
}  # fmt: skip
# the share of rows that each task predicts correctly, where all are to differ
RIGHT = {name: (24 + number) / ROWS for number, name in enumerate(TASKS)}
ENVIRONMENT = {
    "device": "CPU", "devices": 1, "precision": "float32", "threads": 2, "machine": "Linux x86_64, 2 cores",
    "commit": "0123456789", "versions": {"python": "3.11.7", "keras": "3.15.1"},
}  # fmt: skip


class Packed(dict):
    """The tokens of each split, and the seconds that they took."""

    seconds = 0.25


def made_data(name: str, source: str = "toy") -> Data:
    task, rng = TASKS[name], np.random.default_rng(0)
    splits = {}
    for split in (*task.splits, *(["ax"] if name == "mnli" else [])):
        rows = SIZES.get(split.partition("_")[0], ROWS)
        labels = rng.uniform(0, 5, rows).astype("float32") if task.regression else rng.integers(0, task.outputs, rows)
        labels = np.full(rows, -1) if split.startswith("test") else labels
        columns = {column: [f"{TEXT} {column} {row}" for row in range(rows)] for column in task.columns}
        splits[split] = Split(columns, labels.astype("float32" if task.regression else "int32"))
    return Data(task, source, splits)


def made_logits(data: Data, right: float) -> dict[str, np.ndarray]:
    """Predict the first share `right` of every split correctly, the rest wrongly."""
    found = {}
    for name, split in data.splits.items():
        if name == "train":
            continue
        labels, good = np.maximum(split.labels, 0), np.arange(len(split)) < right * len(split)
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
    """Write the record, the logits and the texts of a run of these parameters; return the record."""
    data = made_data(parameters.task, parameters.source)
    task, logits = data.task, made_logits(data, right)
    tokens = Packed({name: made_tokens(len(split), at) for at, (name, split) in enumerate(data.splits.items())})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(metrics, "BOOTSTRAP_RESAMPLES", 50)  # the intervals need be there, and not exact
        scores = evaluate(data, logits)
    number = 1 + list(TASKS).index(parameters.task)
    history = [made_epoch(task, number, epoch) for epoch in range(1, EPOCHS + 1)]
    curve = [
        {"step": step, "loss": round(2 + number / 10 + step / 1000, 4)}
        | ({} if task.regression else {"accuracy": round(number / 10 + step / 1000, 4)})
        for step in range(1, 2 * EPOCHS + 1)
    ]
    validation = {split: logits[split] for split in task.validation}
    seconds = [number + epoch / 10 for epoch in (4, 2, 1)]  # the first is the longest
    predicted = {split: number / 10 + at / 100 for at, split in enumerate(task.test, 4)}
    training = TrainingResult(history, curve, seconds, number / 2, KEPT, validation, predicted)
    strategy = Strategy("tensorflow", "CPU", 1)
    own = {"seconds": 10.0 * number, "peak_memory_mb": 1000 + number}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(environment, "describe_environment", lambda device, devices: ENVIRONMENT | own)
        patch.setattr(time, "gmtime", lambda: time.struct_time((2026, 11, number, 12, 30, 0, 0, 1, 0)))
        record = run_record.build_record(parameters, data, tokens, training, scores, strategy, classifier(task.outputs))
    samples = [[TEXT] * len(task.columns)] * 2
    write_text_samples(folder, collect_text_samples(data, logits, samples, logits[task.validation[0]][:2]))
    run_record.write_record(folder, record, data, logits)
    return record


def made_tokens(rows: int, shortest: int) -> Tokens:
    lengths = np.arange(rows) % 9 + 3 + shortest
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    return Tokens(np.zeros(offsets[-1], "int32"), offsets, lengths // 2, 16)


def made_epoch(task, number: int, epoch: int) -> dict:
    """Make a row of a history; see above for its values."""

    def values(part, names):
        found = {
            name: round(number / 10 + epoch / 100 + part / 1000 + at / 10_000, 4) for at, name in enumerate(names, 1)
        }
        return {"loss": round(1 + number / 10 + epoch / 100 + part / 1000, 4), **found}

    beside = [] if task.regression else ["calibration_error"]
    return {
        "epoch": epoch,
        "train": values(1, [] if task.regression else task.metrics),
        **{split: values(part, [*task.metrics, *beside]) for part, split in enumerate(task.validation, 2)},
    }


def make_reference(place, tasks=("cola", "mnli"), seeds=(0, 1)):
    """Write the kept records of a reference run of some tasks; what its history has is 0.05 more than that of a run."""
    (place / "final").mkdir()
    for task, seed in itertools.product(tasks, seeds):
        parameters = Parameters(task=task, source="folder", encoder="minilm", seed=seed, **RECIPE)
        record = write_run(place / "runs" / f"{task}-{seed}", parameters, 0.8 + seed / 10)
        for row in record["history"]:
            for values in row.values():
                if isinstance(values, dict):
                    values.update({name: round(value + 0.05, 4) for name, value in values.items()})
        write_json(place / "final" / f"{task}-{seed}.json", record)


def make_runs(place, tasks=tuple(TASKS), right: float | None = 0.75, source: str = "toy"):
    """Write a finished run of each task, and the `results.json` that lists them; return its path.

    A share `right` of the rows is predicted correctly; None takes another one for each task.
    """
    expected = {}
    for task in tasks:
        parameters = Parameters(task=task, source=source, **RECIPE)
        folder = place / task / "lr2e-05-seed0"
        write_run(folder, parameters, RIGHT[task] if right is None else right)
        expected[str(folder)] = parameters.model_dump()
    collect_runs(expected, place / "results.json", place / "logs")
    return place / "results.json"


def write_compression(folder, task: str):
    """Write the record of a compression of a small run: two layers of two heads, of which one is kept."""
    name, heads = TASKS[task].validation[0], [[0, 1], [0, 1]]
    scores = {name: dict.fromkeys(TASKS[task].metrics, 0.5)}
    interval = {name: dict.fromkeys(TASKS[task].metrics, [0.4, 0.6])}
    scored = {"metrics": scores, "interval": interval, "baseline": scores}
    retrained = {
        "before": scored, "after": scored, "history": [{"epoch": epoch, name: {"loss": 0.5}} for epoch in (0, 1)],
    }  # fmt: skip
    measured = {"bytes": 1000, "peak_memory_mb": 12.5, "latency": {"1": 0.001, "32": 0.01}}
    return write_json(folder / COMPRESSION_FILE, {
        "task": task, "source": "toy", "encoder": "bundled", "seed": 0, "heads": [2, 2], "baseline": scores,
        "epochs": 3,
        "pruning_curve": [
            {"order": order, "seed": 0, "kept": heads, "heads": count, "scores": scores}
            for order in PRUNING_ORDERS for count in range(5)
        ],
        "selection": {
            "reference": 0.5, "error": 0.05, "kept": [[1], []],
            "trials": [{"strength": 0.1, "kept": [[1], []], "score": 0.5, "heads": 1}],
        },
        "retrained": {SELECTED_HEADS: {"kept": [[1], []], **retrained}, ALL_HEADS: {"kept": heads, **retrained}},
        "pruning_gain": [
            {"split": name, "metric": metric, "gain": 0.01, "low": -0.02, "high": 0.03} for metric in scores[name]
        ],
        "files": [{"file": "a.tflite", "model": ALL_HEADS, "kind": "float32", **measured, **scored}],
    })  # fmt: skip


def scored_run(rate=1e-3, seed=0, *, task="sst2", encoder="bundled", held_out=0.5, score=0.5, width=0.0):
    """What a record says of scores: `score` on validation, with an interval of that width."""
    splits = {**dict.fromkeys(TASKS[task].validation, score), **({} if held_out is None else {"held_out": held_out})}

    def of_each(value):
        return {split: dict.fromkeys(TASKS[task].metrics, value(score)) for split, score in splits.items()}

    return {
        "task": task,
        "encoder": encoder,
        "learning_rate": rate,
        "seed": seed,
        "metrics": of_each(lambda score: score),
        "interval": of_each(lambda score: (score - width / 2, score + width / 2)),
        "baseline": of_each(lambda score: 0.5),
        "examples": {"train": 90, **dict.fromkeys(splits, 10)},
    }

"""Run records: one JSON object a finished run, gathered into `results.json`."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np

from bertglue import environment
from bertglue.atomic_files import READ_ERRORS, write_atomically, write_json
from bertglue.data.dataset import Data
from bertglue.errors import InputError, one_line
from bertglue.evaluation.evaluate import Scores
from bertglue.locks import claim_folder
from bertglue.parameters import Parameters
from bertglue.runs import statistics
from bertglue.tasks import TASKS

RECORD_FILE, LOGITS_FILE, LABELS_FILE = "record.json", "logits.npz", "labels.npz"
COMPRESSION_FILE = "compression.json"  # of a compression; the models in it:
ALL_HEADS, SELECTED_HEADS = "all heads", "selected heads"
RESUME_FILE = "resume.npz"  # the state of a run that is not finished


def build_record(parameters: Parameters, data: Data, tokens, training, scores: Scores, strategy, classifier) -> dict:
    """Build the record of a run; its keys are those of `runs/<profile>/results.json` (see the README)."""
    keys = ("task", "source", "encoder", "seed", "learning_rate", "epochs", "batch_size", "max_length")
    return {
        **{key: getattr(parameters, key) for key in keys},
        "backend": strategy.backend,
        "examples": data.examples,
        **asdict(scores),
        "labels": statistics.label_counts(data),
        "lengths": statistics.length_counts(tokens),
        "model": statistics.model_sizes(classifier),
        "history": training.history,
        "curve": training.curve,
        "kept_epoch": training.kept,
        "timing": timing(training, data, tokens.seconds),
        "environment": environment.describe_environment(strategy.device, strategy.count),
        "parameters": parameters.model_dump(exclude={"run_dir", "cache_dir"}),
        "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


def timing(training, data: Data, tokenize_seconds: float) -> dict[str, float]:
    """Return the times of a run [s], the first epoch (it compiles) apart from the others, and examples a second."""
    first, steady = training.seconds[0], float(np.median(training.seconds[1:] or training.seconds))
    evaluated = sum(data.examples[split] for split in training.logits)
    return {
        "tokenize": tokenize_seconds,
        "first_epoch": first,
        "steady_epoch": steady,
        "epochs": training.seconds,
        "evaluate": training.evaluate_seconds,
        "predict": training.predict_seconds,
        "train_examples_per_second": data.examples["train"] / steady,
        "evaluate_examples_per_second": evaluated / training.evaluate_seconds,
    }


def write_record(run_dir: str | Path, record: dict, data: Data, logits: dict[str, np.ndarray]) -> Path:
    """Write the record and, beside it, the logits of every predicted split and the labels that are known of them.

    Each file appears whole or not at all, the record last.
    """
    folder = Path(run_dir)
    write_arrays(folder / LOGITS_FILE, logits)
    write_arrays(folder / LABELS_FILE, {split: data[split].labels for split in logits if data[split].labelled})
    path = write_json(folder / RECORD_FILE, record)
    (folder / RESUME_FILE).unlink(missing_ok=True)  # there is nothing left to go on with
    return path


def begin_run(run_dir: str | Path) -> None:
    """Claim a run's folder, and take away the record of an earlier run there, whose model this one replaces."""
    folder = Path(run_dir)
    claim_folder(folder)
    (folder / RECORD_FILE).unlink(missing_ok=True)


def write_arrays(path: Path, arrays: dict[str, np.ndarray]) -> None:
    with write_atomically(path) as partial:
        np.savez(partial, **arrays)


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """Read what `write_record` wrote beside a record: `logits.npz` or `labels.npz`."""
    try:
        with np.load(path, allow_pickle=False) as saved:
            return {name: saved[name] for name in saved.files}
    except READ_ERRORS as error:
        raise InputError(f"{path} cannot be read ({one_line(error)}); remove {path.parent} and run it again") from None


def read_json(path: Path, what: str) -> dict:
    """Read an object that a run left."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(found, dict):
            raise ValueError("it holds no object")
        return found
    except (OSError, ValueError) as error:
        raise InputError(f"{path} is no {what} ({one_line(error)}); remove its folder and run it again") from None


def read_record(path: Path) -> dict:
    return read_json(path, "run record")


def read_results(path: str | Path) -> list[dict]:
    """Read the records of `results.json`."""
    try:
        records = json.loads(Path(path).read_text(encoding="utf-8"))
        return sorted(records, key=lambda record: list(TASKS).index(record["task"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} holds no results ({one_line(error)}); `make book` writes it") from None

"""Run records: one JSON object a finished run, gathered into `results.json`."""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bertglue import environment
from bertglue.atomic_files import write_atomically, write_json
from bertglue.checked_files import find_problem, parse_json, read_npz, read_object
from bertglue.data.dataset import Data
from bertglue.errors import InputError
from bertglue.locks import claim_folder
from bertglue.own_tasks import describe_own_task, task_of_record
from bertglue.parameters import Parameters
from bertglue.places import NOTEBOOK
from bertglue.runs import statistics
from bertglue.runs.schemas import CompressionRecord, RunRecord
from bertglue.tasks import TASKS, Task

if TYPE_CHECKING:  # it loads scipy and scikit-learn, which `make book` with nothing to do has no use for
    from bertglue.evaluation.evaluate import Scores

RECORD_FILE, LOGITS_FILE, LABELS_FILE = "record.json", "logits.npz", "labels.npz"
COMPRESSION_FILE = "compression.json"  # of a compression
RESUME_FILE = "resume.npz"  # the state of a run that is not finished
LEFT_BY_RUNS = (RECORD_FILE, LOGITS_FILE, RESUME_FILE, NOTEBOOK.name)  # by which its folder is known, finished or not
RUN_AGAIN, MAKE_BOOK = "remove its folder and run it again", "`make book` writes it"  # what errors advise


def build_record(parameters: Parameters, data: Data, tokens, training, scores: Scores, strategy, classifier) -> dict:
    """Build the record of a run; its keys are those of `runs/<profile>/results.json` (see the README)."""
    from bertglue.models.encoder_source import origin_of

    keys = ("encoder", "seed", "learning_rate", "epochs", "batch_size", "max_length")
    return {
        "task": parameters.task,
        "source": data.source,  # tfds may have become huggingface
        **{key: getattr(parameters, key) for key in keys},
        "own_task": describe_own_task(data.task),
        "backend": strategy.backend,
        "examples": data.examples,
        **asdict(scores),
        "labels": statistics.label_counts(data),
        "lengths": statistics.length_counts(tokens),
        "model": statistics.model_sizes(classifier),
        "encoder_origin": origin_of(classifier.get_layer("encoder")),
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
    check_run_folder(folder)
    claim_folder(folder)
    (folder / RECORD_FILE).unlink(missing_ok=True)


def check_run_folder(folder: Path) -> None:
    """Check that a run may be written to a folder: it has no files yet, or those of another run.

    Raises:
        InputError: its files are something else's, such as an exported model, which the run would be mixed with.
    """
    if folder.is_dir() and not any((folder / name).exists() for name in LEFT_BY_RUNS):
        files = sorted(path.name for path in folder.iterdir() if path.is_file())
        if others := [name for name in files if not name.startswith("partial.")]:
            raise InputError(f"{folder} holds {others[0]} and no run; name a new folder, or that of a run to replace")


def write_arrays(path: Path, arrays: dict[str, np.ndarray]) -> None:
    with write_atomically(path) as partial:
        np.savez(partial, **arrays)


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """Read what `write_record` wrote beside a record: `logits.npz` or `labels.npz`."""
    return read_npz(path, RUN_AGAIN)


def read_logits(path: Path, task: Task) -> dict[str, np.ndarray]:
    """Read the logits of each predicted split, [rows, outputs] of finite numbers."""
    found = read_arrays(path)
    for split, logits in found.items():
        if logits.dtype.kind != "f" or logits.shape[1:] != (task.outputs,) or not np.isfinite(logits).all():
            raise unlike(path, split, logits, f"[rows, {task.outputs}] of finite numbers")
    return found


def read_labels(path: Path, task: Task) -> dict[str, np.ndarray]:
    """Read the labels [rows] of each labelled split."""
    found = read_arrays(path)
    for split, labels in found.items():
        numbers = labels.ndim == 1 and labels.dtype.kind in ("f" if task.regression else "iu")
        lowest, highest = (-np.inf if task.own else -1, np.inf) if task.regression else (-1, task.outputs)
        if not numbers or not ((labels > lowest) & (labels < highest)).all():
            raise unlike(path, split, labels, "[rows] of scores" if task.regression else f"[rows] below {task.outputs}")
    return found


def unlike(path: Path, split: str, found: np.ndarray, wanted: str) -> InputError:
    return InputError(f"{path}, {split}: {found.dtype}{list(found.shape)} is not {wanted}; {RUN_AGAIN}")


def read_predictions(folder: Path, record: dict) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Read of each validation split of a run the labels [rows] and the logits [rows, outputs]."""
    task = task_of_record(record)
    labels, logits = read_labels(folder / LABELS_FILE, task), read_logits(folder / LOGITS_FILE, task)
    for split in task.validation:
        rows = record["examples"][split]
        for path, found in ((folder / LABELS_FILE, labels), (folder / LOGITS_FILE, logits)):
            if len(found.get(split, ())) != rows:
                has = f"{len(found[split]):,} rows of {split}" if split in found else f"no {split}"
                raise InputError(f"{path} has {has}, and the run has {rows:,}; {RUN_AGAIN}")
    return {split: (labels[split], logits[split]) for split in task.validation}


def find_records(*folders: Path) -> list[Path]:
    """Find the records of finished runs in folders, which are those of runs or hold such."""
    paths = sorted(path for folder in folders for path in folder.rglob(RECORD_FILE))
    if not paths:
        raise InputError(f"{', '.join(map(str, folders))}: no finished run is there; `bertglue run` makes one")
    return paths


def read_record(path: Path, *needed: str) -> dict:
    """Read the record of a run, in which the task and the keys that are `needed` have to be there."""
    return read_object(path, RunRecord, "run record", RUN_AGAIN, needed=("task", *needed))


def read_compression(path: Path, *needed: str) -> dict:
    """Read the record of a compression, in which the task and the keys that are `needed` have to be there."""
    return read_object(path, CompressionRecord, "compression", RUN_AGAIN, needed=("task", *needed))


def read_items(path: Path) -> list:
    """Read the items of `results.json`, whatever they are."""
    found = parse_json(path, "list of results", MAKE_BOOK)
    if not isinstance(found, list):
        raise InputError(f"{path} holds no results (it holds no list); {MAKE_BOOK}")
    return found


def read_results(path: str | Path) -> list[dict]:
    """Read the records of `results.json`."""
    records = read_items(Path(path))
    for number, record in enumerate(records, 1):
        if wrong := find_problem(record, RunRecord, needed=("task",)):
            raise InputError(f"{path} holds no results (run {number}: {wrong}); {MAKE_BOOK}")
    return sorted(records, key=by_task)


def by_task(record: dict) -> tuple[int, str]:
    """Return the place of a record's task in GLUE's order, one's own behind."""
    return list(TASKS).index(record["task"]) if record["task"] in TASKS else len(TASKS), record["task"]

"""A submission to the GLUE leaderboard: what finished runs predict of the test splits, as the files that it takes."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np

from bertglue.atomic_files import write_atomically
from bertglue.errors import InputError, one_line
from bertglue.evaluation import aggregate, metrics
from bertglue.evaluation.published_scores import published_numbers
from bertglue.runs.record import LOGITS_FILE, RECORD_FILE, read_logits, read_record
from bertglue.tasks import TASKS, Task

SUBMISSION_HEADER = "index\tprediction"
SUBMISSION_FILES = {  # the leaderboard's name of each file, and the task and split that it holds
    "CoLA": ("cola", "test"),
    "SST-2": ("sst2", "test"),
    "MRPC": ("mrpc", "test"),
    "STS-B": ("stsb", "test"),
    "QQP": ("qqp", "test"),
    "MNLI-m": ("mnli", "test_matched"),
    "MNLI-mm": ("mnli", "test_mismatched"),
    "QNLI": ("qnli", "test"),
    "RTE": ("rte", "test"),
    "WNLI": ("wnli", "test"),
    "AX": ("mnli", "ax"),
}
TASKS_LABELLED_BY_NAME = ("mnli", "qnli", "rte")  # whose labels are written as words; the others' as numbers


def write_submission(folder: Path, target: Path, *, fill: bool = False) -> dict[str, str]:
    """Write the zip from the runs under a folder.

    Of several runs of a task it takes the one that scores best on the held-out rows, or else on validation.
    Returns for each file where its predictions come from. With `fill`, a file that no run predicts gets the first label
    everywhere, which scores nothing, because the leaderboard takes whole submissions only.
    """
    runs = best_runs(folder)
    if not runs:
        raise InputError(f"{folder}: no finished run is there; name the folder of runs on GLUE")
    texts, sources = {}, {}
    for name, (task, split) in SUBMISSION_FILES.items():
        rows = published_numbers()["glue_examples"][name][2]
        logits = read_logits(runs[task] / LOGITS_FILE, TASKS[task]).get(split) if task in runs else None
        if logits is None and not fill:
            raise InputError(
                f"{folder} has no predictions for {name}; run {task} on GLUE with its test split, or give --fill"
            )
        if logits is not None and len(logits) != rows:
            raise InputError(
                f"{runs[task]} predicts {len(logits):,} rows of {name}, and GLUE's test split has {rows:,}"
            )
        texts[f"{name}.tsv"] = format_predictions(TASKS[task], np.zeros((rows, 1)) if logits is None else logits)
        sources[name] = "filled with the first label" if logits is None else str(runs[task])
    write_zip(target, texts)
    return sources


def best_runs(folder: Path) -> dict[str, Path]:
    """Find for each task the folder of the run that scores best where learning rates are selected."""
    found = [(read_record(path, "metrics"), path.parent) for path in sorted(folder.rglob(RECORD_FILE))]
    best = {}
    for task in {record["task"] for record, _ in found}:
        same = [(record, place) for record, place in found if record["task"] == task]
        split = aggregate.selection_split([record for record, _ in same])
        best[task] = max(same, key=lambda pair: aggregate.learning_rate_score([pair[0]], split))[1]
    return best


def format_predictions(task: Task, logits: np.ndarray) -> str:
    """Format one file: a header, then each row's number and prediction."""
    chosen = metrics.predictions_of(task, logits)
    if task.regression:
        words = [f"{score:.3f}" for score in np.clip(chosen, 0.0, 5.0)]
    elif task.name in TASKS_LABELLED_BY_NAME:
        words = [task.labels[label] for label in chosen]
    else:
        words = [str(label) for label in chosen]
    return "\n".join([SUBMISSION_HEADER, *(f"{row}\t{word}" for row, word in enumerate(words))]) + "\n"


def write_zip(target: Path, texts: dict[str, str]) -> None:
    """Write a zip whole or not at all; the same predictions give the same bytes."""
    with write_atomically(target) as partial, zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in texts.items():
            archive.writestr(zipfile.ZipInfo(name), text, zipfile.ZIP_DEFLATED)


def check_submission(path: Path) -> None:
    """Check a submission against the leaderboard's format; what is wrong is an InputError that names file and row."""
    try:
        with zipfile.ZipFile(path) as archive:
            texts = {name: archive.read(name).decode() for name in archive.namelist()}
    except (OSError, zipfile.BadZipFile, UnicodeDecodeError) as error:
        raise InputError(f"{path} is no submission ({one_line(error)}); write it with `bertglue submit`") from None
    wanted = {f"{name}.tsv" for name in SUBMISSION_FILES}
    if set(texts) != wanted:
        odd = ", ".join(sorted(set(texts) ^ wanted))
        raise InputError(f"{path} lacks, or has too many: {odd}; the leaderboard takes these eleven files")
    for name, (task, _) in SUBMISSION_FILES.items():
        check_predictions(
            f"{path}, {name}.tsv", TASKS[task], texts[f"{name}.tsv"], published_numbers()["glue_examples"][name][2]
        )


def check_predictions(where: str, task: Task, text: str, rows: int) -> None:
    header, *lines = text.splitlines()
    if header != SUBMISSION_HEADER or len(lines) != rows:
        raise InputError(
            f"{where}: {len(lines):,} rows under {header!r}; {rows:,} under {SUBMISSION_HEADER!r} are needed"
        )
    known = set(task.labels) if task.name in TASKS_LABELLED_BY_NAME else {str(label) for label in range(task.outputs)}
    for number, line in enumerate(lines):
        index, _, answer = line.partition("\t")
        fits = is_score(answer) if task.regression else answer in known
        if index != str(number) or not fits:
            raise InputError(f"{where}, row {number}: {line!r} is no prediction of this task")


def is_score(text: str) -> bool:
    try:
        return 0 <= float(text) <= 5
    except ValueError:
        return False

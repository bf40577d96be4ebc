"""Attention maps and token attributions of the reference run, on sentences of this project's own.

Made from the first final run of a task as long as its folder is there, and kept in the repository for the book.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

from bertglue.atomic_files import write_json
from bertglue.errors import exit_status
from bertglue.report.measured_files import REFERENCE_EXPLANATIONS
from bertglue.tasks import SAMPLES, get_task
from bertglue.tools.reference_plan import RECORDS, RUNS

EXPLANATIONS = RECORDS.with_name(REFERENCE_EXPLANATIONS.name)  # a file for each task
EXPLAINED = "final/{task}-0"  # the unit whose model is asked
MAPPED = 1  # sentences whose attention maps are kept; they are large
DECIMALS = 2  # of what is kept


def explanations_of(task: str) -> Path:
    """Return the file of a task's explanations."""
    return EXPLANATIONS / f"{task}.json"


def explain(task: str) -> Path:
    """Keep what the model of a task's first final run attends to, and what each token adds to its predictions."""
    from bertglue.models.interpretation import attention_maps, token_attributions
    from bertglue.models.saved_classifier import load_classifier

    parts = load_classifier(Path(RUNS, EXPLAINED.format(task=task)))
    found = []
    for number, text in enumerate(SAMPLES[get_task(task).name]):
        tokens, logits, attributions = token_attributions(*parts, text)
        one = {"text": text, "tokens": tokens, "logits": short(logits), "attributions": short(attributions)}
        if number < MAPPED:
            one["attention"] = [short(layer) for layer in attention_maps(*parts, text)[1]]
        found.append(one)
    EXPLANATIONS.mkdir(parents=True, exist_ok=True)
    return write_json(explanations_of(task), {"unit": EXPLAINED.format(task=task), "sentences": found}, indent=None)


def short(values: np.ndarray) -> list:
    return values.astype("float64").round(DECIMALS).tolist()


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bertglue.tools.reference_explanations", description=__doc__)
    parser.add_argument("task")
    options = parser.parse_args(arguments)
    return exit_status(lambda: print(explain(options.task)))


if __name__ == "__main__":
    sys.exit(main())

"""The reference run: MiniLM on real GLUE, read from the records that are kept in the repository.

`measured/reference/STAGE/TASK-VALUE.json` is the record of a unit of `params/reference.yaml`, without text;
`make reference GLUE_DIR=...` makes those that are not there.
"""

from __future__ import annotations

import functools

from bertglue.encoder_names import BUNDLED
from bertglue.evaluation.aggregate import group_runs
from bertglue.report.bundled_runs import read_bundled_compressions
from bertglue.report.measured_files import REFERENCE_RUNS
from bertglue.runs.record import by_task, read_compression, read_record

FINAL = "final"  # the stage of the runs with the chosen values
MINILM, BUNDLED_TITLE = "MiniLM", "bundled encoder"
MODEL_TITLES = {"minilm": MINILM, BUNDLED: BUNDLED_TITLE}


def read_reference_runs(stage: str) -> list[dict]:
    """Read the records of a stage of the reference run, in GLUE's order of tasks, of seeds and of learning rates.

    Args:
        stage: `rate` and `epochs` chose the learning rate and the epochs of each task on a held-out tenth of train;
            `final` are the runs with these, `after-mnli` those that begin with the encoder of MNLI, `random` those of
            an encoder of the same sizes, randomly initialized.
    """
    found = [read_record(path) for path in sorted((REFERENCE_RUNS / stage).glob("*.json"))]
    return sorted(found, key=lambda record: (by_task(record), record["seed"], record["learning_rate"]))


@functools.cache
def runs_by_task(stage: str = FINAL) -> dict[str, list[dict]]:
    """Return {task: runs, one a seed} of a stage of the reference run, of the tasks that are done."""
    return {task: runs for (task,), runs in group_runs(read_reference_runs(stage), "task").items()}


def read_real_compressions() -> list[dict]:
    """Read the compressions on real GLUE: MiniLM's, and of a task that has none of these the bundled encoder's."""
    kept = [read_compression(path) for path in sorted((REFERENCE_RUNS / "compressed").glob("*.json"))]
    done = {record["task"] for record in kept}
    found = [*kept, *(record for record in read_bundled_compressions() if record["task"] not in done)]
    return sorted(found, key=lambda record: (by_task(record), record["seed"]))

"""The bundled encoder, pre-trained and randomly initialized, fine-tuned on real GLUE files.

`measured/bundled_runs.json` holds its records, `measured/bundled_compressions.jsonl` three of its runs, compressed;
`make bundled-runs GLUE_DIR=...` makes them again.
"""

from __future__ import annotations

import argparse
import functools
import json
import sys
from pathlib import Path

from bertglue.atomic_files import write_text
from bertglue.encoder_names import BUNDLED
from bertglue.errors import exit_status
from bertglue.evaluation.aggregate import best_learning_rate, group_runs
from bertglue.models.bundled import BUNDLED_FOLDER
from bertglue.report.measured_files import BUNDLED_COMPRESSIONS, BUNDLED_RUNS
from bertglue.runs.record import COMPRESSION_FILE, read_compression, read_results

COMPRESSED_TASKS = ("cola", "sst2", "mrpc")  # whose runs are compressed
PRIVATE_PARAMETERS = {"glue_dir"}  # where the files lay is nobody's business


def read_bundled_runs() -> list[dict]:
    """Read the records of the bundled encoder on real GLUE."""
    return read_results(BUNDLED_RUNS)


@functools.cache
def best_bundled_runs() -> dict[str, list[dict]]:
    """Return {task: runs, one a seed} of the pre-trained bundled encoder, at each task's best learning rate."""
    runs = [run for run in read_bundled_runs() if run["encoder"] == BUNDLED]
    return {name: best_learning_rate(same) for (name,), same in group_runs(runs, "task").items()}


def read_bundled_compressions() -> list[dict]:
    """Read the compressions of three of these runs."""
    return [json.loads(line) for line in BUNDLED_COMPRESSIONS.read_text(encoding="utf-8").splitlines()]


def to_compress(results: Path) -> list[Path]:
    """List the compression of the best learning rate's first seed, for each task that is compressed."""
    runs = group_runs((run for run in read_results(results) if run["task"] in COMPRESSED_TASKS), "task").values()
    return [results.parent / "compressed" / best_learning_rate(same)[0]["run"] / COMPRESSION_FILE for same in runs]


def keep_compressions(paths: list[Path], target: Path = BUNDLED_COMPRESSIONS) -> Path:
    """Gather compressions into one file, one a line."""
    found = [read_compression(path) for path in paths]
    return write_text(target, "".join(json.dumps(record, allow_nan=False) + "\n" for record in found))


def keep_records(paths: list[Path], target: Path = BUNDLED_RUNS) -> Path:
    """Gather the records of several `results.json` into one file, one record a line."""
    runs = [run for path in paths for run in read_results(path)]
    for run in runs:
        run["parameters"] = {name: value for name, value in run["parameters"].items() if name not in PRIVATE_PARAMETERS}
    return write_text(target, "[\n" + ",\n".join(json.dumps(run, allow_nan=False) for run in runs) + "\n]\n")


def main(arguments: list[str] | None = None) -> int:
    from bertglue.report.encoder_card import write_card

    parser = argparse.ArgumentParser(
        prog="python -m bertglue.report.bundled_runs",
        description="Keep the records of finished runs of the bundled encoder, and write the encoder's card anew.",
    )
    parser.add_argument("results", type=Path, nargs="+", help="the results.json of each profile")
    parser.add_argument("--compressions", type=Path, nargs="*", default=[], help="the compressed runs")
    parser.add_argument("--to-compress", action="store_true", help="keep nothing; name the compressions to make")
    options = parser.parse_args(arguments)

    def work():
        if options.to_compress:
            print(*to_compress(options.results[0]))
            return
        print(keep_records(options.results))
        if options.compressions:
            print(keep_compressions(options.compressions))
        print(write_card(BUNDLED_FOLDER))

    return exit_status(work)


if __name__ == "__main__":
    sys.exit(main())

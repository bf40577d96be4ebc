"""The reference run: the embedded encoder, and the same with fresh weights, fine-tuned on real GLUE files.

`reference.json` beside this file holds its records; `make reference GLUE_DIR=...` makes them again.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from bertglue.bundled import EMBEDDED
from bertglue.errors import exit_status
from bertglue.records import read_results, write_text

RECORDS = Path(__file__).with_name("reference.json")
UNTOLD = {"glue_dir"}  # where the files lay is nobody's business


def records() -> list[dict]:
    """Read the records of the reference run."""
    return read_results(RECORDS)


def keep(paths: list[Path], target: Path = RECORDS) -> Path:
    """Gather the records of several `results.json` into one file, one record a line."""
    runs = [run for path in paths for run in read_results(path)]
    for run in runs:
        run["parameters"] = {name: value for name, value in run["parameters"].items() if name not in UNTOLD}
    return write_text(target, "[\n" + ",\n".join(json.dumps(run, allow_nan=False) for run in runs) + "\n]\n")


def main(arguments: list[str] | None = None) -> int:
    from bertglue.card import write_card

    parser = argparse.ArgumentParser(
        prog="python -m bertglue.reference",
        description="Keep the records of finished runs as the reference run, and write the encoder's card anew.",
    )
    parser.add_argument("results", type=Path, nargs="+", help="the results.json of each profile")
    options = parser.parse_args(arguments)
    return exit_status(lambda: print(keep(options.results), write_card(EMBEDDED), sep="\n"))


if __name__ == "__main__":
    sys.exit(main())

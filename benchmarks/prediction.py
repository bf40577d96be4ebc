"""Prediction side by side: a run of this project, its exports by transformers and by ONNX Runtime, on real GLUE rows.

Of each task a run is trained first, on a few rows: how fast it predicts does not depend on what it learned. Each
contestant runs in a process of its own, and they take turns. `make bench-prediction GLUE_DIR=...` runs it; with --keep
each turn goes into the result that the README and the book show as soon as it has ended.
"""

import json
import random
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from contestants.predictors import CONTESTANTS, OURS
from race_options import choose, finish, race_parser, turns_to_run

TURNS, TRAINED_ROWS = 3, 64
PREDICTORS = Path(__file__).parent / "contestants" / "predictors.py"
KINDS = ("huggingface", "onnx", "onnx-int8")  # of the exports that the others read


@dataclass(frozen=True)
class Setting:
    """One race: whose rows, and with which encoder."""

    name: str
    task: str
    encoder: str = "minilm"
    rows: int = 10_000  # at most: of the texts of all splits


SETTINGS = (
    Setting("MiniLM, mrpc", "mrpc"),
    Setting("MiniLM, sst2", "sst2"),
    Setting("bundled, sst2", "sst2", "bundled"),
)


def prepare(setting: Setting, glue_dir: Path, rows: int | None, folder: Path) -> dict:
    """Write the folder of a race: a run, its exports and rows; return what the result says of the race."""
    from bertglue.data.load_data import load_data
    from bertglue.tasks import TASKS

    command = [sys.executable, "-m", "bertglue.cli"]
    values = {"glue_dir": glue_dir.resolve(), "encoder": setting.encoder, "train_rows": TRAINED_ROWS, "epochs": 1}
    given = [part for name, value in values.items() for part in ("-p", f"{name}={value}")]
    finish([*command, "run", setting.task, "--profile", "laptop", *given, "--output", str(folder / "run")])
    for kind in KINDS:
        finish([*command, "export", str(folder / "run"), str(folder / kind), "--kind", kind])
    data = load_data(TASKS[setting.task], "folder", glue_dir=str(glue_dir))
    texts = [row for part in data.splits.values() for row in zip(*(one[:] for one in part.segments), strict=True)]
    texts = random.Random(0).sample(texts, min(rows or setting.rows, len(texts)))
    (folder / "rows.json").write_text(json.dumps(texts))
    return {"name": setting.name, "rows": len(texts)}


def take_turn(race: str, turn: int, folder: Path) -> list[dict]:
    """Run each contestant once; of its answers the share is kept that is ours."""
    measured = {}
    for name in CONTESTANTS:
        measured[name] = json.loads(finish([sys.executable, str(PREDICTORS), str(folder), name]).splitlines()[-1])
        rate = measured[name]["rows"] / measured[name]["seconds"]
        print(f"{race}, turn {turn}, {name}: {rate:,.0f} rows a second", flush=True)
    labels = {name: found.pop("labels") for name, found in measured.items()}
    same = {name: sum(map(int.__eq__, found, labels[OURS])) / len(found) for name, found in labels.items()}
    return [
        {"race": race, "contestant": name, "turn": turn, **found, "same": same[name]}
        for name, found in measured.items()
    ]


def race(setting: Setting, options, keep: Callable) -> None:
    """Run the contestants in turns; hand on what each turn measured."""
    from bertglue.report import race_results
    from bertglue.report.measured_files import PREDICTION_SPEED

    peers = race_results.PREDICTION_PEERS
    turns = turns_to_run(options, setting.name, TURNS, PREDICTION_SPEED, peers)
    if not turns:
        return
    with tempfile.TemporaryDirectory() as folder:
        described = prepare(setting, options.glue_dir, options.rows, Path(folder))
        for turn in turns:
            runs = take_turn(setting.name, turn, Path(folder))
            keep(race_results.build_result(peers, settings=[described], runs=runs))


def main() -> None:
    title = __doc__.splitlines()[0]
    parser = race_parser(title, "MRPC/ and SST-2/", f"{TURNS} times", "to predict, at most")
    options = parser.parse_args()
    from bertglue.environment import ask_for_huge_pages
    from bertglue.report import prediction_speed
    from bertglue.report.measured_files import PREDICTION_SPEED
    from bertglue.report.race_results import Keeper

    ask_for_huge_pages()
    keeper = Keeper(PREDICTION_SPEED if options.keep else None)
    for setting in choose(parser, options, SETTINGS):
        race(setting, options, keeper)
    print(prediction_speed.conditions(keeper.result), end="\n\n")
    print(prediction_speed.summary(keeper.result).to_markdown(index=False, disable_numparse=True))


if __name__ == "__main__":
    main()

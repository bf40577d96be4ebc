"""Fine-tuning side by side: Hugging Face's Trainer, hub.KerasLayer and this project, on rows of real GLUE files.

Each contestant runs in a process of its own, from the same weights, on the same rows, with the same recipe; they take
turns, each turn with a seed of its own, and the medians are shown. `make bench GLUE_DIR=...` runs it; with --keep each
turn of a race goes into the result that the README and the book show as soon as it has ended, and one that is there
from the same machine and packages is not run again. A processor that multiplies in bfloat16 has a result of its own.
"""

import json
import random
import shutil
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "tests")]
FIXED, TUTORIAL = "run_glue", "hub.KerasLayer"
DYNAMIC, COMPILED, OURS = "run_glue, dynamic", "run_glue, compiled", "bertglue"


@dataclass(frozen=True)
class Setting:
    """One race: a task, how many of its rows (all, where none is said), the encoder, the recipe, and who runs."""

    name: str
    task: str
    train: int | None = None
    validation: int | None = None
    encoder: str = "minilm"  # a name, or random: weights are drawn in the sizes below
    layers: int = 6
    hidden: int = 384
    heads: int = 12
    epochs: int = 2
    learning_rate: float = 1e-4
    turns: int = 3
    contestants: tuple[str, ...] = (DYNAMIC, COMPILED, OURS)


EVERYBODY = (FIXED, DYNAMIC, TUTORIAL, OURS)
LARGE = {"encoder": "random", "layers": 12, "hidden": 768, "turns": 1}
SETTINGS = [
    Setting("MiniLM, mrpc", "mrpc"),
    Setting("MiniLM, rte", "rte"),
    Setting("MiniLM, cola", "cola"),
    Setting("MiniLM, sst2", "sst2", train=10_000),
    Setting("12x768, mrpc", "mrpc", 64, 64, **LARGE),
    Setting("12x768, sst2", "sst2", 64, 64, **LARGE, contestants=(FIXED, DYNAMIC, COMPILED, TUTORIAL, OURS)),
    Setting("bundled, sst2", "sst2", 6400, 872, "bundled", 2, 128, 4, 3, 3e-4, 1, EVERYBODY),
]


def commands() -> dict[str, list[str]]:
    """Return the command of each; peers that can use bfloat16 do so where the processor multiplies in it."""
    from bertglue.environment import bfloat16_units

    dynamic = ["run_glue.py", "--dynamic", *(["--bfloat16"] if bfloat16_units() else [])]
    return {
        FIXED: ["run_glue.py"],
        DYNAMIC: dynamic,
        COMPILED: [*dynamic, "--compile"],
        TUTORIAL: ["keras_layer.py"],
        OURS: ["ours.py"],
    }


def kept_file() -> Path:
    """Return the result that turns on this machine go into."""
    from bertglue.environment import bfloat16_units
    from bertglue.report.measured_files import TRAINING_SPEED, TRAINING_SPEED_BFLOAT16

    return TRAINING_SPEED_BFLOAT16 if bfloat16_units() else TRAINING_SPEED


def prepare(setting: Setting, glue_dir: Path, vocabulary: Path | None, folder: Path) -> dict:
    """Write the folder of a race: the encoder, rows as JSON and as GLUE files, and the ids that all of train uses.

    Returns what the result says of the race: the setting, the metric and the labels of validation.
    """
    from bertglue.data.glue_files import LAYOUTS
    from bertglue.data.load_data import load_data
    from bertglue.models.preprocessor import load_preprocessor, tokenize
    from bertglue.tasks import TASKS

    task, positions = TASKS[setting.task], 128
    folder.mkdir()
    write_encoder(setting, vocabulary, positions, folder)
    data, taken = load_data(task, "folder", glue_dir=str(glue_dir)), {}
    for split, count in (("train", setting.train), ("validation", setting.validation)):
        there = len(data[split])
        chosen = sorted(random.Random(0).sample(range(there), min(count or there, there)))
        taken[split] = count and len(chosen)  # None stays: all of them
        segments = list(zip(*(column[:] for column in data[split].segments), strict=True))
        rows = {"segments": [segments[i] for i in chosen], "labels": [int(data[split].labels[i]) for i in chosen]}
        (folder / f"{split}.json").write_text(json.dumps(rows))
        file = split.replace("validation", "dev")
        take_rows(LAYOUTS[setting.task], file, chosen, len(data[split]), glue_dir, folder / "glue")
    preprocessor = load_preprocessor(str(folder / "encoder"), positions)
    np.save(folder / "words.npy", np.unique(tokenize(data["train"], preprocessor, folder / "cache").ids))
    recipe = ("task", "epochs", "learning_rate", "layers", "hidden", "heads")
    race = {key: value for key, value in asdict(setting).items() if key in recipe}
    (folder / "race.json").write_text(json.dumps({**race, "batch_size": 32, "length": positions}))
    return {**asdict(setting), **taken, "metric": task.metrics[0], "labels": "".join(map(str, rows["labels"]))}


def write_encoder(setting: Setting, vocabulary: Path | None, positions: int, folder: Path) -> None:
    """Write the encoder of a race: MiniLM as it was published, any other as a SavedModel and as arrays."""
    from savedmodels import export_variables, shapes

    from bertglue.data.token_ids import read_vocabulary
    from bertglue.models.bundled import BUNDLED_FOLDER
    from bertglue.models.encoder_places import find_folder

    if setting.encoder == "minilm":
        shutil.copytree(find_folder("minilm").folder, folder / "encoder")
        return
    bundled = setting.encoder == "bundled"
    pieces = read_vocabulary(BUNDLED_FOLDER / "vocab.txt" if bundled or not vocabulary else vocabulary)
    if not bundled:
        pieces += [f"[none{i}]" for i in range(30_522 - len(pieces))]  # as many embeddings as BERT has
    named = dict(shapes(len(pieces), setting.hidden, setting.layers, setting.heads, 4 * setting.hidden, positions))
    weights = bundled_weights() if bundled else draw(named)
    np.savez(folder / "weights.npz", **weights)
    export_variables(folder / "encoder", named.items(), layers=setting.layers, vocabulary=pieces, weights=weights)


def check_files(setting: Setting, glue_dir: Path) -> None:
    """End in one line where a race lacks a file, before any begins."""
    from bertglue.data.glue_files import LAYOUTS

    for file in ("train", "dev"):
        path = glue_dir / LAYOUTS[setting.task].folder / f"{file}.tsv"
        if not path.is_file():
            sys.exit(
                f"{path} is not there; races read GLUE's tab-separated files: write it, or leave the race out (--only)"
            )


def take_rows(layout, file: str, chosen: list[int], rows: int, source: Path, target: Path) -> None:
    """Write a GLUE file with the chosen ones of its rows: all of it as it is, or header and lines."""
    content = (source / layout.folder / f"{file}.tsv").read_bytes()
    if len(chosen) < rows:
        lines = content.splitlines(keepends=True)
        header = [] if layout.bare_width else [lines.pop(0)]
        if len(lines) != rows:
            sys.exit(f"{layout.folder}/{file}.tsv has {len(lines)} lines for {rows} rows; race on all of them")
        content = b"".join([*header, *(lines[i] for i in chosen)])
    (target / layout.folder).mkdir(parents=True, exist_ok=True)
    (target / layout.folder / f"{file}.tsv").write_bytes(content)


def draw(named: dict[str, tuple]) -> dict[str, np.ndarray]:
    """Draw weights as BERT starts: layer norms at one, biases at zero, the rest from a normal of 0.02."""
    rng = np.random.default_rng(0)
    fixed = {"gamma": np.ones, "beta": np.zeros, "bias": np.zeros}
    return {
        name: fixed.get(name.rsplit("/")[-1], lambda shape: rng.normal(0, 0.02, shape))(shape).astype("float32")
        for name, shape in named.items()
    }


def bundled_weights() -> dict[str, np.ndarray]:
    """Return the bundled encoder's weights under TF Hub's names."""
    import re

    from bertglue import load_encoder

    renamed = {}
    for variable in load_encoder("bundled").trainable_variables:
        name = re.sub(r"^layer_(\d+)_", r"transformer/layer_\1/", variable.path.removeprefix("encoder/"))
        renamed[name.replace("embeddings_layer_norm/", "embeddings/layer_norm/")] = variable.numpy()
    return renamed


def run(command: list[str], race: Path, seed: int) -> dict:
    """Run a contestant; what it measured is its last line, to which the seconds of the whole process come."""
    from race_options import finish

    script, *options = command
    started = time.time()
    measured = finish([sys.executable, str(HERE / "contestants" / script), str(race), "--seed", str(seed), *options])
    return {**json.loads(measured.splitlines()[-1]), "whole": time.time() - started}


def race(setting: Setting, options, keep) -> None:
    """Run the contestants in turns; hand on what each turn measured."""
    from bertglue.report import race_results

    turns = to_run(setting, options)
    if not turns:
        return
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "race"
        described = prepare(setting, options.glue_dir, options.vocabulary, folder)
        for turn in turns:
            measured = []
            for name in setting.contestants:
                found = run(commands()[name], folder, seed=turn - 1)
                rate = found["examples"] / found["epochs"][-1]
                print(
                    f"{setting.name}, turn {turn}, {name}: {race_results.rate_text(rate)} examples a second",
                    flush=True,
                )
                measured.append({"race": setting.name, "contestant": name, "turn": turn, **found})
            keep(race_results.build_result(settings=[described], runs=measured))


def to_run(setting: Setting, options) -> list[int]:
    """Return the turns of a race that are to run on this machine."""
    from race_options import turns_to_run

    return turns_to_run(options, setting.name, setting.turns, kept_file())


def first_rows(setting: Setting, rows: int | None) -> Setting:
    """Return the race on so many rows at most."""
    if not rows:
        return setting
    fewer = {name: min(rows, getattr(setting, name) or rows) for name in ("train", "validation")}
    return replace(setting, **fewer)


def main() -> None:
    from race_options import choose, race_parser

    folders, turns = "SST-2/, MRPC/, RTE/, CoLA/", "3 times; 12x768 and bundled once"
    parser = race_parser(__doc__.splitlines()[0], folders, turns, "of train, and of validation, at most")
    parser.add_argument("--vocabulary", type=Path, help="BERT's vocab.txt (default: the bundled encoder's)")
    options = parser.parse_args()
    from bertglue.environment import ask_for_huge_pages
    from bertglue.report.race_results import Keeper

    ask_for_huge_pages()
    keeper = Keeper(kept_file() if options.keep else None)
    chosen = list(choose(parser, options, SETTINGS))
    for setting in chosen:
        if to_run(setting, options):
            check_files(setting, options.glue_dir)
    for setting in chosen:
        race(first_rows(setting, options.rows), options, keeper)
    show(keeper.result)


def show(result: dict) -> None:
    """Print the tables."""
    from bertglue.report import training_speed

    print(training_speed.conditions(result), end="\n\n")
    for found in (training_speed.summary(result), training_speed.details(result), training_speed.scores(result)):
        print(found.to_markdown(index=False, disable_numparse=True), end="\n\n")


if __name__ == "__main__":
    main()

"""Fine-tuning side by side: Hugging Face's Trainer, hub.KerasLayer and this project, on rows of real GLUE files.

Each contestant runs in a process of its own, from the same weights, on the same rows, with the same recipe; they take
turns, and the medians are shown. `make bench GLUE_DIR=...` runs it; with --keep, the result is what the README shows.
"""

import argparse
import json
import random
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "tests"))


@dataclass(frozen=True)
class Setting:
    """One race: a task, how many of its rows, the size of the encoder, and the recipe."""

    name: str
    task: str
    train: int
    validation: int
    layers: int
    hidden: int
    heads: int
    epochs: int = 2
    learning_rate: float = 1e-4
    pretrained: bool = False  # start from the bundled encoder's weights, not from random ones
    turns: int = 2


SETTINGS = [
    Setting("4x256, sst2", "sst2", 1280, 256, 4, 256, 4),
    Setting("4x256, mrpc", "mrpc", 640, 256, 4, 256, 4),
    Setting("4x256, qnli", "qnli", 640, 256, 4, 256, 4),
    Setting("12x768, sst2", "sst2", 64, 64, 12, 768, 12, turns=1),
    Setting("bundled, sst2", "sst2", 6400, 872, 2, 128, 4, epochs=3, learning_rate=3e-4, pretrained=True, turns=1),
]


def contestants() -> dict[str, list[str]]:
    """Return the command of each; peers that can use bfloat16 do so where the processor multiplies in it."""
    from bertglue.environment import bfloat16_units

    dynamic = ["run_glue.py", "--dynamic"]
    return {
        "run_glue": ["run_glue.py"],
        "run_glue, dynamic": [*dynamic, "--bfloat16"] if bfloat16_units() else dynamic,
        "hub.KerasLayer": ["keras_layer.py"],
        "bertglue": ["ours.py"],
    }


def prepare(setting: Setting, glue_dir: Path, vocabulary: Path | None, folder: Path) -> Path:
    """Write the folder of a race: rows as JSON and as GLUE files, the weights, and the ids that all of train uses."""
    from savedmodels import export_variables, shapes

    from bertglue.data.glue_files import LAYOUTS
    from bertglue.data.load_data import load_data
    from bertglue.data.token_ids import read_vocabulary
    from bertglue.models.bundled import BUNDLED_FOLDER
    from bertglue.models.preprocessor import load_preprocessor, tokenize
    from bertglue.tasks import TASKS

    pieces = read_vocabulary(BUNDLED_FOLDER / "vocab.txt" if setting.pretrained or not vocabulary else vocabulary)
    if not setting.pretrained:
        pieces += [f"[none{i}]" for i in range(30_522 - len(pieces))]  # as many embeddings as BERT has
    task, positions = TASKS[setting.task], 128
    named = dict(shapes(len(pieces), setting.hidden, setting.layers, setting.heads, 4 * setting.hidden, positions))
    weights = bundled_weights() if setting.pretrained else draw(named)
    folder.mkdir()
    np.savez(folder / "weights.npz", **weights)
    export_variables(folder / "encoder", named.items(), layers=setting.layers, vocabulary=pieces, weights=weights)
    data = load_data(task, "folder", glue_dir=str(glue_dir))
    for split, count in (("train", setting.train), ("validation", setting.validation)):
        chosen = sorted(random.Random(0).sample(range(len(data[split])), count))
        segments = list(zip(*(column[:] for column in data[split].segments), strict=True))
        rows = {"segments": [segments[i] for i in chosen], "labels": [int(data[split].labels[i]) for i in chosen]}
        (folder / f"{split}.json").write_text(json.dumps(rows))
        take_rows(LAYOUTS[setting.task].folder, split.replace("validation", "dev"), chosen, glue_dir, folder / "glue")
    preprocessor = load_preprocessor(str(folder / "encoder"), positions)
    np.save(folder / "words.npy", np.unique(tokenize(data["train"], preprocessor, folder / "cache").ids))
    recipe = ("task", "epochs", "learning_rate", "layers", "hidden", "heads")
    race = {key: value for key, value in asdict(setting).items() if key in recipe}
    (folder / "race.json").write_text(json.dumps({**race, "batch_size": 32, "length": positions}))
    return folder


def take_rows(name: str, file: str, chosen: list[int], source: Path, target: Path) -> None:
    """Write a GLUE file with its header and the chosen rows."""
    header, *lines = (source / name / f"{file}.tsv").read_bytes().splitlines(keepends=True)
    (target / name).mkdir(parents=True, exist_ok=True)
    (target / name / f"{file}.tsv").write_bytes(header + b"".join(lines[i] for i in chosen))


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


def run(command: list[str], race: Path) -> dict:
    """Run a contestant; what it measured is its last line.

    It inherits TF_ENABLE_ONEDNN_OPTS, which bertglue sets when it is imported: both of TensorFlow's have its kernels.
    """
    script, *options = command
    done = subprocess.run(
        [sys.executable, str(HERE / "contestants" / script), str(race), *options], capture_output=True, text=True
    )
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stderr[-3000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def race(setting: Setting, options) -> list[dict]:
    """Run the contestants in turns; return what each measured, turn by turn."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = prepare(setting, options.glue_dir, options.vocabulary, Path(scratch) / "race")
        measured = []
        for turn in range(options.turns or setting.turns):
            for name, command in contestants().items():
                found = run(command, folder)
                rate = found["examples"] / found["epochs"][-1]
                print(f"{setting.name}, turn {turn + 1}, {name}: {rate:.0f} examples a second", flush=True)
                measured.append({"race": setting.name, "contestant": name, "turn": turn + 1, **found})
    return measured


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--glue-dir", type=Path, required=True, help="folder of GLUE files: SST-2/, MRPC/, QNLI/")
    parser.add_argument("--vocabulary", type=Path, help="BERT's vocab.txt (default: the bundled encoder's)")
    parser.add_argument("--only", help="run the races whose name contains this", default="")
    parser.add_argument(
        "--turns", type=int, help="how often each contestant runs (default: twice; 12x768 and bundled once)"
    )
    parser.add_argument("--keep", action="store_true", help="make the result the one that the README and the book show")
    options = parser.parse_args()
    from bertglue.report import training_speed

    settings = [setting for setting in SETTINGS if options.only in setting.name]
    measured = [found for setting in settings for found in race(setting, options)]
    result = training_speed.build_result(settings=[asdict(setting) for setting in settings], runs=measured)
    print(training_speed.markdown(result))
    for name in training_speed.races(result):
        print(f"{name}\n\n{training_speed.details(result, name).to_markdown(index=False, disable_numparse=True)}\n")
    if options.keep:
        training_speed.keep_result(result)


if __name__ == "__main__":
    main()

"""The input of every contestant, and the measurement in its own process."""

import argparse
import json
import os
import statistics
import time
from dataclasses import dataclass
from pathlib import Path

from bertglue.environment import huge_pages, peak_memory_mb


@dataclass(frozen=True)
class Race:
    """A folder with rows, the weights that all start from, and the recipe."""

    folder: Path
    seed: int
    task: str
    epochs: int
    batch_size: int
    length: int
    learning_rate: float
    layers: int
    hidden: int
    heads: int

    @property
    def encoder(self) -> Path:
        """Return the folder of the encoder: a SavedModel as TF Hub has them, or Hugging Face's files."""
        return self.folder / "encoder"

    @property
    def vocabulary(self) -> Path:
        path = self.encoder / "vocab.txt"
        return path if path.exists() else self.encoder / "assets" / "vocab.txt"

    @property
    def weights(self) -> Path:
        """Return the same weights for those who cannot read a SavedModel, under TF Hub's names."""
        return self.folder / "weights.npz"

    def rows(self, split: str) -> tuple[list[list[str]], list[int]]:
        """Return the segments [rows][1 or 2] and the labels [rows] of train or validation."""
        rows = json.loads((self.folder / f"{split}.json").read_text())
        return rows["segments"], rows["labels"]

    def steps(self, examples: int) -> int:
        return -(-examples // self.batch_size) * self.epochs


def read_race(options: argparse.ArgumentParser | None = None) -> tuple[Race, argparse.Namespace]:
    """Read the race that the command line names, and the command line."""
    parser = options or argparse.ArgumentParser()
    parser.add_argument("race", type=Path, help="the folder of the race")
    parser.add_argument("--seed", type=int, default=0)
    found = parser.parse_args()
    return Race(found.race, found.seed, **json.loads((found.race / "race.json").read_text())), found


def since_start() -> float:
    """Return the seconds since this process was started."""
    return time.time() - float(os.environ.get("RACE_STARTED", "nan"))


def matrix_gflops(multiply, operations: int = 2 * 2048**3, repeats: int = 7) -> float:
    """Measure the rate of a matrix product; `multiply()` computes it and waits for the result."""
    multiply()
    seconds = []
    for _ in range(repeats):
        started = time.perf_counter()
        multiply()
        seconds.append(time.perf_counter() - started)
    return operations / statistics.median(seconds) / 1e9


def training_flops(race: Race, widths, rows: int) -> float:
    """Count the operations of the matrix products of an epoch, forward and backward.

    `widths` are the padded lengths of its steps [steps], each of `rows` rows. The last layer is computed for [CLS]
    alone, but for its keys and values. Embeddings, pooler and head do not count.
    """
    places, squares, layers = rows * widths.sum(), rows * (widths**2).sum(), race.layers - 1
    dense = (places * (12 * layers + 2) + rows * len(widths) * 10) * race.hidden**2
    attention = 2 * (squares * layers + places) * race.hidden
    return 3.0 * 2 * (dense + attention)


def report(predictions, **measured) -> None:
    """Print what was measured as the last line, which `training.py` reads; predictions as one digit a row."""
    digits = "".join(map(str, predictions))
    print(json.dumps({**measured, "predictions": digits, **process_figures()}))


def process_figures() -> dict:
    """Return what is measured of every process."""
    return {"peak_memory_mb": peak_memory_mb(), "huge_pages": huge_pages()}

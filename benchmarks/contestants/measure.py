"""The input of every contestant, and the measurement in its own process."""

import json
import statistics
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from bertglue.environment import peak_memory_mb


@dataclass(frozen=True)
class Race:
    """A folder with rows, the weights that all start from, and the recipe."""

    folder: Path
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
        """Return the folder of the SavedModel, as TF Hub has them."""
        return self.folder / "encoder"

    @property
    def vocabulary(self) -> Path:
        return self.encoder / "assets" / "vocab.txt"

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


def read_race(argument: str | None = None) -> Race:
    folder = Path(argument or sys.argv[1])
    return Race(folder, **json.loads((folder / "race.json").read_text()))


def matrix_gflops(multiply, size: int = 2048, repeats: int = 7) -> float:
    """Measure the rate of one large matrix product; `multiply()` computes it and waits for the result."""
    multiply()
    seconds = []
    for _ in range(repeats):
        started = time.perf_counter()
        multiply()
        seconds.append(time.perf_counter() - started)
    return 2 * size**3 / statistics.median(seconds) / 1e9


def training_flops(race: Race, places: int, squares: int) -> float:
    """Count the operations of the matrix products of a training over `places` places, forward and backward.

    `squares` sums the squared length of the rows, for attention. The embedding and the head do not count.
    """
    dense = 2 * places * race.layers * 12 * race.hidden**2
    attention = 2 * squares * race.layers * 2 * race.hidden
    return 3.0 * (dense + attention)


def report(**measured) -> None:
    """Print what was measured as the last line, which `training.py` reads."""
    print(json.dumps({**measured, "peak_memory_mb": peak_memory_mb()}))

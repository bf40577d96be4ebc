"""Run and measure LiteRT files on the CPU; nothing of Keras or TensorFlow is loaded."""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from bertglue.data.token_ids import ENCODER_INPUTS, Tokens
from bertglue.errors import InputError, one_line

LATENCY_BATCH_SIZES, LATENCY_REPEATS = (1, 32), 20  # rows whose latency is measured, and how often


class LiteRTModel:
    """A LiteRT file, run on the CPU."""

    def __init__(self, path: Path, threads: int = 1):
        from ai_edge_litert.interpreter import Interpreter

        self.interpreter = Interpreter(str(path), num_threads=threads)
        self.inputs = {
            next(name for name in ENCODER_INPUTS if name in detail["name"]): detail
            for detail in self.interpreter.get_input_details()
        }
        self.length = int(next(iter(self.inputs.values()))["shape"][1])
        self.rows = 0

    def __call__(self, inputs: dict[str, np.ndarray]) -> np.ndarray:
        """Return the logits [rows, outputs] of a batch of `length` tokens."""
        rows = len(inputs[ENCODER_INPUTS[0]])
        if rows != self.rows:
            for detail in self.inputs.values():
                self.interpreter.resize_tensor_input(detail["index"], (rows, self.length))
            self.interpreter.allocate_tensors()
            self.rows = rows
        for name, detail in self.inputs.items():
            self.interpreter.set_tensor(detail["index"], inputs[name])
        self.interpreter.invoke()
        return self.interpreter.get_tensor(self.interpreter.get_output_details()[0]["index"])

    def predict(self, tokens: Tokens, batch_size: int = 32) -> np.ndarray:
        """Return the logits of every row of a split, in order."""
        rows = np.arange(len(tokens))
        parts = [rows[start : start + batch_size] for start in range(0, len(rows), batch_size)]
        return np.concatenate([self(tokens.batch(part, self.length)) for part in parts])

    def latency(self, tokens: Tokens, batch_size: int) -> float:
        """Measure the seconds of a batch."""
        inputs = tokens.batch(np.arange(batch_size) % len(tokens), self.length)
        return median_seconds(lambda: self(inputs))


def median_seconds(call: Callable[[], object]) -> float:
    """Measure the seconds of a call: the median of several, after one that is not counted."""
    call()
    seconds = []
    for _ in range(LATENCY_REPEATS):
        started = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds)


def measure(path: Path, tokens: Tokens) -> tuple[dict, np.ndarray]:
    """Measure a file in a process of its own: size [bytes], peak memory [MB], latency [s] by batch; and its logits.

    All rows of `tokens` are predicted. One thread computes, so that a run on another core changes little.
    """
    rows, logits = path.with_suffix(".rows.npz"), path.with_suffix(".logits.npy")
    save_rows(rows, tokens)
    command = [sys.executable, "-m", "bertglue.export.litert_runtime", str(path), str(rows), str(logits)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise InputError(f"{path.name} does not run ({one_line(Exception(done.stderr[-200:]))}); convert it again")
        return json.loads(done.stdout.splitlines()[-1]), np.load(logits)
    finally:
        rows.unlink()
        logits.unlink(missing_ok=True)


def save_rows(path: Path, tokens: Tokens) -> None:
    """Write packed rows for another process to read."""
    np.savez(path, ids=tokens.ids, offsets=tokens.offsets, second=tokens.second, seq_length=tokens.seq_length)


def load_rows(path: Path) -> Tokens:
    with np.load(path, allow_pickle=False) as saved:
        return Tokens(saved["ids"], saved["offsets"], saved["second"], int(saved["seq_length"]))


def main(arguments: list[str] | None = None) -> int:
    from bertglue.environment import peak_memory_mb

    parser = argparse.ArgumentParser(prog="python -m bertglue.export.litert_runtime", description=measure.__doc__)
    parser.add_argument("file", type=Path, help="the LiteRT file")
    parser.add_argument("rows", type=Path, help="packed rows, as `save_rows` writes them")
    parser.add_argument("logits", type=Path, help="the file to write their logits to")
    options = parser.parse_args(arguments)
    tokens = load_rows(options.rows)
    model = LiteRTModel(options.file)
    latency = {str(batch): model.latency(tokens, batch) for batch in LATENCY_BATCH_SIZES}
    np.save(options.logits, model.predict(tokens))
    print(json.dumps({"bytes": options.file.stat().st_size, "peak_memory_mb": peak_memory_mb(), "latency": latency}))
    return 0


if __name__ == "__main__":
    sys.exit(main())

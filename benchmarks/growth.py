"""Measure how time and memory grow with the number of rows, their length, and the encoder's layers.

Each point is measured in a process of its own: rows of the shape of QQP, made up, tokenized from their file, cached,
and a few steps trained on. With --keep, the result is what the book shows.
"""

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROWS = (1_000, 10_000, 100_000, 400_000)
LENGTHS = (16, 32, 64, 128, 256)
LAYERS = (1, 2, 4, 8, 12)
STEPS, HIDDEN, HEADS = 20, 256, 4


def write_rows(folder: Path, rows: int) -> None:
    """Write a GLUE folder of QQP's layout; questions have QQP's mean number of words, eleven."""
    from bertglue.models.bundled import BUNDLED_FOLDER
    from bertglue.models.encoder_files import VOCABULARY_FILE

    words = [
        word for word in (BUNDLED_FOLDER / VOCABULARY_FILE).read_text(encoding="utf-8").split("\n") if word.isalpha()
    ]
    rng = random.Random(0)
    (folder / "QQP").mkdir()
    for file, count in (("train", rows), ("dev", 100)):
        with (folder / "QQP" / f"{file}.tsv").open("w", encoding="utf-8") as lines:
            lines.write("id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate\n")
            for i in range(count):
                first, second = (" ".join(rng.choices(words, k=rng.randint(4, 18))) + " ?" for _ in range(2))
                lines.write(f"{i}\t{2 * i}\t{2 * i + 1}\t{first}\t{second}\t{rng.randint(0, 1)}\n")


def measure_rows(rows: int) -> dict:
    from bertglue.data.load_data import load_data
    from bertglue.environment import peak_memory_mb
    from bertglue.models.preprocessor import load_preprocessor, tokenize_data
    from bertglue.tasks import TASKS

    with tempfile.TemporaryDirectory() as scratch:
        subprocess.run([sys.executable, __file__, "--write", scratch, str(rows)], check=True)
        data = load_data(TASKS["qqp"], "folder", glue_dir=scratch)
        tokens = tokenize_data(data, load_preprocessor("bundled", 128), f"{scratch}/cache")
        seconds = train(tokens["train"], data["train"].labels, layers=2)
        return {"rows": rows, "tokenize": tokens.seconds, "step": seconds, "peak_memory_mb": peak_memory_mb()}


def measure_shape(length: int, layers: int) -> dict:
    import numpy as np

    from bertglue.data.token_ids import Tokens
    from bertglue.environment import peak_memory_mb

    rows = 32 * STEPS
    ids = np.random.default_rng(0).integers(5, 8192, rows * length).astype("int32")
    tokens = Tokens(ids, np.arange(rows + 1) * length, np.full(rows, length), length)
    seconds = train(tokens, np.arange(rows) % 2, layers)
    return {"length": length, "layers": layers, "step": seconds, "peak_memory_mb": peak_memory_mb()}


def train(tokens, labels, layers: int) -> float:
    """Train some steps twice; return the seconds of a step the second time."""
    from bertglue.data.batches import Batches, batch_lengths, stream
    from bertglue.models.bert import EncoderConfig, build_encoder
    from bertglue.models.classifier import build_classifier
    from bertglue.parameters import Parameters
    from bertglue.tasks import TASKS
    from bertglue.training.finetune import compile_for_training
    from bertglue.training.used_embeddings import UsedEmbeddingsModel

    config = EncoderConfig(8192, HIDDEN, 4 * HIDDEN, (HEADS,) * layers, HIDDEN // HEADS, max_positions=512)
    narrowed = UsedEmbeddingsModel(build_classifier(build_encoder(config), 2), tokens)
    parameters = Parameters(max_length=tokens.seq_length)
    compile_for_training(narrowed.model, TASKS["qqp"], parameters, steps=1000)
    batches = Batches(tokens, labels, batch_size=32, seed=0, lengths=batch_lengths(parameters))
    for _ in range(2):
        started = time.perf_counter()
        narrowed.model.fit(stream(batches), steps_per_epoch=STEPS, verbose=0)
    return (time.perf_counter() - started) / STEPS


def point(**options) -> dict:
    """Measure one point in a process of its own, so that its peak of memory is its own."""
    command = [sys.executable, __file__, "--point", json.dumps(options)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{options} failed:\n{done.stderr[-2000:]}")
    found = json.loads(done.stdout.splitlines()[-1])
    print(", ".join(f"{key} {value:.4g}" for key, value in found.items()), flush=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--keep", action="store_true", help="make the result the one that the book shows")
    parser.add_argument("--point", type=json.loads, help=argparse.SUPPRESS)
    parser.add_argument("--write", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.write:
        write_rows(Path(options.write[0]), int(options.write[1]))
    elif options.point:
        from bertglue import environment
        from bertglue.parameters import Parameters

        environment.configure(Parameters())
        measure = measure_rows if "rows" in options.point else measure_shape
        print(json.dumps(measure(**options.point)))
    else:
        from bertglue.report.measured_files import COST_GROWTH
        from bertglue.report.race_results import build_result, write_result

        result = build_result(
            rows=[point(rows=rows) for rows in ROWS],
            length=[point(length=length, layers=4) for length in LENGTHS],
            layers=[point(length=32, layers=layers) for layers in LAYERS],
        )
        if options.keep:
            write_result(result, COST_GROWTH)


if __name__ == "__main__":
    main()

"""Prediction side by side: a finished run by this project, its exports by transformers and ONNX Runtime.

Run: python benchmarks/prediction.py RUN ROWS [--turns 3], ROWS a file as `bertglue predict` reads it; the Python of
`.peers` has both (`make .peers/ready`). Each contestant runs in a process of its own, and they take turns.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

PIPELINE, SORTED, OURS = "transformers, pipeline", "transformers, sorted by length", "bertglue"
ONNX_KINDS = ("onnx", "onnx-int8")
BATCH_ROWS, SINGLE_ROWS = 32, 50


def read(path: Path) -> list[list[str]]:
    return [line.split("\t") for line in path.read_text(encoding="utf-8").splitlines()]


def ours(run: Path, exported: Path) -> Callable:
    from bertglue.runs.predict import Predictor

    predictor = Predictor(run)
    return lambda rows: [label for logits in predictor.logits(map(tuple, rows)) for label in logits.argmax(1).tolist()]


def pipeline(run: Path, exported: Path) -> Callable:
    import transformers

    classify = transformers.pipeline("text-classification", model=str(exported), batch_size=BATCH_ROWS)
    places = classify.model.config.label2id

    def predict(rows):
        texts = [row[0] if len(row) == 1 else {"text": row[0], "text_pair": row[1]} for row in rows]
        return [places[found["label"]] for found in classify(texts, truncation=True)]

    return predict


def sorted_by_length(run: Path, exported: Path) -> Callable:
    import torch
    import transformers

    from bertglue.environment import bfloat16_units

    dtype = torch.bfloat16 if bfloat16_units() else torch.float32
    model = transformers.AutoModelForSequenceClassification.from_pretrained(exported, dtype=dtype).eval()

    def answer(tokens):
        with torch.inference_mode():
            return model(**tokens).logits.argmax(1).tolist()

    return in_order_of_length(transformers.AutoTokenizer.from_pretrained(exported), answer, "pt")


def onnx(kind: str) -> Callable:
    def build(run: Path, exported: Path) -> Callable:
        import onnxruntime
        import transformers

        session = onnxruntime.InferenceSession(exported / kind / "model.onnx", providers=["CPUExecutionProvider"])
        tokenizer = transformers.AutoTokenizer.from_pretrained(exported)
        return in_order_of_length(tokenizer, lambda tokens: session.run(None, dict(tokens))[0].argmax(1).tolist(), "np")

    return build


def in_order_of_length(tokenizer, answer: Callable, tensors: str) -> Callable:
    """Predict rows of similar length together; the answers are in the order of the rows."""

    def predict(rows):
        order = sorted(range(len(rows)), key=lambda i: sum(map(len, rows[i])))
        labels = [0] * len(rows)
        for start in range(0, len(order), BATCH_ROWS):
            at = order[start : start + BATCH_ROWS]
            segments = [list(column) for column in zip(*(rows[i] for i in at), strict=True)]
            found = answer(tokenizer(*segments, padding=True, truncation=True, return_tensors=tensors))
            for place, label in zip(at, found, strict=True):
                labels[place] = label
        return labels

    return predict


CONTESTANTS = {
    PIPELINE: pipeline,
    SORTED: sorted_by_length,
    **{f"ONNX Runtime, {kind}": onnx(kind) for kind in ONNX_KINDS},
    OURS: ours,
}


def measure(name: str, run: Path, exported: Path, file: Path) -> dict:
    """Measure one contestant: seconds to its first answer, rows a second, seconds of a single row, and its answers."""
    rows, started = read(file), time.perf_counter()
    predict = CONTESTANTS[name](run, exported)
    predict(rows[:1])
    first = time.perf_counter() - started
    started = time.perf_counter()
    labels = predict(rows)
    whole = time.perf_counter() - started
    single = []
    for row in rows[:SINGLE_ROWS]:
        started = time.perf_counter()
        predict([row])
        single.append(time.perf_counter() - started)
    return {"first": first, "rows": len(rows) / whole, "single": statistics.median(single), "labels": labels}


def race(run: Path, file: Path, turns: int) -> None:
    found = {name: [] for name in CONTESTANTS}
    with tempfile.TemporaryDirectory() as folder:
        exported = Path(folder) / "exported"
        for kind, target in (("huggingface", exported), *((kind, exported / kind) for kind in ONNX_KINDS)):
            export = [sys.executable, "-m", "bertglue.cli", "export", str(run), str(target), "--kind", kind]
            subprocess.run(export, check=True, stdout=subprocess.DEVNULL)
        for _ in range(turns):
            for name in CONTESTANTS:
                command = [sys.executable, __file__, str(run), str(file), "--only", name, "--exported", str(exported)]
                done = subprocess.run(command, check=True, capture_output=True, text=True)
                found[name].append(json.loads(done.stdout.splitlines()[-1]))
    print(f"{len(read(file)):,} rows, {turns} turns that alternate; medians")
    print("| | rows a second | single row, ms | first answer, s | answers as ours |\n|---|---|---|---|---|")
    for name, results in found.items():
        rows, single, first = (statistics.median(one[key] for one in results) for key in ("rows", "single", "first"))
        same = sum(map(int.__eq__, results[0]["labels"], found[OURS][0]["labels"])) / len(results[0]["labels"])
        print(f"| {name} | {rows:,.0f} | {1000 * single:.1f} | {first:.1f} | {same:.2%} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="the folder of a finished run")
    parser.add_argument("file", type=Path, help="rows to predict")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--only", choices=CONTESTANTS, help=argparse.SUPPRESS)
    parser.add_argument("--exported", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.only:
        print(json.dumps(measure(options.only, options.run, options.exported, options.file)))
    else:
        race(options.run, options.file, options.turns)


if __name__ == "__main__":
    main()

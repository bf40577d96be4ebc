"""Those who predict in a race, each in a process of its own: python predictors.py FOLDER NAME.

The folder holds the run, its exports and the rows; what was measured is the last line.
"""

import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from contestants.measure import process_figures, since_start

PIPELINE, SORTED, OURS = "transformers, pipeline", "transformers, sorted by length", "bertglue"
FASTEST = "bertglue, --precision auto"
ONNX, ONNX_INT8 = "ONNX Runtime, sorted by length", "ONNX Runtime, int8, sorted by length"
BATCH_ROWS, SINGLE_ROWS = 32, 50


def ours(precision: str | None = None) -> Callable:
    def build(folder: Path) -> tuple[str, Callable]:
        from bertglue.models.bert import compute_dtype
        from bertglue.runs.predict import Predictor

        predictor = Predictor(folder / "run", precision)
        return compute_dtype(predictor.classifier), lambda rows: [
            label for logits in predictor.logits(map(tuple, rows)) for label in logits.argmax(1).tolist()
        ]

    return build


def pipeline(folder: Path) -> tuple[str, Callable]:
    import transformers

    exported = str(folder / "huggingface")
    classify = transformers.pipeline("text-classification", model=exported, batch_size=BATCH_ROWS)
    places = classify.model.config.label2id

    def predict(rows):
        texts = [row[0] if len(row) == 1 else {"text": row[0], "text_pair": row[1]} for row in rows]
        return [places[found["label"]] for found in classify(texts, truncation=True)]

    return "float32", predict


def sorted_by_length(folder: Path) -> tuple[str, Callable]:
    import torch
    import transformers

    from bertglue.environment import bfloat16_units

    precision = "bfloat16" if bfloat16_units() else "float32"
    exported = folder / "huggingface"
    model = transformers.AutoModelForSequenceClassification.from_pretrained(exported, dtype=getattr(torch, precision))
    model.eval()

    def answer(tokens):
        with torch.inference_mode():
            return model(**tokens).logits.argmax(1).tolist()

    return precision, in_order_of_length(transformers.AutoTokenizer.from_pretrained(exported), answer, "pt")


def onnx(kind: str, precision: str) -> Callable:
    def build(folder: Path) -> tuple[str, Callable]:
        import onnxruntime
        import transformers

        session = onnxruntime.InferenceSession(folder / kind / "model.onnx", providers=["CPUExecutionProvider"])
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder / "huggingface")

        def answer(tokens):
            return session.run(None, dict(tokens))[0].argmax(1).tolist()

        return precision, in_order_of_length(tokenizer, answer, "np")

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
    ONNX: onnx("onnx", "float32"),
    ONNX_INT8: onnx("onnx-int8", "int8"),
    OURS: ours(),
    FASTEST: ours("auto"),
}


def measure(name: str, folder: Path) -> dict:
    """Measure one contestant: seconds to its first answer, of all rows and of a single row, memory, and its answers."""
    rows = json.loads((folder / "rows.json").read_text())
    precision, predict = CONTESTANTS[name](folder)
    predict(rows[:1])
    first = since_start()
    started = time.perf_counter()
    labels = predict(rows)
    seconds, single = time.perf_counter() - started, []
    for row in rows[:SINGLE_ROWS]:
        started = time.perf_counter()
        predict([row])
        single.append(time.perf_counter() - started)
    measured = {"rows": len(rows), "seconds": seconds, "single": statistics.median(single), "first_answer": first}
    return {"precision": precision, **measured, **process_figures(), "labels": labels}


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[2], Path(sys.argv[1]))))

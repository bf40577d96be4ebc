"""A small GLUE folder in the official layout, for tests that run the real thing; MRPC has HTML in its texts."""

import random
from collections.abc import Sequence
from pathlib import Path

HOSTILE = '<script>window.hacked = 1</script><img src=x onerror="window.hacked = 1"> & so on'
WORDS = ("anna", "sold", "the", "violin", "to", "peter", "on", "monday")
NLI = ("entailment", "neutral", "contradiction")
PAIR = ("index", "sentence1", "sentence2", "label")
# the columns of each task's files, and its labels; none: a score
TASKS = {
    "CoLA": (("source", "label", "mark", "sentence"), ("0", "1")),
    "SST-2": (("sentence", "label"), ("0", "1")),
    "MRPC": (("Quality", "#1 ID", "#2 ID", "#1 String", "#2 String"), ("0", "1")),
    "STS-B": (("index", *"abcdef", "sentence1", "sentence2", "score"), ()),
    "QQP": (("id", "qid1", "qid2", "question1", "question2", "is_duplicate"), ("0", "1")),
    "MNLI": (("index", *"abcdefg", "sentence1", "sentence2", "label1", "gold_label"), NLI),
    "QNLI": (("index", "question", "sentence", "label"), ("entailment", "not_entailment")),
    "RTE": (PAIR, ("entailment", "not_entailment")),
    "WNLI": (PAIR, ("0", "1")),
}
TEXTS = ("sentence", "#1 String", "#2 String", "sentence1", "sentence2", "question1", "question2", "question")
LABELS = ("label", "Quality", "score", "is_duplicate", "gold_label", "label1")


def write_glue(folder: Path, names: Sequence[str] = ("MRPC", "RTE"), train=64, dev=24, test=0) -> None:
    """Write the files of some tasks with so many rows in each split; without rows, no file."""
    rng = random.Random(0)
    for name in names:
        (folder / name).mkdir(parents=True)
        for split, rows in (("train", train), ("dev", dev), ("test", test)):
            parts = ("_matched", "_mismatched") if name == "MNLI" and split != "train" else ("",)
            for part in parts if rows else ():
                lines = split_lines(rng, name, split, rows)
                (folder / name / f"{split}{part}.tsv").write_text("\n".join(lines) + "\n")


def split_lines(rng: random.Random, name: str, split: str, rows: int) -> list[str]:
    """Return the lines of a file: a header, which CoLA's labelled files lack, and rows."""
    columns, labels = TASKS[name]
    if split == "test":
        columns = ("index", *(column for column in columns if column in TEXTS))
    header = [] if name == "CoLA" and split != "test" else ["\t".join(columns)]
    return header + ["\t".join(values(rng, row, columns, labels)) for row in range(rows)]


def values(rng: random.Random, row: int, columns: Sequence[str], labels: Sequence[str]) -> list[str]:
    label = rng.choice(labels) if labels else f"{rng.uniform(0, 5):.3f}"
    found = []
    for column in columns:
        text = " ".join(rng.sample(WORDS, 5)) if column in TEXTS else str(row)
        found.append(label if column in LABELS else f"{text} {HOSTILE}" if column == "#1 String" else text)
    return found

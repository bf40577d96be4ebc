"""Describe a task of one's own by what its files hold: `bertglue init`."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import yaml

from bertglue.atomic_files import write_atomically
from bertglue.data.dataset import Data
from bertglue.data.load_data import load_data_for
from bertglue.data.own_files import DIALECTS, NO_TEXTS, OwnFiles, find_file, read_rows
from bertglue.errors import InputError
from bertglue.own_tasks import NUMBER, check_own_name
from bertglue.parameters import Parameters

LOOKED_AT = 1000  # rows, to guess what a column is
FEWEST_ROWS = 10  # that validation can be taken from
LABEL_WORDS = ("label", "class", "category", "target", "score", "rating", "stars", "sentiment", "emotion", "y")
PAIRS = (
    ("sentence1", "sentence2"), ("question1", "question2"), ("premise", "hypothesis"), ("question", "answer"),
    ("text1", "text2"), ("text_a", "text_b"), ("question", "sentence"), ("title", "body"),
)  # fmt: skip
LABEL_WORDS_LONG = 3  # words of a label, on average, at most
SHARE_OF_CLASSES = 0.2  # a column with more different values than this share of its rows has no classes
TOKENS_PER_WORD, LENGTH_STEP, LONGEST = 1.5, 16, 128  # the bundled encoder reads 128 tokens
FEW_ROWS = 5  # of a class; perhaps a slip of the pen


def describe_task(
    name: str, files: dict[str, str], *, columns: list[str] | None = None, label: str | None = None,
    dialect: str | None = None, number: bool = False,
) -> tuple[dict, list[str]]:  # fmt: skip
    """Describe what the files of a task seem to hold, and check that they can be read.

    Args:
        name: of the task.
        files: `train`, and perhaps `validation` and `test`.
        columns: of text; None: the longest one, or two that are named like a pair.
        label: None: the column that is named like one, or the only one with few different values.
        dialect: of CSV; None goes by the name of the file.
        number: whether labels are scores to regress on, also where they look like classes.

    Returns:
        The parameters of the task, as its file says them, and remarks on the rows.

    Raises:
        InputError: the name is taken, a file cannot be read, or it is not plain which columns are labels and texts.
    """
    check_own_name(name)
    if dialect and dialect not in DIALECTS:
        raise InputError(f"--dialect is {dialect}; choose from {', '.join(DIALECTS)}")
    given = {"dialect": dialect} if dialect else {}
    for split, text in files.items():
        path = find_file(OwnFiles(name, files, **given), split, text)
        if split == "train":
            rows = [cells for _, cells in islice(read_rows(path, dialect), LOOKED_AT)]
            train = path
    if len(rows) < 2:
        raise InputError(f"{train} holds {len(rows)} rows; give a file with a header and more rows below it")
    label = label or guess_label(train, rows)
    columns = columns or guess_columns(train, rows, label)
    found = {"task": name, "files": files, "columns": columns, "label": label, **given}
    if number or is_score([row.get(label) for row in rows]):
        found["labels"] = NUMBER
    if "validation" not in files and len(rows) < FEWEST_ROWS:
        raise InputError(f"{train} has {len(rows)} rows, too few to take validation from; give --validation FILE")
    data = load_data_for(Parameters.check({**found, "hold_out": 0.0}))
    length = suggest_length(data)
    return {**found, "labels": list(data.task.labels) or NUMBER, "metrics": list(data.task.metrics),
            "max_length": length}, [*remarks(data), remark_on_length(data, length)]  # fmt: skip


def guess_label(path: Path, rows: list[dict]) -> str:
    """Return the column that is named like a label, or the only one that has few different values."""
    names = [name for name in rows[0] if name.lower() not in NO_TEXTS]
    values = {name: [str(row.get(name)) for row in rows] for name in names}
    short = [name for name in names if mean_words(values[name]) <= LABEL_WORDS_LONG and len(set(values[name])) > 1]
    named = [name for name in short if name.lower() in LABEL_WORDS]
    few = [name for name in short if len(set(values[name])) <= max(2, SHARE_OF_CLASSES * len(rows))]
    found = named or few
    if len(found) != 1:
        those = f"{', '.join(found)} may be labels" if found else "none looks like labels"
        raise InputError(f"{path} has the columns {', '.join(rows[0])}, and {those}; give --label NAME")
    return found[0]


def mean_words(values: list[str]) -> float:
    return sum(len(value.split()) for value in values) / len(values)


def guess_columns(path: Path, rows: list[dict], label: str) -> list[str]:
    """Return the column of text, the longest one; two where they are named like a pair."""
    written = {}
    for name in rows[0]:
        values = [row.get(name) for row in rows if isinstance(row.get(name), str)]
        letters = any(character.isalpha() for value in values for character in value)
        if letters and name != label and name.lower() not in NO_TEXTS:
            written[name] = values
    differing = {name: values for name, values in written.items() if len(set(values)) > len(values) / 2}
    texts = {name: sum(map(len, values)) for name, values in (differing or written).items()}
    if not texts:
        raise InputError(f"{path} has the columns {', '.join(rows[0])}, and none looks like text; give --column NAME")
    lower = {name.lower(): name for name in texts}
    for first, second in PAIRS:
        if first in lower and second in lower:
            return [lower[first], lower[second]]
    return [max(texts, key=texts.get)]


def remarks(data: Data) -> list[str]:
    """Return what somebody should know of the labels of train before they train on them."""
    sizes = ", ".join(f"{split} {len(rows):,}" for split, rows in data.splits.items())
    said = [f"rows: {sizes}"]
    if data.task.regression:
        low, high = np.percentile(data["train"].labels, (0, 100))
        return [*said, f"scores from {low:g} to {high:g}"]
    counts = np.bincount(data["train"].labels, minlength=data.task.outputs).tolist()
    named = [f"{label} {count:,}" for label, count in zip(data.task.labels, counts, strict=True)]
    said.append("rows of each class: " + ", ".join(named[:10]) + (", ..." if len(named) > 10 else ""))
    if rare := [label for label, count in zip(data.task.labels, counts, strict=True) if count < FEW_ROWS]:
        said.append(f"few rows, perhaps misspelt: {', '.join(rare[:10])}")
    alike = Counter(label.casefold() for label in data.task.labels)
    if twice := [label for label in data.task.labels if alike[label.casefold()] > 1]:
        said.append(f"differ by capitals alone: {', '.join(twice[:10])}")
    return said


def is_score(values: list) -> bool:
    """Return whether values are a number to regress on, which has fractions; classes may be numbers too."""
    try:
        numbers = [float(value) for value in values]
    except (TypeError, ValueError):
        return False
    return all(map(math.isfinite, numbers)) and any(number % 1 for number in numbers)


def suggest_length(data: Data) -> int:
    """Return a `max_length` [tokens] that 95 % of the rows fit in, by their words, and at most 128."""
    tokens = sorted(islice(estimate_tokens(data), LOOKED_AT))
    fitting = int(tokens[int(0.95 * (len(tokens) - 1))])
    return min(LONGEST, LENGTH_STEP * max(2, -(-fitting // LENGTH_STEP)))


def remark_on_length(data: Data, length: int) -> str:
    """Return how many rows of train are longer than a `max_length`."""
    cut = sum(tokens > length for tokens in estimate_tokens(data))
    rows = f"about {cut:,} of the {len(data['train']):,} rows of train" if cut else "no row of train"
    return f"longer than max_length {length}, so truncated to it: {rows}, by their words"


def estimate_tokens(data: Data) -> Iterator[float]:
    """Estimate the tokens of each row of train by its words."""
    for row in zip(*data["train"].segments, strict=True):
        yield 1 + len(data.task.columns) + TOKENS_PER_WORD * sum(map(count_words, row))


def count_words(text: str) -> int:
    """Count words, or characters where a writing has no spaces."""
    spaced = text.split()
    return sum(1 if word.isascii() else max(1, len(word) // 2) for word in spaced)


def write_task(name: str, found: dict) -> Path:
    """Write the file of a task where runs look for it; one that is there already is kept."""
    path = Path(f"params/tasks/{name}.yaml")
    if path.exists():
        raise InputError(f"{path} is there already; edit it, or remove it first")
    text = "# A task of your own, as `bertglue init` saw it; any parameter of a run may stand here.\n"
    text += yaml.safe_dump(found, sort_keys=False, allow_unicode=True, default_flow_style=None, width=100)
    with write_atomically(path) as partial:
        partial.write_text(text, encoding="utf-8")
    return path

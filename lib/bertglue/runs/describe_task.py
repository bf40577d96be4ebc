"""Describe a task of one's own by what its files hold: `bertglue init`."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import yaml

from bertglue.atomic_files import write_atomically
from bertglue.data.dataset import Data
from bertglue.data.load_data import load_data_for
from bertglue.data.own_files import read_rows
from bertglue.errors import InputError
from bertglue.own_tasks import NUMBER, check_own_name
from bertglue.parameters import Parameters

LOOKED_AT = 1000  # rows, to guess what a column is
USUAL_LABELS = ("label", "labels", "class", "category", "target", "score", "rating", "stars", "sentiment", "y")
NO_TEXTS = ("id", "idx", "index", "guid", "")  # columns that number the rows
TOKENS_PER_WORD, LENGTH_STEP, LONGEST = 1.5, 16, 512
FEW_ROWS_OF_A_CLASS = 0.5  # a column with more different values than this share of its rows has no classes


def describe_task(
    name: str, files: dict[str, str], *, columns: list[str] | None = None, label: str | None = None,
    dialect: str | None = None,
) -> dict:  # fmt: skip
    """Describe what the files of a task seem to hold, and check that they can be read.

    Args:
        name: of the task.
        files: `train`, and perhaps `validation` and `test`.
        columns: of text; None: the longest ones that are not the label's, two at most.
        label: None: the column that is named like one, or the one with the fewest different values.
        dialect: of CSV; None goes by the name of the file.

    Returns:
        The parameters of the task, as its file says them.

    Raises:
        InputError: the name is taken, a file cannot be read, or no column looks like labels or texts.
    """
    check_own_name(name)
    given = {"dialect": dialect} if dialect else {}
    path = Path(files["train"]).expanduser()
    if not path.is_file():
        raise InputError(f"{path} is not there; give the file to train on as --from")
    rows = [cells for _, cells in islice(read_rows(path, dialect), LOOKED_AT)]
    if not rows:
        raise InputError(f"{path} holds no rows; give a file with a header and rows below it")
    label = label or guess_label(path, rows)
    columns = columns or guess_columns(path, rows, label)
    found = {"task": name, "files": files, "columns": columns, "label": label, **given}
    if label in rows[0] and is_score([row.get(label) for row in rows]):
        found["labels"] = NUMBER
    data = load_data_for(Parameters.check(found))
    return {**found, "labels": list(data.task.labels) or NUMBER, "metrics": list(data.task.metrics),
            "max_length": suggest_length(data)}  # fmt: skip


def guess_label(path: Path, rows: list[dict]) -> str:
    names = list(rows[0])
    for usual in USUAL_LABELS:
        if named := [name for name in names if name.lower() == usual]:
            return named[0]
    different = {name: len({str(row.get(name)) for row in rows}) for name in names if name.lower() not in NO_TEXTS}
    fewest = min(different, key=different.get, default=None)
    if fewest is None or different[fewest] > max(2, FEW_ROWS_OF_A_CLASS * len(rows)):
        raise InputError(f"{path} has the columns {', '.join(names)}, and none looks like labels; give --label")
    return fewest


def guess_columns(path: Path, rows: list[dict], label: str) -> list[str]:
    """Return the columns of text in their order: those that hold spaces, the two longest of more."""
    texts = {}
    for name in rows[0]:
        values = [row.get(name) for row in rows]
        words = all(isinstance(value, str) for value in values) and any(" " in value for value in values)
        if words and name != label and name.lower() not in NO_TEXTS:
            texts[name] = sum(map(len, values))
    if not texts:
        raise InputError(f"{path} has the columns {', '.join(rows[0])}, and none looks like text; give --column")
    longest = sorted(texts, key=texts.get)[-2:]
    return [name for name in texts if name in longest]


def is_score(values: list) -> bool:
    """Return whether values are a number to regress on, which has fractions; classes may be numbers too."""
    try:
        numbers = [float(value) for value in values]
    except (TypeError, ValueError):
        return False
    return any(number % 1 for number in numbers)


def suggest_length(data: Data) -> int:
    """Return a `max_length` [tokens] that 95 % of the rows fit in, by their words."""
    rows = islice(zip(*data["train"].segments, strict=True), LOOKED_AT)
    words = sorted(sum(len(text.split()) for text in row) for row in rows)
    tokens = 1 + len(data.task.columns) + TOKENS_PER_WORD * words[int(0.95 * (len(words) - 1))]
    return min(LONGEST, LENGTH_STEP * max(2, -(-int(tokens) // LENGTH_STEP)))


def write_task(name: str, found: dict) -> Path:
    """Write the file of a task where runs look for it; one that is there already is kept."""
    path = Path(f"params/tasks/{name}.yaml")
    if path.exists():
        raise InputError(f"{path} is there already; edit it, or remove it first")
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "# A task of your own, as `bertglue init` saw it; any parameter of a run may stand here.\n"
    text += yaml.safe_dump(found, sort_keys=False, allow_unicode=True, default_flow_style=None, width=100)
    with write_atomically(path) as partial:
        partial.write_text(text, encoding="utf-8")
    return path

"""Write what follows from code and records: README's scores, two guides, a class's notebook, the encoder's card."""

from __future__ import annotations

import argparse
import inspect
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import nbformat

from bertglue.atomic_files import write_text
from bertglue.errors import InputError, exit_status
from bertglue.evaluation import aggregate
from bertglue.evaluation.metrics import METRIC_TITLES
from bertglue.evaluation.published_scores import HUGGING_FACE, PUBLISHED_NAMES, REPORT, find_published_score
from bertglue.parameters import CompressionParameters, Parameters, PretrainingParameters
from bertglue.report import prediction_speed, training_speed
from bertglue.report.measured_files import PREDICTION_SPEED, TRAINING_SPEED, TRAINING_SPEED_BFLOAT16
from bertglue.report.pages.common import encoders_said, joined, main_score_rows, row_title, seeds_said
from bertglue.report.pages.results import rows_at_hand
from bertglue.report.race_results import read_result
from bertglue.report.reference_runs import runs_by_task
from bertglue.runs.collection import Runs
from bertglue.tasks import TASKS

ROOT = Path(__file__).parents[3]
BEGIN, END = "<!-- {part}: written by `make texts` -->", "<!-- end of {part} -->"
PARAMETER_CLASSES = {
    "Fine-tuning": (Parameters, "`notebooks/finetune.ipynb`, `bertglue run` and the files under `params`"),
    "Compression": (CompressionParameters, "`notebooks/compress.ipynb`"),
    "Pre-training": (PretrainingParameters, "`notebooks/pretrain.ipynb`"),
}
KEY, STUDENTS = Path("notebooks/class_key.ipynb"), Path("notebooks/class.ipynb")
SOLUTION = re.compile(r"### BEGIN SOLUTION\n.*?### END SOLUTION", re.DOTALL)
GAP = "# YOUR CODE HERE\nraise NotImplementedError"
BOUNDS = {"minimum": "≥ {:,}", "exclusiveMinimum": "> {:,}", "maximum": "≤ {:,}", "exclusiveMaximum": "< {:,}"}


def scores_table() -> str:
    """Tabulate the reference run's scores as Markdown, by each task's first metric, beside published dev scores."""
    real = runs_by_task()
    rows = [
        "| task, metric | baseline | MiniLM here, dev | 95 % interval | report, dev | BERT-base (Hugging Face), dev |",
        "|" + "---|" * 6,
    ]
    for task, split, metric, run in main_score_rows(Runs(runs[0] for runs in real.values())):
        mean = aggregate.seed_mean(real[task.name], split, metric).mean
        printed = [
            find_published_score(who, PUBLISHED_NAMES[task.name, split], metric) for who in (REPORT, HUGGING_FACE)
        ]
        low, high = aggregate.mean_interval(real[task.name], split, metric)
        title, baseline = f"{row_title(task, split)}, {METRIC_TITLES[metric]}", run["baseline"][split][metric]
        cells = [title, f"{baseline:.3f}", f"{mean:.3f}", f"{low:.3f}–{high:.3f}"]
        cells += [f"{one.value:.3f}" if one else "" for one in printed]
        rows.append(f"| {' | '.join(cells)} |")
    said = f"Seeds a task: {seeds_said(real)}. {rows_at_hand()}" if real else "No final run is done yet."
    return "\n".join([*rows, "", f"{said}{after_intermediate()}"])


def after_intermediate() -> str:
    """Name the scores of the tasks that were trained from the encoder of MNLI."""
    scores, real = [], runs_by_task("after-mnli")
    for name, runs in real.items():
        mean = aggregate.seed_mean(runs, TASKS[name].validation[0], TASKS[name].metrics[0]).mean
        scores.append(f"{TASKS[name].title} {mean:.3f}{encoders_said(runs)}")
    return f" After MNLI (`INTERMEDIATE=mnli`; seeds: {seeds_said(real)}): {joined(scores)}." if scores else ""


def parameters_tables() -> str:
    """Tabulate all parameters: of each its default, its range and its meaning."""
    parts = []
    for title, (parameters, place) in PARAMETER_CLASSES.items():
        fields, meanings = parameters.model_json_schema()["properties"], meanings_of(parameters)
        rows = [
            f"| `{name}` | `{field.get('default')}` | {range_of(field)} | {meanings[name]} |"
            for name, field in fields.items()
        ]
        head = ["| parameter | default | values | |", "|---|---|---|---|"]
        parts.append("\n".join([f"## {title}", "", f"In {place}.", "", *head, *rows]))
    return "\n\n".join(parts)


def meanings_of(parameters: type) -> dict[str, str]:
    """Read what each parameter means from the section Args of its class's docstring."""
    section = re.search(r"Args:\n(.*?)(?:\n\n|\Z)", inspect.getdoc(parameters), re.DOTALL)[1]
    found = re.findall(r"^    (\w+): (.*(?:\n {8}.*)*)", section, re.MULTILINE)
    return {name: " ".join(said.split()) for name, said in found}


def range_of(field: dict) -> str:
    """Describe the values that a field of a JSON schema admits."""
    if "anyOf" in field:
        return " or ".join(
            filter(None, ("None" if one.get("type") == "null" else range_of(one) for one in field["anyOf"]))
        )
    if "enum" in field:
        return ", ".join(f"`{value}`" for value in field["enum"])
    if field.get("type") == "array":
        return f"list of {range_of(field['items'])}".rstrip()
    bounds = [form.format(field[name]) for name, form in BOUNDS.items() if name in field]
    kind = {"string": "text", "boolean": "True, False"}.get(field.get("type"), field.get("type", ""))
    return ", ".join([kind, *bounds])


def command_help() -> str:
    """Write the help of each part of the command, as typer documents it."""
    documented = [sys.executable, "-m", "typer", "bertglue.cli", "utils", "docs", "--name", "bertglue"]
    done = subprocess.run(documented, capture_output=True, text=True, check=True)
    _, _, parts = re.sub(r"^#", "##", done.stdout.strip(), flags=re.MULTILINE).partition("\n")
    return f"## Every option\n{parts}"


def speed() -> str:
    trained = [read_result(path) for path in (TRAINING_SPEED, TRAINING_SPEED_BFLOAT16)]
    return f"{training_speed.headline(*trained)} {prediction_speed.headline(read_result(PREDICTION_SPEED))}"


PARTS: dict[str, dict[str, Callable[[], str]]] = {  # of each file the parts that are written here, by their names
    "README.md": {"scores": scores_table, "speed": speed},
    "book/guides/parameters.md": {"parameters": parameters_tables},
    "book/guides/command_line.md": {"help": command_help},
}


def filled(text: str, parts: dict[str, Callable[[], str]]) -> str:
    """Fill the marked parts of a text."""
    for name, make in parts.items():
        begin, end = (mark.format(part=name) for mark in (BEGIN, END))
        before, _, rest = text.partition(begin)
        _, found, after = rest.partition(end)
        if not found:
            raise InputError(f"the marks {begin} and {end} are not there; put them back")
        text = f"{before}{begin}\n\n{make()}\n\n{end}{after}"
    return text


def leave_gaps(key: str) -> str:
    """Return the notebook of a class for its students, with gaps for the solutions, marked as for nbgrader."""
    notebook = nbformat.reads(key, as_version=4)
    for cell in notebook.cells:
        cell.source = SOLUTION.sub(GAP, cell.source).replace(KEY.name, STUDENTS.name)
    return nbformat.writes(notebook) + "\n"


def whole_files(root: Path) -> dict[Path, str]:
    """Return the texts of the files that are generated whole, by their names."""
    from bertglue.report import encoder_card  # loads the encoder, which no other text needs

    card = (encoder_card.BUNDLED_FOLDER / encoder_card.CARD_FILE).relative_to(ROOT)
    return {STUDENTS: leave_gaps((root / KEY).read_text(encoding="utf-8")), card: encoder_card.render_card()}


def write_texts(root: Path = ROOT) -> list[str]:
    """Write the files whose text is another than before; return their names."""
    changed = []
    for name, parts in PARTS.items():
        before = (root / name).read_text(encoding="utf-8")
        if (after := filled(before, parts)) != before:
            write_text(root / name, after)
            changed.append(name)
    for name, text in whole_files(root).items():
        if not (root / name).exists() or (root / name).read_text(encoding="utf-8") != text:
            write_text(root / name, text)
            changed.append(str(name))
    return changed


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bertglue.tools.generated_texts", description=__doc__)
    parser.parse_args(arguments)
    return exit_status(lambda: print(", ".join(write_texts()) or "nothing changed"))


if __name__ == "__main__":
    sys.exit(main())

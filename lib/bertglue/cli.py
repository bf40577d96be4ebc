"""The command `bertglue`: run a task, predict, look at results, write a submission, look at the machine."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from bertglue.environment import THREADS_VARIABLE
from bertglue.errors import InputError, exit_status, printable
from bertglue.parameters import PredictionPrecision

app = typer.Typer(
    name="bertglue", help="Fine-tuning BERT on GLUE.", no_args_is_help=True, add_completion=False, rich_markup_mode=None
)
RUN_FACTS = {"source": "source", "encoder": "encoder", "learning rate": "learning_rate", "seed": "seed"}

FinishedRun = Annotated[Path, typer.Argument(help="the folder of a finished run")]
Precision = Annotated[
    PredictionPrecision | None,
    typer.Option(
        help="what it computes in; auto is what this device is fastest in, and in 16 bits logits move by some "
        "hundredths (default: as the run was trained)"
    ),
]


def show(title: str, header: list[str], rows: list[list[str]]) -> None:
    """Print a table without the columns that are empty throughout.

    Texts are shown as they are, never as markup or as codes for the terminal.
    """
    console, table = Console(), Table(title=Text(printable(title)), title_justify="left", box=box.SIMPLE_HEAD)
    columns = [(name, *cells) for name, *cells in zip(header, *rows, strict=True) if any(cells) or not rows]
    words = [max(map(len, " ".join(cells).split()), default=0) for cells in columns]
    fits = sum(words) + 2 * len(words) + 1 <= console.width  # else a word has to break somewhere
    if fits and sum(words) + 3 * len(words) + 1 > console.width:
        table.padding = (0, 1, 0, 0)  # on the right of a cell alone
    for (name, *_), longest in zip(columns, words, strict=True):
        table.add_column(name, overflow="fold", min_width=longest if fits else None)
    for row in zip(*(cells for _, *cells in columns), strict=True):
        table.add_row(*(Text(printable(cell)) for cell in row))
    console.print(table)


@app.command()
def run(
    task: Annotated[
        str,
        typer.Argument(help="cola, sst2, mrpc, stsb, qqp, mnli, qnli, rte or wnli; or one of your own (bertglue init)"),
    ],
    profile: Annotated[str, typer.Option(help="a file under params/profiles")] = "toy",
    parameter: Annotated[
        list[str] | None, typer.Option("--parameter", "-p", help="name=value, over the profile's; may be repeated")
    ] = None,
    output: Annotated[Path | None, typer.Option(help="the folder to write (default: runs/notebook/TASK)")] = None,
) -> None:
    """Fine-tune on one task: run the master notebook."""
    from bertglue.parameters import read_given
    from bertglue.runs.execute import execute, parameters_of_run

    parameters = parameters_of_run(task, profile, output, read_given(parameter or []))
    execute(parameters)
    show_results([Path(parameters.run_dir)])


@app.command()
def init(
    name: Annotated[str, typer.Argument(help="of your task: small letters, digits and _")],
    train: Annotated[Path, typer.Option("--from", help="the file to train on: .csv, .tsv, .jsonl or .parquet")],
    validation: Annotated[Path | None, typer.Option(help="the file to validate on (default: a tenth of train)")] = None,
    test: Annotated[Path | None, typer.Option(help="a file of texts to predict")] = None,
    column: Annotated[
        list[str] | None, typer.Option("--column", help="of text; twice for a pair (default: guessed)")
    ] = None,
    label: Annotated[str | None, typer.Option(help="the column of labels (default: guessed)")] = None,
    dialect: Annotated[str | None, typer.Option(help="csv, semicolon, tab or excel-tab (default: by name)")] = None,
    number: Annotated[
        bool, typer.Option("--number", help="labels are scores to regress on (default: guessed)")
    ] = False,
) -> None:
    """Describe a task of your own: write params/tasks/NAME.yaml from what a file holds."""
    from bertglue.runs.describe_task import describe_task, write_task

    files = {"train": train, "validation": validation, "test": test}
    given = {split: str(path) for split, path in files.items() if path}
    found, remarks = describe_task(name, given, columns=column, label=label, dialect=dialect, number=number)
    path = write_task(name, found)
    print(path.read_text(encoding="utf-8"), end="")
    print(*remarks, sep="\n", file=sys.stderr)
    advice = f"correct there what is guessed wrongly; bertglue run {name} --profile laptop fine-tunes MiniLM on it"
    print(f"written to {path}; {advice}", file=sys.stderr)


@app.command()
def reproduce(
    run: FinishedRun,
    output: Annotated[
        Path | None, typer.Option(help="the folder to write (default: runs/reproduced/ and the run's name)")
    ] = None,
    preprocessor: Annotated[
        str | None, typer.Option(help="the run's preprocessing SavedModel, to say that its graph is trusted and run")
    ] = None,
) -> None:
    """Repeat a finished run from its record, and compare; ends with an error where a score differs."""
    from bertglue.runs import reproduction
    from bertglue.runs.execute import execute

    output = output or Path("runs/reproduced", *run.resolve().parts[-2:])
    parameters = reproduction.recipe(run, output, preprocessor)
    if count := reproduction.recorded_threads(run):
        os.environ[THREADS_VARIABLE] = str(count)
    execute(parameters)
    found = reproduction.compare(run, output)
    show(f"{run}, repeated in {output}", ["what", "then", "now"], found.lines())
    if found.scores:
        raise InputError(f"{len(found.scores)} scores differ from {run}; see above what else does")
    print("the same scores" + (", and the same logits to the bit" if found.identical else ""))


@app.command()
def predict(
    run: FinishedRun,
    file: Annotated[
        typer.FileBinaryRead,
        typer.Argument(
            help="a sentence a line, or two with a tab between them; of your own task also CSV, TSV, JSON Lines or "
            "parquet with its columns; - reads standard input"
        ),
    ] = "-",
    precision: Precision = None,
) -> None:
    """Print the label of each row and the probability of every label, with tabs between them."""
    from bertglue.runs.predict import Predictor, read_rows

    predictor = Predictor(run, precision)
    labels = [f"p({label})" for label in predictor.task.labels]
    print("prediction", *labels, sep="\t")
    cut = rows = 0
    rows_of = read_rows(file, predictor.task, getattr(file, "name", "<stdin>"), predictor.record.get("parameters"))
    for prediction in predictor(rows_of):
        print(prediction.label, *(f"{p:.4f}" for p in prediction.probabilities), sep="\t", flush=True)
        cut, rows = cut + prediction.cut, rows + 1
    if cut:
        length = f"{predictor.preprocessor.seq_length} tokens, the length of the model in {printable(run)}"
        print(f"truncated to {length}: {cut:,} of {rows:,} rows", file=sys.stderr)


@app.command()
def evaluate(
    run: FinishedRun,
    file: Annotated[
        typer.FileBinaryRead,
        typer.Argument(
            help="a row a line: its text, or two, and its label, with tabs between; of your own task also CSV, TSV, "
            "JSON Lines or parquet with its columns; - reads standard input"
        ),
    ] = "-",
    precision: Precision = None,
) -> None:
    """Print the scores of a finished run on a labelled file of yours, with intervals, baseline and confusion matrix."""
    from bertglue.evaluation.metrics import METRIC_TITLES
    from bertglue.runs.evaluate_file import evaluate_file
    from bertglue.runs.predict import Predictor

    predictor = Predictor(run, precision)
    found = evaluate_file(predictor, file, getattr(file, "name", "<stdin>"))
    rows = [
        [METRIC_TITLES[name], f"{score:.3f}", "{:.3f} to {:.3f}".format(*found.intervals[name]),
         f"{found.baseline[name]:.3f}" if name in found.baseline else ""]
        for name, score in found.scores.items()
    ]  # fmt: skip
    show(
        f"{predictor.task.title}, {found.rows:,} {'row' if found.rows == 1 else 'rows'}",
        ["metric", "score", "95 % interval", "baseline"],
        rows,
    )
    if found.confusion:
        names = predictor.task.labels
        counted = [[name, *map(str, counts)] for name, counts in zip(names, found.confusion, strict=True)]
        show("rows by label and prediction", ["label", *names], counted)


@app.command()
def export(
    run: FinishedRun,
    folder: Annotated[Path, typer.Argument(help="the folder to write")],
    kind: Annotated[
        str,
        typer.Option(
            help="savedmodel (takes texts); huggingface (for transformers); onnx, onnx-int8 (for ONNX Runtime); "
            "float32, float16, 'int8 dynamic' (a LiteRT file); or keras-float16, keras-bfloat16, keras-int8 (a folder "
            "that predict reads)"
        ),
    ] = "savedmodel",
) -> None:
    """Write a classifier for use elsewhere, with a model card: for TensorFlow, transformers, ONNX Runtime, LiteRT."""
    from bertglue.export.export import (
        check_kind,
        export_huggingface,
        export_keras,
        export_litert,
        export_onnx,
        export_savedmodel,
    )
    from bertglue.runs.predict import Predictor

    check_kind(kind)
    card = model_card(run, kind)

    if kind.startswith("keras-"):
        written = export_keras(run, folder, kind.removeprefix("keras-"), card)
    else:
        predictor = Predictor(run)
        parts = (predictor.classifier, predictor.preprocessor, predictor.task, folder)
        whole = {"savedmodel": export_savedmodel, "huggingface": export_huggingface}
        of_a_kind = export_onnx if kind.startswith("onnx") else export_litert
        written = whole[kind](*parts, card) if kind in whole else of_a_kind(*parts, kind, card=card)
    size = sum(file.stat().st_size for file in written.rglob("*") if file.is_file())
    print(f"{written}: {kind}, {size / 1e6:.1f} MB")


def model_card(run: Path, kind: str) -> str:
    """Write the card of a run's classifier; none, and a line that says why, where its record lacks what it tells."""
    from bertglue.export.model_card import CARD_KEYS, render_model_card
    from bertglue.runs.record import RECORD_FILE, read_record

    try:
        return render_model_card(read_record(run / RECORD_FILE, *CARD_KEYS), kind)
    except InputError as error:
        print(f"without a model card: {error}", file=sys.stderr)
        return ""


@app.command()
def results(
    folders: Annotated[
        list[Path] | None, typer.Argument(help="folders of finished runs, or folders of such (default: all below runs)")
    ] = None,
) -> None:
    """Print every score of finished runs with its 95 % interval and its baseline."""
    if folders:
        show_results(folders)
        return
    for folder in folders_of_runs():
        show_results([folder], f"{folder}: ")


def folders_of_runs(place: Path = Path("runs")) -> list[Path]:
    """Return the folders, each of a profile or of `bertglue run`, that hold finished runs."""
    from bertglue.runs.record import RECORD_FILE

    found = sorted({place / path.relative_to(place).parts[0] for path in place.rglob(RECORD_FILE)})
    if place / RECORD_FILE in found:  # a run lies there itself
        return [place]
    if not found:
        raise InputError(f"no finished run is below {place}; `bertglue run` makes one, or name a folder")
    return found


def show_results(folders: list[Path], place: str = "") -> None:
    from bertglue.evaluation.metrics import METRIC_TITLES
    from bertglue.own_tasks import task_of_record
    from bertglue.report.pages.common import row_title
    from bertglue.runs.record import find_records, read_record
    from bertglue.runs.schemas import Scored

    paths = find_records(*folders)
    records = [read_record(path, *RUN_FACTS.values(), *Scored.model_fields) for path in paths]
    facts = {fact: [f"{record[key]}" for record in records] for fact, key in RUN_FACTS.items()}
    varying = {fact: values for fact, values in facts.items() if len(set(values)) > 1}
    rows = []
    for index, record in enumerate(records):
        for split, values in record["metrics"].items():
            for metric, value in values.items():
                low, high = record["interval"][split][metric]
                rows.append(
                    [
                        row_title(task_of_record(record), split),
                        *(values[index] for values in varying.values()),
                        METRIC_TITLES.get(metric, metric),
                        f"{value:.3f}",
                        f"{low:.3f} to {high:.3f}",
                        f"{record['baseline'][split][metric]:.3f}",
                    ]
                )
    same = place + ", ".join(f"{fact} {values[0]}" for fact, values in facts.items() if fact not in varying)
    if set(facts["source"]) == {"toy"}:
        same += " (toy data, not GLUE)"
    show(same, ["task", *varying, "metric", "score", "95 % interval", "baseline"], rows)


@app.command()
def compare(
    first: Annotated[Path, typer.Argument(help="the folder of a finished run, or of several that differ in the seed")],
    second: Annotated[Path, typer.Argument(help="the same, of the same task")],
) -> None:
    """Print what the second of two runs scores above the first, with paired tests on the same rows."""
    from bertglue.evaluation.metrics import METRIC_TITLES
    from bertglue.report.pages.common import row_title
    from bertglue.runs.paired_comparison import compare_runs

    task, found = compare_runs(first, second)
    rows = [
        [
            row_title(task, each.split),
            METRIC_TITLES.get(each.metric, each.metric),
            f"{each.first:.3f}",
            f"{each.second:.3f}",
            f"{each.gain:+.3f}",
            f"{each.low:+.3f} to {each.high:+.3f}",
            "yes" if each.beyond_chance else "no",
            "" if each.p_value is None else f"p = {each.p_value:.2g}",
        ]
        for each in found
    ]
    header = ["task", "metric", "first", "second", "gain", "95 % interval", "signif.", "McNemar"]
    show(f"{second} against {first}", header, rows)


@app.command()
def submit(
    folder: Annotated[Path, typer.Argument(help="the folder of a profile's runs, e.g. runs/full")],
    output: Annotated[Path, typer.Option("--output", "-o", help="the zip to write")] = Path("submission.zip"),
    fill: Annotated[bool, typer.Option("--fill", help="fill missing tasks with their first label")] = False,
) -> None:
    """Write the predictions of finished runs on GLUE's test splits as the zip that the leaderboard takes."""
    from bertglue.runs import leaderboard

    sources = leaderboard.write_submission(folder, output, fill=fill)
    leaderboard.check_submission(output)
    show(str(output), ["file", "predicted by"], [[f"{name}.tsv", source] for name, source in sources.items()])


@app.command()
def doctor() -> None:
    """Print the device that a run would take, the versions, and where things are kept."""
    from bertglue.tools.doctor import describe_machine

    show("bertglue", ["what", "found"], [[what, found] for what, found in describe_machine().items()])


def main() -> None:
    """Run the command; wrong input is one line and status 1, and so is a package that is not installed."""
    sys.exit(exit_status(run_command))


def run_command() -> None:
    try:
        app(standalone_mode=True)
    except ModuleNotFoundError as error:
        raise InputError(f"{error.name} is not installed; pip install 'bertglue[tensorflow,book]'") from None


if __name__ == "__main__":
    main()

"""Compress a finished run: prune heads, retrain, export as files, and measure each of them."""

from __future__ import annotations

import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

import keras
import numpy as np

from bertglue import environment
from bertglue.atomic_files import write_json
from bertglue.compression.head_selection import Selection, select_heads
from bertglue.compression.pruning_curve import CurvePoint, compute_pruning_curve
from bertglue.data.dataset import HELD_OUT, Data
from bertglue.data.load_data import load_data_for
from bertglue.data.token_ids import Tokens
from bertglue.devices import auto_precision, current_device, leave_accelerators_alone
from bertglue.errors import InputError
from bertglue.evaluation import metrics
from bertglue.evaluation.evaluate import Scores, evaluate
from bertglue.export import keras_quantization, litert_runtime
from bertglue.export.litert import LITERT_KINDS, MIN_CALIBRATION_ROWS, STATIC, convert_to_litert
from bertglue.models.heads import count_heads, keep_heads
from bertglue.models.logits import predict_splits
from bertglue.models.preprocessor import Preprocessor, tokenize_data
from bertglue.models.saved_classifier import load_classifier
from bertglue.parameters import CompressionParameters, Parameters
from bertglue.runs.paired_comparison import PairedDifference, paired_differences
from bertglue.runs.record import COMPRESSION_FILE, RECORD_FILE, read_record
from bertglue.runs.schemas import ALL_HEADS, SELECTED_HEADS
from bertglue.training.callbacks import TrainingResult
from bertglue.training.finetune import train

CALIBRATION_ROWS = 64  # rows of train that static ranges are taken from
RECORD_KEYS = ("task", "source", "encoder", "seed", "learning_rate", "examples", "baseline")  # of the run, kept
KERAS_KIND = "{}, Keras"  # the kind of a file that Keras wrote and runs


@dataclass(frozen=True)
class FinishedRun:
    """A finished run, opened again: its record and recipe, its rows, its classifier."""

    record: dict
    recipe: Parameters
    data: Data
    tokens: dict[str, Tokens]
    classifier: keras.Model
    preprocessor: Preprocessor

    @property
    def whole(self) -> list[list[int]]:
        """List all heads of each layer."""
        return [list(range(heads)) for heads in count_heads(self.classifier)]

    def few(self, rows: int | None) -> tuple[Data, dict[str, Tokens]]:
        """Return the data with some rows of train alone; with all of them where `rows` is None."""
        if rows is None:
            return self.data, self.tokens
        chosen = np.sort(np.random.default_rng(self.recipe.seed).permutation(len(self.data["train"]))[:rows])
        splits = {**self.data.splits, "train": self.data["train"].take(chosen)}
        tokens = {**self.tokens, "train": self.tokens["train"].take(chosen)}
        return Data(self.data.task, self.data.source, splits), tokens


def recipe_of(parameters: CompressionParameters) -> Parameters:
    """Read how the run to compress was trained."""
    record = read_record(Path(parameters.run_dir) / RECORD_FILE, "parameters")
    given = {"run_dir": parameters.output_dir, "cache_dir": parameters.cache_dir}
    if parameters.glue_dir:
        given["glue_dir"] = parameters.glue_dir
    return Parameters.check({**record["parameters"], **given})


def configure_as_trained(parameters: CompressionParameters) -> None:
    """Choose backend, precision and device of this process as the run to compress did."""
    recipe = recipe_of(parameters)
    environment.configure(recipe)
    if recipe.device == "cpu":
        leave_accelerators_alone()
    if recipe.precision == "auto":
        keras.config.set_dtype_policy(auto_precision())


def open_finished_run(parameters: CompressionParameters) -> FinishedRun:
    """Open a finished run that held a part of train out; its number of heads is chosen by that part."""
    recipe = recipe_of(parameters)
    if not recipe.hold_out:
        raise InputError(f"{parameters.run_dir} was trained with hold_out 0; run it with a share of train such as 0.1")
    data = load_data_for(recipe)
    classifier, preprocessor = load_classifier(parameters.run_dir)
    if not any(count_heads(classifier)):
        raise InputError(f"{parameters.run_dir} holds a classifier without heads; there is none to remove")
    tokens = tokenize_data(data, preprocessor, recipe.cache_dir)
    record = read_record(Path(parameters.run_dir) / RECORD_FILE, *RECORD_KEYS)
    return FinishedRun(record, recipe, data, tokens, classifier, preprocessor)


def measure_pruning(run: FinishedRun, parameters: CompressionParameters) -> list[CurvePoint]:
    """Compute the pruning curves: validation scores as heads are pruned, in three orders."""
    return compute_pruning_curve(
        run.classifier, run.data, run.tokens, run.recipe,
        seeds=parameters.pruning_seeds, rows=parameters.pruning_rows, step=parameters.pruning_step,
    )  # fmt: skip


def select(run: FinishedRun, parameters: CompressionParameters) -> Selection:
    """Choose the heads by the held-out rows."""
    data, tokens = run.few(parameters.trial_rows)
    recipe = run.recipe.model_copy(update={"epochs": parameters.trial_epochs})
    return select_heads(run.classifier, data, tokens, recipe, trials=parameters.trials)


@dataclass(frozen=True)
class Retrained:
    """A classifier with some heads: its scores after pruning, and after retraining."""

    kept: list[list[int]]
    before: Scores
    classifier: keras.Model
    training: TrainingResult
    after: Scores


def retrain(run: FinishedRun, kept: list[list[int]], parameters: CompressionParameters) -> Retrained:
    """Fine-tune the classifier with the given heads alone for some more epochs, by the recipe of its run."""
    classifier = keep_heads(run.classifier, kept)
    logits = predict_splits(classifier, run.tokens, [HELD_OUT, *run.data.task.validation], run.recipe)
    before = evaluate(run.data, logits)
    # a checkpoint does not record which heads and weights it began with, so none is left behind
    with tempfile.TemporaryDirectory() as folder:
        recipe = run.recipe.model_copy(update={"epochs": parameters.retrain_epochs, "run_dir": folder})
        training = train(classifier, run.data, run.tokens, recipe)
    losses = {s: {"loss": metrics.loss(run.data.task, run.data[s].labels, logits[s])} for s in logits}
    training.history.insert(0, {"epoch": 0, **losses})
    return Retrained(kept, before, classifier, training, evaluate(run.data, training.logits))


def retrain_selected_and_all(
    run: FinishedRun, selection: Selection, parameters: CompressionParameters
) -> dict[str, Retrained]:
    """Retrain the selected heads alone and, to compare, all of them for as many steps."""
    return {
        SELECTED_HEADS: retrain(run, selection.kept, parameters),
        ALL_HEADS: retrain(run, run.whole, parameters),
    }


def compare_retrained(run: FinishedRun, retrained: dict[str, Retrained]) -> list[PairedDifference]:
    """Compare the selected heads, retrained, with all heads, retrained, on the same rows of each validation split."""
    sides = [retrained[name].training.logits for name in (ALL_HEADS, SELECTED_HEADS)]
    return [
        difference
        for split in run.data.task.validation
        for difference in paired_differences(
            run.data.task, split, run.data[split].labels, *([logits[split]] for logits in sides)
        )
    ]


def write_files(run: FinishedRun, retrained: dict[str, Retrained], parameters: CompressionParameters) -> list[dict]:
    """Write the run's classifier and the pruned one as LiteRT files, the first as Keras files too; measure each file.

    A file is measured by running it over all of validation.
    """
    models = {ALL_HEADS: run.classifier, SELECTED_HEADS: retrained[SELECTED_HEADS].classifier}
    folder, rows = Path(parameters.output_dir), []
    folder.mkdir(parents=True, exist_ok=True)
    sample = run.tokens["train"].take(np.arange(min(CALIBRATION_ROWS, len(run.tokens["train"]))))
    kinds = [kind for kind in LITERT_KINDS if kind != STATIC or len(sample) >= MIN_CALIBRATION_ROWS]
    if STATIC not in kinds:
        print(f"no {STATIC} file: train has {len(sample)} rows, and its ranges take {MIN_CALIBRATION_ROWS}", flush=True)
    for name, model in models.items():
        for kind in kinds:
            path = folder / f"{name}-{kind}.tflite".replace(" ", "-")
            convert_to_litert(model, path, kind, run.recipe.max_length, sample)
            rows.append({"model": name, "kind": kind, **measured(run, path, litert_runtime.measure)})
    for kind in parameters.keras_kinds:
        path = folder / f"{ALL_HEADS}-{kind}.keras".replace(" ", "-")
        keras_quantization.store_in_type(run.classifier, kind).save(path)
        rows.append(
            {"model": ALL_HEADS, "kind": KERAS_KIND.format(kind), **measured(run, path, keras_quantization.measure)}
        )
    for row in rows:
        size, latency = row["bytes"] / 1e6, 1000 * row["latency"]["1"]
        print(f"{row['model']}, {row['kind']}: {size:.2f} MB, {latency:.2f} ms a row", flush=True)
    return rows


def measured(run: FinishedRun, path: Path, measure) -> dict:
    """Run a file over every validation split; give what was measured, and its scores."""
    row = {"file": path.name, "metrics": {}, "interval": {}}
    for split in run.data.task.validation:
        facts, logits = measure(path, run.tokens[split])
        scores = evaluate(run.data, {split: logits})
        row |= facts
        row["metrics"] |= scores.metrics
        row["interval"] |= scores.interval
    return row


def write_compression(
    run: FinishedRun, parameters: CompressionParameters, points: list[CurvePoint], selection: Selection,
    retrained: dict[str, Retrained], files: list[dict],
) -> Path:  # fmt: skip
    """Write all that was found as `compression.json`."""
    found = {
        **{key: run.record[key] for key in RECORD_KEYS},
        "own_task": run.record.get("own_task"),
        "run_finished": run.record.get("finished"),  # by which another run in its place is known
        "epochs": run.recipe.epochs,
        "heads": count_heads(run.classifier),
        "pruning_curve": [{**asdict(point), "heads": point.heads} for point in points],
        "selection": {
            "reference": selection.reference,
            "error": selection.error,
            "trials": [{**asdict(trial), "heads": trial.heads} for trial in selection.trials],
            "kept": selection.kept,
        },
        "retrained": {
            name: {
                "kept": one.kept, "before": asdict(one.before), "after": asdict(one.after),
                "history": one.training.history,
            }
            for name, one in retrained.items()
        },
        "pruning_gain": [asdict(one) for one in compare_retrained(run, retrained)],
        "files": files,
        "environment": environment.describe_environment(current_device()),
        "parameters": parameters.model_dump(exclude={"run_dir", "output_dir", "glue_dir", "cache_dir"}),
    }  # fmt: skip
    return write_json(Path(parameters.output_dir) / COMPRESSION_FILE, found)

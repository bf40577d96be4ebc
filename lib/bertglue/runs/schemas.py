"""What pages and commands read of the files that runs leave: their keys, types and ranges.

Keys beyond these pass, so that other versions' files stay readable. A reader that needs a part alone does not mind that
the rest is missing, but whatever is there has to be of the right type.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import PurePosixPath
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, ValidationInfo, field_validator

from bertglue.checked_files import FileSchema, lacking, unfit
from bertglue.data.dataset import HELD_OUT
from bertglue.errors import InputError
from bertglue.own_tasks import CLASS_METRICS, MOST_LABELS, OWN_NAME, SCORE_METRICS, check_own_name, task_of_record
from bertglue.tasks import AX, TASKS, Task

MOST_LOSS = 1e30  # a squared error, of scores that may be large
ROUNDING = 1e-6  # by which a score may leave its range
METRIC_RANGES = {
    **dict.fromkeys(("accuracy", "f1", "macro_f1", "calibration_error"), (0.0, 1.0)),
    **dict.fromkeys(("matthews", "pearson", "spearman"), (-1.0, 1.0)),
    "loss": (0.0, MOST_LOSS),
}
FILE_NAME_LENGTH = 255
ALL_HEADS, SELECTED_HEADS = "all heads", "selected heads"  # the models of a compression
PRUNING_ORDERS = ("gradient", "magnitude", "random")
LATENCIES_SHOWN = ("1", "32")  # by rows of a batch


def known_task(name: str, info: ValidationInfo) -> str:
    """Check that a task is GLUE's, or one's own that is described beside its name."""
    if info.data.get("own_task"):
        try:
            return check_own_name(name)
        except InputError as error:
            raise unfit(str(error)) from None
    if name not in TASKS:
        raise unfit(f"{name[:40]!r} is none of {', '.join(TASKS)}")
    return name


def inside(folder: str) -> str:
    """Check that a folder's name leads nowhere but below the place that it is relative to."""
    path = PurePosixPath(folder)
    if path.is_absolute() or ".." in path.parts or "\0" in folder or any(len(p) > FILE_NAME_LENGTH for p in path.parts):
        raise unfit(f"{folder[:80]!r} is no folder below this one")
    return folder


def in_range(values: dict[str, float]) -> dict[str, float]:
    for name, value in values.items():
        low, high = METRIC_RANGES.get(name, (-1e12, 1e12))
        if not low - ROUNDING <= value <= high + ROUNDING:
            raise unfit(f"{name} is {value}, and lies between {low:g} and {high:g}")
    return values


def bounds_in_range(values: dict[str, list[float]]) -> dict[str, list[float]]:
    for name, (low, high) in values.items():
        in_range({name: low})
        in_range({name: high})
        if low > high:
            raise unfit(f"{name} reaches from {low} down to {high}")
    return values


def not_empty(counts: dict[str, int] | list[int]):
    if not sum(counts.values() if isinstance(counts, dict) else counts):
        raise unfit("there are no rows")
    return counts


Text = Annotated[str, Field(max_length=1000)]
TaskName = Annotated[str, AfterValidator(known_task)]
Folder = Annotated[Text, AfterValidator(inside)]
Count = Annotated[int, Field(ge=0, le=10**12)]
Steps = Annotated[int, Field(ge=1, le=10**7)]
Size = Annotated[int, Field(ge=1, le=10**9)]
Seconds = Annotated[float, Field(ge=0, le=1e9)]
Rate = Annotated[float, Field(ge=0, le=1e12)]
LearningRate = Annotated[float, Field(gt=0, le=1e6)]
Share = Annotated[float, Field(ge=0, lt=1)]
Seed = Annotated[int, Field(ge=0, le=2**64)]
Metrics = Annotated[dict[str, float], AfterValidator(in_range)]
Bounds = Annotated[list[float], Field(min_length=2, max_length=2)]
Intervals = Annotated[dict[str, Bounds], AfterValidator(bounds_in_range)]
Labels = Annotated[dict[Text, Count], Field(max_length=MOST_LABELS), AfterValidator(not_empty)]
Heads = list[Annotated[int, Field(ge=0, le=1000)]]  # of each layer
KeptHeads = list[list[Count]]


def need(values: dict, names, of: str = "") -> None:
    """Raise an error that names the first of the keys that is not there."""
    for name in names:
        if name not in values:
            raise lacking(f"{of}{name}")


def need_scores(task: Task, scores: dict[str, dict]) -> None:
    """Check that every split of a task that is scored has each of its metrics, and that validation is scored."""
    need(scores, task.validation)
    for split in {*task.validation, HELD_OUT, "ax"} & scores.keys():
        need(scores[split], (AX if split == "ax" else task).metrics, f"{split}.")


def task_of(info: ValidationInfo) -> Task | None:
    """Return the task of the object that is validated; None where that is wrong itself."""
    if context := (info.context or {}).get("task"):
        return context
    known = info.data.get("task")
    return task_of_record({**info.data, "own_task": described(info)}) if known else None


def described(info: ValidationInfo) -> dict | None:
    own = info.data.get("own_task")
    return own.model_dump() if own else None


class OwnTask(FileSchema):
    """A task of one's own: what its columns, classes and metrics are."""

    title: Text
    columns: Annotated[list[Text], Field(min_length=1, max_length=2)]
    labels: Annotated[list[Text], Field(max_length=MOST_LABELS)]
    metrics: Annotated[list[Literal[*CLASS_METRICS, *SCORE_METRICS]], Field(min_length=1)]
    validation: list[Literal["validation"]]
    test: list[Literal["test"]]


class OfTask(FileSchema):
    """Something that belongs to a task; its validators find it, because it comes first."""

    own_task: OwnTask | None = None  # what a name that is not GLUE's means
    task: TaskName


class Scored(FileSchema):
    """The scores of a classifier: of each split and metric the value, its interval and its baseline."""

    metrics: dict[str, Metrics]
    interval: dict[str, Intervals]
    baseline: dict[str, Metrics]

    @field_validator("metrics")
    @classmethod
    def of_the_task(cls, found: dict, info: ValidationInfo) -> dict:
        if task := task_of(info):
            need_scores(task, found)
        return found

    @field_validator("interval", "baseline")
    @classmethod
    def of_each_score(cls, found: dict, info: ValidationInfo) -> dict:
        for split, values in info.data.get("metrics", {}).items():
            need(found, [split])
            need(found[split], values, f"{split}.")
        return found


class EpochRow(FileSchema):
    """An epoch of a history: loss and metrics of each split."""

    epoch: Count
    train: Metrics = None
    held_out: Metrics = None
    validation: Metrics = None
    validation_matched: Metrics = None
    validation_mismatched: Metrics = None


class CurvePoint(FileSchema):
    """A point of the curve within the epochs; a mean over few rows is off by rounding."""

    step: Steps
    loss: Annotated[float, Field(ge=-1, le=MOST_LOSS)]
    accuracy: Annotated[float, Field(ge=-ROUNDING, le=1 + ROUNDING)] = None


class Trained(FileSchema):
    """A training: its history, the curve within the epochs, and the epoch that was kept."""

    history: Annotated[list[EpochRow], Field(min_length=1)]
    curve: Annotated[list[CurvePoint], Field(min_length=1)]

    @field_validator("history")
    @classmethod
    def of_the_splits(cls, rows: list[EpochRow], info: ValidationInfo) -> list[EpochRow]:
        if task := task_of(info):
            beside = [] if task.regression else ["accuracy", "calibration_error"]
            for row in rows:
                need(row.model_fields_set, ("train", *task.validation))
                need(row.train, ["loss", *beside[:1]], "train.")
                for split in task.validation:
                    need(getattr(row, split), ["loss", *task.metrics, *beside], f"{split}.")
        return rows

    @field_validator("curve")
    @classmethod
    def as_long_as_the_history(cls, points: list[CurvePoint], info: ValidationInfo) -> list[CurvePoint]:
        if (points[-1].step if points else 0) < len(info.data.get("history", ())):
            raise unfit("it has fewer steps than the history has epochs")
        return points


class ResumedTraining(Trained):
    """The training that `resume.npz` goes on with; validated for a task, {"task": it}.

    In its first epoch there is no history yet.
    """

    history: list[EpochRow]
    curve: list[CurvePoint]
    seconds: list[Seconds]
    evaluate_seconds: Seconds
    kept: Count
    predict_seconds: dict[str, Seconds]


class ResumedProgress(FileSchema):
    """The progress of an epoch up to the last point of its curve."""

    steps: Count
    rows: Count
    loss: Annotated[float, Field(ge=-1, le=MOST_LOSS)]
    accuracy: Annotated[float, Field(ge=0, le=1 + ROUNDING)]


class ResumedPlace(FileSchema):
    """The place within an epoch that `resume.npz` goes on from; step 0 where the last epoch was whole."""

    step: Count
    seconds: Seconds
    seen: ResumedProgress


class Lengths(FileSchema):
    """The lengths of a split's rows, in tokens."""

    median: Rate
    p95: Rate
    longest: Count
    width: Size
    histogram: Annotated[list[Count], Field(max_length=10**5), AfterValidator(not_empty)]


class EncoderSizes(FileSchema):
    """The sizes of an encoder."""

    hidden_size: Size
    intermediate_size: Size
    vocabulary_size: Size
    max_positions: Size
    heads: Annotated[Heads, Field(min_length=1)]


class ModelSizes(FileSchema):
    """The sizes of a classifier's encoder, and the parameters of each part."""

    sizes: EncoderSizes
    parameters: dict[str, Count]


class EncoderOrigin(FileSchema):
    """Where an encoder comes from, and the digest of its configuration and weights."""

    place: Text
    revision: Text | None
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None


class Timing(FileSchema):
    """The times of a run [s], and examples a second."""

    tokenize: Seconds
    first_epoch: Seconds
    steady_epoch: Annotated[float, Field(gt=0, le=1e9)]
    epochs: list[Seconds]
    evaluate: Seconds
    predict: dict[str, Seconds]
    train_examples_per_second: Rate
    evaluate_examples_per_second: Rate


class Environment(FileSchema):
    """Where a run was made."""

    device: Text
    machine: Text
    commit: Text | None
    versions: dict[Text, Text]
    seconds: Seconds
    peak_memory_mb: Count
    devices: Count = 1
    precision: Text | None = None
    threads: Annotated[int, Field(ge=1, le=10**6)] | None = None


class RecordedParameters(FileSchema):
    """The parameters of a run, as far as pages show them."""

    task: Text
    warmup_fraction: Share
    weight_decay: Rate
    dropout: Share
    encoder_dropout: Share
    train_rows: Size | None = None


class RunRecord(Trained, Scored, OfTask):
    """`record.json`."""

    source: Text
    encoder: Text
    backend: Text
    seed: Seed
    learning_rate: LearningRate
    epochs: Steps
    batch_size: Size
    max_length: Size
    examples: dict[str, Count]
    labels: dict[str, Labels]
    lengths: dict[str, Lengths]
    model: ModelSizes
    encoder_origin: EncoderOrigin | None
    kept_epoch: Steps
    timing: Timing
    environment: Environment
    parameters: RecordedParameters
    finished: Text

    @field_validator("examples")
    @classmethod
    def of_each_split(cls, found: dict, info: ValidationInfo) -> dict:
        need(found, ["train", *info.data.get("metrics", ())])
        return found

    @field_validator("labels")
    @classmethod
    def of_train_and_validation(cls, found: dict, info: ValidationInfo) -> dict:
        if task := task_of(info):
            need(found, ["train", *task.validation])
        return found

    @field_validator("lengths")
    @classmethod
    def of_splits_that_are_counted(cls, found: dict, info: ValidationInfo) -> dict:
        need(found, ["train"])
        need(info.data.get("examples", found), found, "examples of ")
        return found

    @field_validator("kept_epoch")
    @classmethod
    def of_the_history(cls, epoch: int, info: ValidationInfo) -> int:
        if epoch > len(info.data.get("history", range(epoch))):
            raise unfit(f"the history has no epoch {epoch}")
        return epoch

    @field_validator("timing")
    @classmethod
    def of_each_epoch(cls, timing: Timing, info: ValidationInfo) -> Timing:
        if len(timing.epochs) != len(info.data.get("history", timing.epochs)):
            raise unfit("epochs are not as many as in the history")
        return timing

    @field_validator("parameters")
    @classmethod
    def of_this_task(cls, parameters: RecordedParameters, info: ValidationInfo) -> RecordedParameters:
        if parameters.task != info.data.get("task", parameters.task):
            raise unfit(f"task is {parameters.task}, and beside them it is {info.data['task']}")
        return parameters


class ListedRecord(RunRecord):
    """An item of `results.json`: a record, and the folder where the run is."""

    run: Folder


class State(FileSchema):
    """What became of a run or a compression, of a task of GLUE or of one's own."""

    task: Annotated[Text, Field(pattern=f"^{OWN_NAME.pattern}$")]
    run: Folder
    state: Text
    reason: str
    learning_rate: LearningRate = None
    seed: Seed = None


class Status(FileSchema):
    """`status.json`."""

    runs: list[State]
    compressions: list[State]


TextRow = dict[str, str]
ANSWERS = ("label", "prediction", "probability")  # what is shown beside a text


def shown_columns(names: Iterable[str]) -> list[str]:
    """Name columns of text beside those of the label and of the prediction, which may not take their names."""
    return [f"{name} (text)" if name in ANSWERS else name for name in names]


class TextSamples(FileSchema):
    """`texts.json`; validated for a task, {"task": it}."""

    first: dict[str, list[TextRow]] = None
    hardest: dict[str, list[TextRow]] = None
    samples: list[TextRow] = None

    @field_validator("hardest")
    @classmethod
    def of_the_columns(cls, found: dict, info: ValidationInfo) -> dict:
        for split, rows in found.items():
            for row in rows:
                need(row, shown_columns(task_of(info).columns), f"{split}.")
        return found


class PruningPoint(FileSchema):
    """A point of a pruning curve."""

    order: Text
    seed: Seed
    heads: Count
    scores: dict[str, Metrics]


class Trial(FileSchema):
    """A selection of heads that was tried."""

    strength: Rate
    score: float
    kept: KeptHeads


class HeadSelection(FileSchema):
    """The heads that were selected, and what was tried."""

    reference: float
    error: Rate
    trials: list[Trial]
    kept: KeptHeads


class RetrainedModel(FileSchema):
    """A classifier before and after it was retrained."""

    kept: KeptHeads
    before: Scored
    after: Scored
    history: Annotated[list[EpochRow], Field(min_length=1)]


class PruningGain(FileSchema):
    """What the selected heads score above all of them, both retrained, with its 95 % interval over the same rows."""

    split: Text
    metric: Text
    gain: float
    low: float
    high: float


class MeasuredFile(FileSchema):
    """A file of a compressed classifier, and what was measured of it."""

    model: Text
    kind: Text
    bytes: Count
    peak_memory_mb: Rate | None
    latency: dict[str, Seconds]
    metrics: dict[str, Metrics]
    interval: dict[str, Intervals]


class CompressionRecord(OfTask):
    """`compression.json`."""

    encoder: Text
    seed: Seed
    heads: Annotated[Heads, AfterValidator(not_empty)]
    baseline: dict[str, Metrics]
    epochs: Steps
    pruning_curve: list[PruningPoint]
    selection: HeadSelection
    retrained: dict[str, RetrainedModel]
    pruning_gain: list[PruningGain] = Field(default=[])  # none in records of before it was measured
    files: list[MeasuredFile]

    @field_validator("baseline")
    @classmethod
    def of_the_metric(cls, found: dict, info: ValidationInfo) -> dict:
        need_main_score(found, info)
        return found

    @field_validator("pruning_curve")
    @classmethod
    def of_every_order(cls, points: list[PruningPoint], info: ValidationInfo) -> list[PruningPoint]:
        for order in PRUNING_ORDERS:
            counts = Counter(point.seed for point in points if point.order == order)
            if not counts:
                raise lacking(f"the {order} order")
            if len(set(counts.values())) > 1:
                raise unfit(f"the {order} order has not as many points of every seed")
        for point in points:
            need_main_score(point.scores, info)
        return points

    @field_validator("selection")
    @classmethod
    def of_heads_that_are_there(cls, selection: HeadSelection, info: ValidationInfo) -> HeadSelection:
        heads = info.data.get("heads", [])
        if len(selection.kept) != len(heads) or any(
            head >= count for kept, count in zip(selection.kept, heads, strict=True) for head in kept
        ):
            raise unfit("kept names heads that are not there")
        return selection

    @field_validator("retrained")
    @classmethod
    def of_both_models(cls, found: dict[str, RetrainedModel], info: ValidationInfo) -> dict[str, RetrainedModel]:
        need(found, (ALL_HEADS, SELECTED_HEADS))
        for model in found.values():
            for scores in (model.before, model.after):
                need_main_score(scores.metrics, info)
            for row in model.history if (task := task_of(info)) else []:
                need(row.model_fields_set, task.validation[:1])
                need(getattr(row, task.validation[0]), ["loss"], f"{task.validation[0]}.")
        return found

    @field_validator("files")
    @classmethod
    def of_whole_measurements(cls, found: list[MeasuredFile], info: ValidationInfo) -> list[MeasuredFile]:
        for file in found:
            need(file.latency, LATENCIES_SHOWN, "latency ")
            for values in (file.metrics, file.interval):
                need_main_score(values, info)
        return found


def need_main_score(scores: dict[str, dict], info: ValidationInfo) -> None:
    """Check that the score that represents a task is there."""
    if task := task_of(info):
        need(scores, task.validation[:1])
        need(scores[task.validation[0]], task.metrics[:1], f"{task.validation[0]}.")

"""The parameters of a run, checked before anything is loaded."""

from __future__ import annotations

import contextlib
import os
import types
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args, get_origin

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator, model_validator

from bertglue.encoder_names import BUNDLED, default_learning_rate
from bertglue.errors import InputError
from bertglue.own_tasks import (
    CLASS_METRICS,
    MOST_LABELS,
    NUMBER,
    SCORE_METRICS,
    check_metrics,
    check_own_name,
    own_task,
)
from bertglue.tasks import SAMPLES, TASKS, Task, get_task, title_of

Positive = Annotated[int, Field(gt=0, le=2**20)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]  # what NumPy takes
Fraction = Annotated[float, Field(ge=0, lt=1)]
PLACES = ("run_dir", "output_dir", "cache_dir", "folder")  # parameters that name a folder to write
READ_FROM_GLUE_DIR = ("folder", "huggingface")  # sources
# parameters that say how one's own files are read
OF_OWN_FILES = ("columns", "label", "labels", "metrics", "dialect", "validation_share")
READ_FROM = ("glue_dir", "encoder")  # those that may name one to read
Precision = Literal["auto", "float32", "mixed_bfloat16", "mixed_float16"]  # auto: what the device is fastest in
PredictionPrecision = Literal["auto", "float32", "bfloat16", "float16"]  # where no weights are updated, none are mixed


class Checked(BaseModel):
    """Parameters of a notebook; an unknown name or a wrong type is an InputError."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def as_people_write(cls, values: Any) -> Any:
        """Read values as YAML, papermill and a command line hand them over, such as the text `2e-5` for a number."""
        kinds = {name: types_of(field.annotation) for name, field in cls.model_fields.items()}
        read = {name: as_written(value, kinds[name]) if name in kinds else value for name, value in values.items()}
        at_home = (name for name in (*PLACES, *READ_FROM) if str(read.get(name)).startswith("~"))
        return read | {name: os.path.expanduser(read[name]) for name in at_home}

    @classmethod
    def check(cls, values: dict) -> Self:
        """Check a dict of parameters; the InputError names each one that is wrong, in one line."""
        try:
            return cls(**values)
        except ValidationError as error:
            raise InputError("; ".join(explain(cls, detail) for detail in error.errors())) from None

    @classmethod
    def from_notebook(cls, namespace: dict) -> Self:
        """Check the plain values that a notebook has defined so far, those that papermill set included.

        When the cell is run again, values that later cells made are no longer taken for parameters.
        """
        again = namespace.setdefault("_parameters_checked", False)
        values = {
            name: value
            for name, value in namespace.items()
            if name in cls.model_fields or (not again and is_parameter(name, value))
        }
        parameters = cls.check({**values, **cls.places_in_checkout(values)})
        namespace["_parameters_checked"] = True
        return parameters

    @classmethod
    def places_in_checkout(cls, values: dict) -> dict[str, str]:
        """Return the default folders as they are called from a checkout's `notebooks`, where an editor starts a kernel.

        Runs then lie in the checkout's `runs`, wherever the notebook was opened from.
        """
        here = Path.cwd()
        if here.name != "notebooks" or not (here.parent / "Snakefile").is_file():
            return {}
        usual = {name: cls.model_fields[name].default for name in PLACES if name in cls.model_fields}
        return {
            name: str(here.parent / default) for name, default in usual.items() if values.get(name, default) == default
        }

    @classmethod
    def from_files(cls, *paths: str | Path, **values) -> Self:
        """Check the parameters of YAML files, later ones over earlier ones, and `values` over all."""
        merged: dict = {}
        for path in paths:
            merged.update(read_yaml(Path(path)))
        return cls.check({**merged, **values})


class Parameters(Checked):
    """Everything that a run depends on, checked before anything is loaded.

    The defaults are those of the toy profile, and stand here alone. Profiles (`params/profiles`) set every value in
    which they differ, `full` those of the report's recipe.

    Args:
        profile: the name under which the run is filed.
        task: `cola`, `sst2`, `mrpc`, `stsb`, `qqp`, `mnli`, `qnli`, `rte` or `wnli`; or a name of your own, with
            `files`.
        source: `toy`, `folder` (official GLUE files, or parquet), `tfds` (tensorflow-datasets) or `huggingface`
            (parquet, from `glue_dir` or Hugging Face's hub); a task with `files` has `own`.
        glue_dir: the folder that holds `CoLA/`, `MRPC/`, ..., where `source` is `folder`; or `cola/`, ... as parquet.
        files: of a task of your own: `train`, and perhaps `validation` and `test`; CSV, TSV, JSON Lines or parquet.
        columns: its column of text, or the two of a pair; None: those beside the label that number no rows (id, index).
        label: its column of labels.
        labels: its classes in their order, or `number` for a score to regress on; None infers classes from train.
        metrics: `accuracy`, `f1`, `macro_f1`, `matthews`; `pearson`, `spearman`. The first represents the task.
        dialect: of CSV and TSV: `csv`, `semicolon`, `tab` (no quoting) or `excel-tab`; None goes by the file's name.
        validation_share: the share of train that becomes validation, stratified by label, where `files` has none.
        encoder: as for `load_encoder`; none of its code is run.
        preprocessor: a preprocessing SavedModel of TF Hub, whose graph is trusted and run to tokenize and pack; None
            takes the encoder's vocabulary.
        backend: of Keras, `tensorflow` or `jax`; None takes `KERAS_BACKEND`, or JAX where a TPU's library is.
        device: `auto` takes the best that is there; `gpu` also stops where the machine has a GPU that the backend
            cannot use; `cpu` trains on the processor.
        precision: `float32`, `mixed_bfloat16`, `mixed_float16` (mixed precision, the last with loss scaling), or
            `auto`: the one that the device multiplies in fastest.
        batch_size: rows of a training step.
        accumulate: steps whose gradients are accumulated for one update of the weights: that of a batch of
            `batch_size * accumulate` rows, in the memory of `batch_size` rows.
        evaluation_batch_size: rows of a prediction step.
        epochs: passes over train.
        max_length: tokens of a row (sequence length); longer rows are truncated.
        learning_rate: the peak of the schedule; None takes what suits the encoder (`encoder_names`).
        layer_decay: layer-wise learning-rate decay: each layer of the encoder learns at so many times the rate of the
            one above it, the embeddings at the lowest; 1 trains all at the same rate.
        warmup_fraction: the share of updates in which the learning rate rises.
        weight_decay: AdamW's; biases and layer norms have none.
        bias_correction: Adam's; False leaves it out, as BERT's own code did.
        bucketing: length bucketing with dynamic padding; False pads every row to `max_length`.
        bucket_lengths: the lengths that batches are padded to [tokens]; None chooses them by the device.
        hold_out: the share of train kept aside to select hyperparameters on.
        train_rows: rows of train to train on, drawn at random by `seed` from those that `hold_out` leaves; None: all.
        keep: the weights of the `last` epoch, or of the `best` one on the held-out split (else on validation).
        patience: epochs without improvement before early stopping, with the weights that `keep` says; None trains all
            epochs.
        pooling: what the classifier's head reads: `cls`, the pooled output of [CLS], or the `mean` of the last layer
            over the tokens.
        dropout: the rate before the classifier's head.
        encoder_dropout: the rate inside the encoder.
        steps_per_execution: steps in one call of the device.
        save_every: steps from one checkpoint to the next, beside that after each epoch; a killed run resumes from the
            last. None: after each epoch alone.
        seed: of weights, order of rows, dropout, and which `train_rows` are drawn.
        machines: that train together by data parallelism; more than one needs JAX.
        tracking: `wandb` or `mlflow`, beside TensorBoard's files; None sends nothing anywhere.
        run_dir: the folder that the run writes.
        cache_dir: the folder of token ids, which runs share.
        samples: sentences, or pairs of them, to predict at the end; None takes some of the task's own.

    Raises:
        InputError: `check`, `from_files` and `from_notebook` name in one line each unknown, ill-typed or wrong value.

    Source:
        Devlin et al., 2019, arXiv:1810.04805, appendix A.3.

    Example:
        >>> from bertglue import Parameters
        >>> Parameters.check({"task": "rte", "epochs": 3}).learning_rate
        0.0003
        >>> Parameters.check({"task": "rte", "epoch": 3})  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        bertglue.errors.InputError: unknown parameter 'epoch'; the known ones are profile, task, ...
    """

    profile: str = "toy"
    task: str = "sst2"
    source: Literal["toy", "folder", "tfds", "huggingface", "own"] = "toy"
    glue_dir: str | None = None
    files: dict[Literal["train", "validation", "test"], str] | None = Field(default=None, validate_default=True)
    columns: Annotated[list[str], Field(min_length=1, max_length=2)] | None = None
    label: str = "label"
    labels: Annotated[list[str], Field(min_length=2, max_length=MOST_LABELS)] | Literal["number"] | None = None
    metrics: Annotated[list[str], Field(min_length=1)] | None = None
    dialect: Literal["csv", "semicolon", "tab", "excel-tab"] | None = None
    validation_share: Annotated[float, Field(gt=0, lt=1)] = 0.1
    encoder: str = BUNDLED
    preprocessor: str | None = None
    backend: Literal["tensorflow", "jax"] | None = None  # None: what KERAS_BACKEND says
    device: Literal["auto", "gpu", "cpu"] = "auto"
    precision: Precision = "float32"
    batch_size: Positive = 32
    accumulate: Positive = 1
    evaluation_batch_size: Positive = 128
    epochs: Positive = 4
    max_length: Positive = 48
    learning_rate: Annotated[float, Field(gt=0, le=10)] | None = Field(default=None, validate_default=True)
    layer_decay: Annotated[float, Field(gt=0, le=1)] = 1.0
    warmup_fraction: Fraction = 0.1
    weight_decay: Annotated[float, Field(ge=0, le=10)] = 0.01
    bias_correction: bool = True
    bucketing: bool = True
    bucket_lengths: Annotated[list[Positive], Field(min_length=1)] | None = None
    hold_out: Fraction = 0.1
    train_rows: Positive | None = None  # None: all
    keep: Literal["last", "best"] = "last"
    patience: Positive | None = None
    pooling: Literal["cls", "mean"] = "cls"
    dropout: Fraction = 0.1
    encoder_dropout: Fraction = 0.0
    steps_per_execution: Positive = 1
    save_every: Positive | None = None  # None: after each epoch alone
    seed: Seed = 0
    machines: Positive = 1
    tracking: Literal["wandb", "mlflow"] | None = None
    run_dir: str = "runs/notebook"
    cache_dir: str = "runs/cache"
    samples: list[str | list[str]] | None = Field(default=None, validate_default=True)

    @model_validator(mode="before")
    @classmethod
    def from_own_files(cls, values: Any) -> Any:
        """Set the source of a task that comes with files, whatever the profile reads for GLUE's."""
        return {**values, "source": "own", "glue_dir": None} if values.get("files") else values

    @field_validator("files")
    @classmethod
    def of_a_task(cls, files: dict | None, info: ValidationInfo) -> dict | None:
        """Check that a task is GLUE's, or one's own and comes with files."""
        if "task" in info.data:
            (check_own_name if files else get_task)(info.data["task"])
        if files is not None and "train" not in files:
            raise ValueError("files has no train; name the file to train on")
        return files

    @field_validator("labels", mode="before")
    @classmethod
    def named(cls, labels: Any) -> Any:
        """Take numbers for names; `yes` and `no`, which YAML takes for truth values, have to be quoted."""
        if isinstance(labels, str) and labels != NUMBER:
            raise ValueError(f"labels is {labels!r}; list the classes, or write {NUMBER} for a score to regress on")
        if isinstance(labels, list):
            if truths := [label for label in labels if isinstance(label, bool)]:
                raise ValueError(
                    f"labels has {truths[0]}, which YAML makes of yes, no, true and false; put it in quotes"
                )
            labels = [str(label) if isinstance(label, int) else label for label in labels]
            if twice := {label for label in labels if labels.count(label) > 1}:
                raise ValueError(f"labels has {min(twice)!r} twice; name each class once")
        return labels

    @field_validator("columns", "metrics", mode="before")
    @classmethod
    def one_or_more(cls, given: Any) -> Any:
        return [given] if isinstance(given, str) else given

    @field_validator("files", mode="before")
    @classmethod
    def file_or_files(cls, given: Any) -> Any:
        """Take a single file for the one to train on."""
        return {"train": given} if isinstance(given, str) else given

    @property
    def definition(self) -> Task:
        """The task of the run; one of your own has its classes once its files are read, if they are not given."""
        if not self.files:
            return get_task(self.task)
        labels = () if self.labels in (None, NUMBER) else tuple(self.labels)
        return own_task(self.task, tuple(self.columns or ()), labels, tuple(self.metrics or ()), "test" in self.files)

    @model_validator(mode="after")
    def consistent(self) -> Parameters:
        if self.source == "own" and not self.files:
            raise ValueError("source is own, and files is not given; name the files of your task, or another source")
        task = self.definition
        if self.glue_dir and self.source not in READ_FROM_GLUE_DIR:
            raise ValueError(
                f"glue_dir is {self.glue_dir}, and source is {self.source}, which reads no files of yours; set source "
                "to folder (make book: PROFILE=glue or laptop)"
            )
        given = (name for name in OF_OWN_FILES if getattr(self, name) != type(self).model_fields[name].default)
        if not self.files and (name := next(given, None)):
            raise ValueError(f"{name} is given, and {task.title} is GLUE's, which has its own; give files too")
        if self.files and self.labels is not None:
            check_metrics(task.name, task.metrics, task.labels)
        if wrong := [name for name in self.metrics or () if name not in (*CLASS_METRICS, *SCORE_METRICS)]:
            raise ValueError(f"metrics has {wrong[0]!r}; choose from {', '.join((*CLASS_METRICS, *SCORE_METRICS))}")
        if twice := {name for name in self.columns or () if self.columns.count(name) > 1}:
            raise ValueError(f"columns has {min(twice)!r} twice; name two columns for a pair, or one")
        if self.label in (self.columns or ()):
            raise ValueError(f"label is {self.label!r}, which is among columns too; a text is no label")
        shortest = 1 + 2 * len(task.columns)  # [CLS], and of each segment a token and [SEP]
        if self.max_length < shortest:
            raise ValueError(f"max_length is {self.max_length}, and {task.title} needs {shortest} tokens or more")
        if self.machines > 1 and self.backend == "tensorflow":
            raise ValueError(f"machines is {self.machines}, and TensorFlow trains on one; set backend to jax")
        return self

    @field_validator("learning_rate")
    @classmethod
    def that_suits_the_encoder(cls, rate: float | None, info: ValidationInfo) -> float:
        return rate or default_learning_rate(info.data.get("encoder", BUNDLED))

    @field_validator("samples")
    @classmethod
    def of_the_task(cls, samples: list | None, info: ValidationInfo) -> list | None:
        name = info.data.get("task")
        if columns := TASKS[name].columns if name in TASKS else info.data.get("columns"):
            check_samples(samples, name, columns)
        return SAMPLES.get(name) if samples is None else samples


def check_samples(samples: list | None, task: str, columns: Sequence[str]) -> None:
    """Check that samples have as many texts as a task has columns."""
    for sample in samples or []:
        texts = 1 if isinstance(sample, str) else len(sample)
        if texts != len(columns):
            raise InputError(
                f"samples has {sample!r}, and {title_of(task)} takes {len(columns)} ({' and '.join(columns)}); "
                "give as many texts, or None for some of the task's own"
            )


SHORTEST_STAGE = 11  # tokens of a sequence: three special ones, and eight of a short pair
Lengths = Annotated[list[Annotated[list[Positive], Field(min_length=2, max_length=2)]], Field(min_length=1)]


class PretrainingParameters(Checked):
    """Text, sizes and recipe of a pre-training.

    Args:
        texts: files of plain text, one paragraph a line and a blank line between documents; .xz and .gz are read too.
        folder: where the vocabulary, the packed text, the checkpoints and the encoder lie.
        vocabulary_size: word pieces of the vocabulary that is learned from the text.
        backend: of Keras; None takes `KERAS_BACKEND`, or Keras's default.
        precision: as of fine-tuning.
        hidden_size: of the encoder.
        intermediate_size: of its feed-forward networks.
        heads: of attention, of each layer.
        max_positions: tokens of the longest sequence that the encoder can read.
        stages: length and steps of each stage, the shorter sequences first.
        batch_size: sequences of a training step.
        accumulate: gradient accumulation: batches for one update of the weights.
        learning_rate: the peak of the schedule.
        warmup_fraction: the share of updates in which the learning rate rises.
        weight_decay: AdamW's.
        whole_words: mask all pieces of a word together.
        seed: of weights, masks and the order of sequences.
        save_every: steps from one checkpoint to the next.
        evaluate_batches: of held-out text, at each checkpoint.
    """

    texts: list[str] = Field(default=[])
    folder: str = "runs/pretraining"
    vocabulary_size: Annotated[int, Field(ge=1000, le=65_535)] = 8192
    backend: Literal["tensorflow", "jax"] | None = None
    precision: Precision = "float32"
    hidden_size: Positive = 128
    intermediate_size: Positive = 512
    heads: Annotated[list[Positive], Field(min_length=1)] = Field(default=[4, 4])
    max_positions: Positive = 128
    stages: Lengths = Field(default=[[64, 9000], [128, 1000]])
    batch_size: Positive = 256
    accumulate: Positive = 1
    learning_rate: Annotated[float, Field(gt=0, le=10)] = 1e-3
    warmup_fraction: Fraction = 0.05
    weight_decay: Annotated[float, Field(ge=0)] = 0.01
    whole_words: bool = True
    seed: Seed = 0
    save_every: Positive = 250
    evaluate_batches: Positive = 8

    @model_validator(mode="after")
    def fits(self) -> PretrainingParameters:
        longest = max(length for length, _ in self.stages)
        if longest > self.max_positions:
            raise ValueError(f"stages reach {longest} tokens, and max_positions is {self.max_positions}; raise it")
        if (shortest := min(length for length, _ in self.stages)) < SHORTEST_STAGE:
            raise ValueError(f"stages has a length of {shortest}; give {SHORTEST_STAGE} or more, room for a pair")
        if self.hidden_size % self.heads[0]:
            raise ValueError(f"hidden_size is {self.hidden_size}; give a multiple of the {self.heads[0]} heads")
        return self

    @property
    def steps(self) -> int:
        return sum(steps for _, steps in self.stages)

    def stage(self, step: int) -> tuple[int, int]:
        """Return the length of a step's sequences and the step at which its stage ends."""
        end = 0
        for length, steps in self.stages:
            end += steps
            if step < end:
                return length, end
        raise InputError(f"step is {step}, and the stages have {self.steps}; give longer stages")


class CompressionParameters(Checked):
    """Parameters of a compression: what is tried on a finished run, and how thoroughly.

    Args:
        run_dir: the folder of the finished run.
        output_dir: the folder that is written.
        glue_dir: the folder of the GLUE files, if they lie elsewhere than the run found them.
        cache_dir: the folder of token ids, which runs share.
        pruning_seeds: random orders, and samples of train to measure gradients on.
        pruning_rows: rows of train in such a sample.
        pruning_step: heads pruned at a time.
        trials: strengths of the penalty on gates that are tried.
        trial_rows: rows of train in a trial; None takes all.
        trial_epochs: epochs of a trial.
        retrain_epochs: epochs of retraining.
        keras_kinds: Keras files beside the LiteRT files.
    """

    run_dir: str = "runs/notebook"
    output_dir: str = "runs/compressed"
    glue_dir: str | None = None
    cache_dir: str = "runs/cache"
    pruning_seeds: Positive = 3
    pruning_rows: Positive = 256
    pruning_step: Positive = 1
    trials: Positive = 5
    trial_rows: Positive | None = 2400  # None: all
    trial_epochs: Positive = 1
    retrain_epochs: Positive = 1
    keras_kinds: list[Literal["float16", "bfloat16", "int8"]] = []

    @model_validator(mode="after")
    def apart(self) -> CompressionParameters:
        if Path(self.output_dir).resolve() == Path(self.run_dir).resolve():
            raise ValueError(f"output_dir is {self.output_dir}, the folder of the run itself; give another one")
        return self


def types_of(annotation) -> set[type]:
    """Return the plain types that an annotation admits, those of a literal's values among them."""
    if get_origin(annotation) is Literal:
        return {type(value) for value in get_args(annotation)}
    if get_origin(annotation) in (list, dict):
        return {get_origin(annotation)}
    inner = get_args(annotation)[:1] if get_origin(annotation) is Annotated else get_args(annotation)
    return set().union(*map(types_of, inner)) if inner else {annotation}


def as_written(value, kinds: set[type]):
    """Convert a text to the number or the None that it spells, and a number to a name, where the parameter is one."""
    if isinstance(value, str) and types.NoneType in kinds and value in ("None", "null", "~"):
        return None
    if isinstance(value, str) and str not in kinds:
        for number in {int, float} & kinds:
            with contextlib.suppress(ValueError):
                return number(value)
    return str(value) if type(value) is int and str in kinds else value


def is_parameter(name: str, value) -> bool:
    """Return whether a name of a notebook's namespace is a parameter, not IPython's or a later cell's."""
    if name.startswith("_") or name in ("In", "Out"):
        return False
    return type(value) in (bool, int, float, str, list, dict, types.NoneType)


def read_given(words: Iterable[str]) -> dict:
    """Read the words `name=value` of a command line, each value as YAML."""
    given = {}
    for name, equals, value in (word.partition("=") for word in words):
        if not equals:
            raise InputError(f"--parameter {name} has no value; give name=value")
        try:
            given[name] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            said = " ".join(str(error).split())
            raise InputError(f"--parameter {name}={value} is not YAML ({said}); quote it: {name}='\"...\"'") from None
    return given


def read_yaml(path: Path) -> dict:
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; the parameter files are under params/") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(values, dict):
        raise InputError(f"{path} holds no `name: value` lines")
    if odd := [name for name in values if not isinstance(name, str)]:  # YAML makes numbers and truth values of some
        raise InputError(f"{path}: {odd[0]!r} is no parameter's name; indent what belongs to the line above it")
    return values


def explain(kind: type[Checked], detail: dict) -> str:
    """Format one of pydantic's errors: which parameter, what it is, what it must be."""
    name = ".".join(str(part) for part in detail["loc"])
    if detail["type"] == "extra_forbidden":
        return f"unknown parameter {name!r}; the known ones are {', '.join(kind.model_fields)}"
    if detail["type"] == "value_error":
        return str(detail["ctx"]["error"])
    return f"parameter {name} is {detail['input']!r}: {detail['msg'].lower()}"

"""Follow a run where people follow theirs: TensorBoard's files in its folder, always; W&B or MLflow, if asked."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np

from bertglue.errors import InputError
from bertglue.parameters import Parameters
from bertglue.runs.record import LEFT_BY_RUNS

TENSORBOARD_FOLDER = "tensorboard"  # the folder in that of the run
EVENTS_SUFFIX = ".bertglue"  # of the files that are a run's; others in the folder stay
TRACKING_PROJECT = "bertglue"


class Tracker(Protocol):
    """Takes the scalars of each epoch, {"split/metric": value}, and is closed at the end."""

    def log(self, scalars: dict[str, float], epoch: int) -> None: ...

    def close(self, failed: bool = False) -> None: ...


class TensorBoard:
    """Event files, which `tensorboard --logdir runs` shows; writing them needs no more than TensorFlow."""

    def __init__(self, folder: Path):
        import tensorflow as tf

        plugin = tf.compat.v1.SummaryMetadata.PluginData(plugin_name="scalars")
        self.kind = tf.compat.v1.SummaryMetadata(plugin_data=plugin)
        self.write = tf.summary.write
        self.writer = tf.summary.create_file_writer(str(folder / TENSORBOARD_FOLDER), filename_suffix=EVENTS_SUFFIX)

    def log(self, scalars, epoch):
        with self.writer.as_default(step=epoch):
            for name, value in scalars.items():
                self.write(name, np.float32(value), metadata=self.kind)
        self.writer.flush()

    def close(self, failed=False):
        self.writer.close()


class WandB:
    """A run of Weights & Biases, on its servers unless WANDB_MODE says otherwise."""

    def __init__(self, name: str, settings: dict):
        self.run = imported("wandb").init(project=TRACKING_PROJECT, name=name, config=settings)

    def log(self, scalars, epoch):
        self.run.log(scalars, step=epoch)

    def close(self, failed=False):
        self.run.finish(exit_code=int(failed))


class MLflow:
    """A run of MLflow, where MLFLOW_TRACKING_URI says, or in a folder here."""

    def __init__(self, name: str, settings: dict):
        self.mlflow = imported("mlflow")
        self.mlflow.set_experiment(TRACKING_PROJECT)
        self.mlflow.start_run(run_name=name)
        self.mlflow.log_params(settings)

    def log(self, scalars, epoch):
        self.mlflow.log_metrics({name: float(value) for name, value in scalars.items()}, step=epoch)

    def close(self, failed=False):
        self.mlflow.end_run("FAILED" if failed else "FINISHED")


def imported(package: str):
    try:
        return __import__(package)
    except ImportError:
        raise InputError(f"tracking is {package!r}, which is not installed; pip install {package}") from None


def trackers(parameters: Parameters, fresh: bool) -> list[Tracker]:
    """Open what a run is followed with; without `tracking` nothing leaves this machine.

    A fresh run takes the files of an earlier one in its folder away; one that resumes goes on with its own.
    """
    if fresh:
        folder = Path(parameters.run_dir)
        ours = "events.*" if any((folder / name).exists() for name in LEFT_BY_RUNS) else f"events.*{EVENTS_SUFFIX}"
        for file in (folder / TENSORBOARD_FOLDER).glob(ours):
            file.unlink()
    name = f"{parameters.task} lr{parameters.learning_rate:g} seed{parameters.seed}"
    settings = parameters.model_dump(exclude={"run_dir", "cache_dir", "glue_dir", "samples"})
    found: list[Tracker] = [TensorBoard(Path(parameters.run_dir))]
    if parameters.tracking:
        found.append({"wandb": WandB, "mlflow": MLflow}[parameters.tracking](name, settings))
    return found


def scalars(row: dict) -> dict[str, float]:
    """Flatten a row of the history, {"epoch": 1, "train": {"loss": ...}, ...}."""
    splits = {split: values for split, values in row.items() if split != "epoch"}
    return {f"{split}/{name}": value for split, values in splits.items() for name, value in values.items()}

"""The units of the reference run: what each one runs, what it waits for, what is chosen by it, and what is kept of it.

`params/reference.yaml` is the plan; `benchmarks/reference.smk` holds the rules that run it (`make reference`).
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import shlex
import subprocess
import sys
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import Field

from bertglue.atomic_files import write_text
from bertglue.data.dataset import HELD_OUT
from bertglue.environment import THREADS_VARIABLE, processor_model
from bertglue.errors import InputError, exit_status
from bertglue.evaluation.aggregate import learning_rate_score
from bertglue.parameters import Checked, read_yaml
from bertglue.runs.execute import START_TIMEOUT
from bertglue.runs.record import (
    COMPRESSION_FILE,
    LOGITS_FILE,
    RECORD_FILE,
    read_arrays,
    read_compression,
    read_record,
    write_arrays,
)
from bertglue.tasks import TASKS

PLAN_FILE = Path("params/reference.yaml")
RUNS = "runs/reference"
RECORDS = Path("lib/bertglue/report/measured/reference")  # in this checkout: what is kept of each unit
LOGITS = Path("benchmarks/reference")  # the same, beside the package: too much for a wheel
PEERS_READY = ".peers/ready"  # of the environment that PyTorch and transformers are in
COMPRESS_NOTEBOOK = "notebooks/compress.ipynb"
RUNNERS = {  # what runs a unit: this project, Hugging Face's Trainer, or the notebook that compresses a run
    "bertglue": ["bertglue", "run"],
    "trainer": [".peers/bin/python", "benchmarks/reference_trainer.py"],
    "compression": ["papermill", "--no-progress-bar", "--start-timeout", str(START_TIMEOUT), COMPRESS_NOTEBOOK],
}
NOT_KEPT = {"glue_dir", "samples"}  # where the files lay is nobody's business, and the samples are the task's own
SELECTING = ("rate", "epochs")  # the stages whose held-out scores choose
CHOSEN_FILES = "params/tasks/{profile}/{task}.yaml"


class Stage(Checked):
    """Some units of the plan: one for each task and each value of the one parameter in `each`."""

    name: str
    title: str
    tasks: list[str]
    each: Annotated[dict[str, list], Field(min_length=1, max_length=1)]
    parameters: dict = Field(default={})
    chosen: list[Literal["learning_rate", "epochs"]] = Field(default=[])
    encoder_of: str | None = None
    compresses: str | None = None
    by: Literal["bertglue", "trainer"] = "bertglue"


class Plan(Checked):
    """The file of the plan: the profile that its units are over, and its stages in their order."""

    profile: str
    stages: list[dict]


@dataclass(frozen=True)
class Unit:
    """One run of the plan: `name` is `stage/task-value`, `parameters` are over those of the profile."""

    name: str
    title: str
    task: str
    profile: str
    parameters: dict = field(default_factory=dict)
    chosen: tuple[str, ...] = ()
    encoder_of: str | None = None
    compresses: str | None = None
    by: str = "bertglue"

    @property
    def stage(self) -> str:
        return self.name.split("/")[0]

    @property
    def folder(self) -> str:
        """The folder of its run."""
        return f"{RUNS}/{self.name}"

    @property
    def finished(self) -> str:
        """The file that its run ends with."""
        return f"{self.folder}/{COMPRESSION_FILE if self.compresses else RECORD_FILE}"

    @property
    def begins_with(self) -> str | None:
        """The unit whose run it needs."""
        return self.compresses or self.encoder_of

    @property
    def chosen_file(self) -> str:
        """The file of the values that were chosen for its task."""
        return CHOSEN_FILES.format(profile=self.profile, task=self.task)

    @property
    def waits_for_all(self) -> bool:
        """Whether everything that is chosen has to be chosen before it runs."""
        return set(self.chosen) == {"learning_rate", "epochs"}


@cache
def read_units(path: Path = PLAN_FILE) -> dict[str, Unit]:
    """Read the plan, {name: unit} in the order in which the units are run.

    Raises:
        InputError: the plan names an unknown task, a unit twice, or a unit begins with none that is before it.
    """
    plan, units = Plan.from_files(path), {}
    for stage in (Stage.check(values) for values in plan.stages):
        ((name, values),) = stage.each.items()
        for value, task in itertools.product(values, stage.tasks):
            unit = unit_of(stage, plan.profile, task, name, value)
            if task not in TASKS:
                raise InputError(f"{path}: {stage.title}: task is {task!r}; choose from {', '.join(TASKS)}")
            if unit.name in units:
                raise InputError(f"{path}: {unit.name} is there twice; give one of them another value")
            if unit.begins_with not in (None, *units):
                raise InputError(f"{path}: {unit.name} begins with {unit.begins_with}, which is no unit before it")
            units[unit.name] = unit
    return units


def unit_of(stage: Stage, profile: str, task: str, name: str, value) -> Unit:
    """Return the unit of a task and a value; one that compresses takes the run of the same task and value."""
    own = f"{task}-{value}"
    common = (f"{stage.name}/{own}", stage.title, task, profile)
    if stage.compresses:
        return Unit(*common, stage.parameters, compresses=f"{stage.compresses}/{own}", by="compression")
    parameters = {**stage.parameters, name: value}
    return Unit(*common, parameters, tuple(stage.chosen), stage.encoder_of, by=stage.by)


def get_unit(name: str) -> Unit:
    if name not in (units := read_units()):
        raise InputError(f"{name!r} is no unit of {PLAN_FILE}; `make reference LIST=yes` lists them")
    return units[name]


def record_of(unit: str) -> Path:
    """Return the file of a unit's kept record."""
    return RECORDS / f"{unit}.json"


def logits_of(unit: str) -> Path:
    """Return the file of a unit's kept logits."""
    return LOGITS / f"{unit}.npz"


def keep(name: str) -> Path:
    """Keep the record of a unit's run, and its logits: of labelled splits, and of seed 0 those of the test splits too.

    The logits are written first and the record last: a unit that has a record is whole. Of a unit that has a held-out
    split the record alone is kept, for it serves to choose.
    """
    unit = get_unit(name)
    if unit.compresses:
        return write_kept(name, read_compression(Path(unit.finished)))
    record = read_record(Path(unit.finished), "metrics", "parameters", "seed")
    record["parameters"] = {k: v for k, v in record["parameters"].items() if k not in NOT_KEPT}
    if HELD_OUT not in record["metrics"]:
        logits = read_arrays(Path(unit.folder, LOGITS_FILE))
        logits_of(name).parent.mkdir(parents=True, exist_ok=True)
        kept = logits if record["seed"] == 0 else {split: logits[split] for split in record["metrics"]}
        write_arrays(logits_of(name), kept)
    return write_kept(name, record)


def write_kept(name: str, record: dict) -> Path:
    """Write the record that is kept of a unit."""
    record_of(name).parent.mkdir(parents=True, exist_ok=True)
    return write_text(record_of(name), json.dumps({"unit": name, **record}, allow_nan=False) + "\n")


def selecting_units(task: str, *stages: str) -> list[Unit]:
    """Return the units that the values of a task are chosen by."""
    return [unit for unit in read_units().values() if unit.task == task and unit.stage in (stages or SELECTING)]


def needs(unit: Unit) -> list[str]:
    """Return the files that have to be there before a unit runs: kept records, chosen values, the run before it."""
    if unit.waits_for_all:
        files = [unit.chosen_file]
    else:
        files = [str(record_of(one.name)) for one in selecting_units(unit.task, "rate") if unit.chosen]
    files += [get_unit(unit.begins_with).finished] if unit.begins_with else []
    return files + ([PEERS_READY] if unit.by == "trainer" else [])


def choose(task: str, *stages: str) -> dict[str, float]:
    """Choose learning rate and epochs of a task: those of the unit that scores best on the held-out tenth of train.

    The score is the mean of the task's metrics; of equal ones the first of the plan is taken.
    """
    records = [read_record(record_of(unit.name), "metrics") for unit in selecting_units(task, *stages)]
    best = max(records, key=lambda record: learning_rate_score([record], HELD_OUT))
    return {"learning_rate": best["learning_rate"], "epochs": best["epochs"]}


def write_chosen(task: str) -> Path:
    """Write the chosen values of a task where its profile reads them."""
    profile = read_yaml(PLAN_FILE)["profile"]
    text = (
        "# Chosen on a held-out tenth of train by the reference run (`make reference`); written by it, not by hand.\n"
        f"{yaml.safe_dump(choose(task), sort_keys=False)}"
    )
    return write_text(Path(CHOSEN_FILES.format(profile=profile, task=task)), text)


def run_command(unit: Unit, folder: str, glue_dir: str) -> list[str]:
    """Return the command that runs a unit; the chosen values that its profile's file has not got are given."""
    if unit.compresses:
        values = {**unit.parameters, "run_dir": get_unit(unit.compresses).folder, "output_dir": folder}
        given = json.dumps({**values, "glue_dir": glue_dir})
        return [*RUNNERS[unit.by], f"{folder}/{Path(COMPRESS_NOTEBOOK).name}", "--parameters_yaml", given]
    values = dict(unit.parameters)
    if unit.chosen and not unit.waits_for_all:
        chosen = choose(unit.task, "rate")
        values = {name: chosen[name] for name in unit.chosen} | values
    if unit.encoder_of:
        values["encoder"] = get_unit(unit.encoder_of).folder
    values |= {"source": "folder", "glue_dir": glue_dir}
    given = [word for name, value in values.items() for word in ("-p", f"{name}={json.dumps(value)}")]
    return [*RUNNERS[unit.by], unit.task, "--profile", unit.profile, *given, "--output", folder]


def repeat(name: str, glue_dir: str) -> None:
    """Run a unit again, beside what is kept of it, and hold its scores to those of the record.

    It computes on as many threads as the record says, since another number rounds sums differently.
    """
    unit, folder = get_unit(name), Path(RUNS, "again", name)
    if unit.compresses:
        raise InputError(f"{name} compresses a run, and holds times beside scores; repeat {unit.compresses}")
    if not record_of(name).exists():
        raise InputError(f"{name} is not kept, so there is nothing to repeat; make reference UNITS={name} makes it")
    if folder.exists():
        raise InputError(f"{folder} is there already; remove it to repeat {name} again")
    kept = read_record(record_of(name), "metrics", "environment")
    threads = kept["environment"].get("threads") or os.cpu_count()
    done = subprocess.run(
        run_command(unit, str(folder), glue_dir),
        env=os.environ | dict.fromkeys((THREADS_VARIABLE, "OMP_NUM_THREADS"), str(threads)),
        check=False,
    )
    if done.returncode:
        raise InputError(f"{name} ended with status {done.returncode}; see above")
    now = read_record(folder / RECORD_FILE, "metrics")["metrics"]
    differing = [
        f"{split}, {metric}: {value:.6f} then, {now[split][metric]:.6f} now"
        for split, scores in kept["metrics"].items()
        for metric, value in scores.items()
        if value != now[split][metric]
    ]
    if differing:
        was, here = kept["environment"].get("processor"), processor_model()
        raise InputError(f"{name}: {'; '.join(differing)} (made on {was}; this is {here}, which may round differently)")
    print(f"{name}: the same scores")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bertglue.tools.reference_plan", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, says in (
        ("command", "print the command that runs a unit"),
        ("again", "run a unit again and compare its scores with those that are kept"),
        ("keep", "keep the record of a unit's finished run"),
    ):
        command = commands.add_parser(name, help=says)
        command.add_argument("unit", help="its name in params/reference.yaml")
        if name == "command":
            command.add_argument("folder", help="where it writes")
        if name != "keep":
            command.add_argument("glue_dir", help="the folder of the GLUE files")
    commands.add_parser("choose", help="write the chosen values of a task").add_argument("task")
    commands.add_parser("list", help="list the units, and which of them are kept")
    options = parser.parse_args(arguments)

    def work() -> None:
        if options.command == "command":
            print(shlex.join(run_command(get_unit(options.unit), options.folder, options.glue_dir)))
        elif options.command == "again":
            repeat(options.unit, options.glue_dir)
        elif options.command == "keep":
            print(keep(options.unit))
        elif options.command == "choose":
            print(write_chosen(options.task))
        else:
            for unit in read_units().values():
                print(f"{'kept' if record_of(unit.name).exists() else '-':5} {unit.name:24} {unit.title}")

    return exit_status(work)


if __name__ == "__main__":
    sys.exit(main())

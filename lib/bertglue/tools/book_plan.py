"""Plan what `make book` runs: the checked configuration, and each run's folder, parameters and command.

The Snakefile holds rules alone and takes everything else from a `Plan`.
"""

from __future__ import annotations

import argparse
import functools
import json
import re
import shlex
import sys
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from bertglue.cache_entries import describe_files, digest
from bertglue.checked_files import file_digest
from bertglue.data.load_data import check_source
from bertglue.encoder_names import check_encoder
from bertglue.environment import has_accelerator, nvidia_gpus
from bertglue.errors import InputError, exit_status
from bertglue.models.bundled import BUNDLED_FOLDER, PRETRAINING_RECORD
from bertglue.parameters import Parameters, read_yaml
from bertglue.places import check_profile, parameter_files
from bertglue.report.measured_files import MEASURED
from bertglue.runs.collection import collect_runs
from bertglue.runs.record import COMPRESSION_FILE, RECORD_FILE
from bertglue.runs.status import FINISHED, FREE_WITHIN_BOOK, inspect_run, is_compression_of
from bertglue.tasks import TASKS
from bertglue.tools import slurm
from bertglue.tools.fetch import is_local

PAGES = (  # each shows the runs of the book
    *("intro", "build", "data", "model", "design", "modifications", "results", "viability", "protocol", "errata"),
    *("hardware", "status", "contents"),
)
RECORDED_PAGES = ("error_analysis", "pretraining_gain")  # show records that are part of the repository, and no run
COMPRESSED_BY_DEFAULT = ("sst2", "mrpc")
AFTER_INTERMEDIATE = ("rte", "mrpc", "stsb")  # the tasks that gain by intermediate training (arXiv:1811.01088)
SHORTEST = "wnli"  # of GLUE's tasks
GIVEN = ("glue_dir", "encoder", "device")  # parameters that a variable of `make book` sets over the profile's
ACCELERATOR = 840  # `--resources accelerator=840` is all of a machine's accelerators; it divides well
GPUS_OF_A_RUN = ("1", "all")
RUN_NAME = "lr{learning_rate}-seed{seed}"


@dataclass(frozen=True)
class Plan:
    """What a book is made of: tasks with their checked parameters, learning rates and seeds, and what is compressed."""

    profile: str
    parameters: dict[str, Parameters]
    learning_rates: list[float]
    seeds: list[int]
    compress: list[str]
    jobs: int
    cores: int
    runs_at_once: int | None  # that the machine's accelerators bear; None without any
    gpus: int  # that the runs share, each with one of its own; 0 where a run has all of them
    config: dict[str, str]  # as it was given
    intermediate: str | None = None  # the task whose encoder others begin with
    partial: bool = False  # the book of what is there, after a failure

    @property
    def given(self) -> dict[str, str]:
        """Those of `GIVEN` that were set."""
        return {name: self.config[name] for name in GIVEN if name in self.config}

    @property
    def folder(self) -> str:
        """The folder of the profile's runs."""
        return f"runs/{self.profile}"

    @property
    def run_pattern(self) -> str:
        """The folder of a run, with Snakemake's wildcards `task`, `learning_rate` and `seed`."""
        return f"{self.folder}/{{task}}/{RUN_NAME}"

    @property
    def log_pattern(self) -> str:
        """The log of a run, with the same wildcards."""
        return f"{self.folder}/logs/{{task}}-{RUN_NAME}.log"

    def again(self, wildcards: Mapping) -> list[str]:
        """Return a file that is newer than a run that stayed because the one after it failed; none for other runs.

        The job removes it when its run is there.
        """
        run, log = (Path(pattern.format(**wildcards)) for pattern in (self.run_pattern, self.log_pattern))
        marker = Path(f"{log}.again")
        tried = run.with_name(f"{run.name}.partial").exists() and (run / RECORD_FILE).exists()
        if tried and not self.is_finished(str(run)):
            marker.write_text(uuid.uuid4().hex)  # another each time: Snakemake compares what small files hold
        return [str(marker)] if marker.exists() else []

    @property
    def compression_pattern(self) -> str:
        """The same of a compression."""
        return f"{self.folder}/compressed/{{task}}/{RUN_NAME}"

    @property
    def compressed_patterns(self) -> tuple[str, str]:
        """The record of a run and that of its compression, with the same wildcards."""
        return f"{self.run_pattern}/{RECORD_FILE}", f"{self.compression_pattern}/{COMPRESSION_FILE}"

    def identity(self, task: str) -> str:
        """Return what makes a finished run another one: the parameters that are not the library's defaults.

        Of a run that begins with another's encoder, that run's belong to them.
        """
        parameters = self.parameters[task]
        own = parameters.model_dump_json(exclude=FREE_WITHIN_BOOK, exclude_defaults=True)
        if parameters.files:  # what somebody edits while they work on their task
            digests = {name: file_digest(Path(path).expanduser()) for name, path in parameters.files.items()}
            own += json.dumps(digests, sort_keys=True)
        if not self.is_second(task) and parameters.encoder in self.encoder_files:
            own += f" encoder {self.encoder_files[parameters.encoder]}"  # made anew, it is another one
        return f"{own} after {self.identity(self.intermediate)}" if self.is_second(task) else own

    @functools.cached_property
    def encoder_files(self) -> dict[str, str]:
        """Return {encoder: the digests of its files} of those that lie here, each read once for all tasks."""
        encoders = {checked.encoder: Path(checked.encoder).expanduser() for checked in self.parameters.values()}
        return {
            name: json.dumps(describe_files(path) if path.is_dir() else digest(path), sort_keys=True)
            for name, path in encoders.items()
            if path.exists()
        }

    def begin_with_intermediate(self) -> Plan:
        """Return the plan with the encoders of the tasks that come after the intermediate one: its first run's."""
        encoder = self.first(self.run_pattern, self.intermediate)
        changed = {
            task: checked.model_copy(update={"encoder": encoder}) if self.is_second(task) else checked
            for task, checked in self.parameters.items()
        }
        return replace(self, parameters=changed)

    def is_second(self, task: str) -> bool:
        """Return whether a task begins with the encoder of the intermediate task's run."""
        return self.intermediate is not None and task in AFTER_INTERMEDIATE and task != self.intermediate

    def first_record(self, task: str) -> list[str]:
        """Return the record of the run whose encoder a task begins with, if it does."""
        return [f"{self.parameters[task].encoder}/{RECORD_FILE}"] if self.is_second(task) else []

    def compression_identity(self, task: str) -> str:
        """Return the same of a compression: its run's, and what its file of parameters says."""
        files = [Path(path).read_text(encoding="utf-8") for path in self.compression_files()]
        return "\n".join([self.identity(task), *files])

    @property
    def finetune_options(self) -> str:
        """The options of papermill for what was given on the command line."""
        return self.papermill_options(*GIVEN)

    def encoder_option(self, task: str) -> str:
        """Return the option of papermill for the encoder of another run, over what was given."""
        return f"-r encoder {self.parameters[task].encoder}" if self.is_second(task) else ""

    @property
    def compress_options(self) -> str:
        """The same of a compression, with its file of parameters."""
        return " ".join([*(f"-f {path}" for path in self.compression_files()), self.papermill_options("glue_dir")])

    @property
    def threads(self) -> int:
        """The threads of a run: the cores, shared by the runs that go on at a time."""
        return max(1, self.cores // min(self.jobs, self.runs_at_once or self.jobs))

    @property
    def accelerator(self) -> int:
        """The share of the machine's accelerators that a run takes, of `ACCELERATOR`."""
        return ACCELERATOR // self.runs_at_once if self.runs_at_once else 0

    @property
    def on_its_gpu(self) -> str:
        """What stands before a run's command to give it a GPU of its own, where there are several."""
        return "python -m bertglue.tools.gpu_slot .snakemake/gpus" if self.gpus > 1 else ""

    def minutes(self, wildcards, attempt: int) -> int:
        """Return the minutes that a run asks a cluster for, more at each attempt."""
        return slurm.minutes(self.parameters[wildcards.task], attempt)

    def memory_mb(self, wildcards, attempt: int) -> int:
        """Return the megabytes that a run asks a cluster for."""
        return slurm.memory_mb(self.parameters[wildcards.task], attempt)

    def gres(self, wildcards) -> str:
        """Return the GPU that a run asks a cluster for, if any."""
        return slurm.gres(self.parameters[wildcards.task], self.config.get("gres", "gpu:1"))

    def priority(self, task: str) -> int:
        """Return which runs go first: those that others wait for, and last a short one, which fills the end."""
        if task in self.compress or task == self.intermediate:
            return 3
        return 1 if task == SHORTEST else 2

    def rates(self, task: str) -> list[float]:
        """Return the learning rates of a task: those that are asked for, or the one of its parameters."""
        return self.learning_rates or [self.parameters[task].learning_rate]

    @property
    def runs(self) -> dict[str, dict]:
        """What each run is asked for: {folder: parameters}."""
        return {
            self.run_pattern.format(task=task, learning_rate=rate, seed=seed): {
                **parameters.model_dump(), "learning_rate": rate, "seed": seed
            }
            for task, parameters in self.parameters.items()
            for rate in self.rates(task)
            for seed in self.seeds
        }  # fmt: skip

    @property
    def compressions(self) -> dict[str, str]:
        """The compression of the first run of each task that is compressed: {folder: task}."""
        return {self.first(self.compression_pattern, task): task for task in self.compress}

    def first(self, pattern: str, task: str) -> str:
        """Return the folder of a task's first run, or of the compression of it, by its pattern."""
        return pattern.format(task=task, learning_rate=self.rates(task)[0], seed=self.seeds[0])

    @functools.cached_property
    def book_runs(self) -> list[str]:
        """The folders of the runs that the book is made from: all, or after a failure those that are finished."""
        if not self.partial:
            return list(self.runs)
        return [run for run in self.runs if self.is_finished(run)]

    def is_finished(self, run: str) -> bool:
        """Return whether the folder of a run holds what is asked for."""
        state, _, _ = inspect_run(Path(run), self.runs[run], Path(self.folder, "logs"), self.identities[run])
        return state == FINISHED

    @functools.cached_property
    def identities(self) -> dict[str, str]:
        """The identity of each run: {folder: identity}."""
        return {run: self.identity(asked["task"]) for run, asked in self.runs.items()}

    @property
    def book_compressions(self) -> list[str]:
        """The same of the compressions; one that is of another run than there is now is none of them."""
        if not self.partial:
            return list(self.compressions)
        of = {folder: self.first(self.run_pattern, task) for folder, task in self.compressions.items()}
        return [
            folder
            for folder, run in of.items()
            if run in self.book_runs and is_compression_of(f"{folder}/{COMPRESSION_FILE}", f"{run}/{RECORD_FILE}")
        ]

    @property
    def book_records(self) -> list[str]:
        """The records of both, in that order."""
        runs, compressions = self.book_runs, self.book_compressions
        return [f"{run}/{RECORD_FILE}" for run in runs] + [f"{folder}/{COMPRESSION_FILE}" for folder in compressions]

    @property
    def shown_runs(self) -> list[str]:
        """The runs that have a page of their own: of each task that with the first learning rate and seed."""
        first = {self.first(self.run_pattern, task) for task in self.parameters}
        return [folder for folder in self.book_runs if folder in first]

    def downloads(self, task: str) -> list[str]:
        """Return the file that records a task's downloads, if it needs any before it starts."""
        parameters = self.parameters[task]
        local = self.is_second(task) or (is_local(parameters.encoder) and is_local(parameters.preprocessor))
        by_hub = parameters.source == "huggingface" and not parameters.glue_dir
        elsewhere = parameters.source == "tfds" or by_hub or not local
        return [f"{self.folder}/fetched/{task}.txt"] if elsewhere else []

    def needs(self, task: str) -> list[str]:
        """Return the files that a run waits for: its downloads, or the record of the run that it begins with."""
        return [*self.downloads(task), *self.first_record(task)]

    def collect(self) -> Path:
        """Write `results.json` and `status.json` from the folders of the runs."""
        target, logs = Path(self.folder, "results.json"), Path(self.folder, "logs")
        collect_runs(self.runs, target, logs, self.compressions, self.identities)
        return target

    def fetch_options(self) -> str:
        """Return the options of `bertglue.tools.fetch`."""
        return f"--encoder {shlex.quote(self.given['encoder'])}" if "encoder" in self.given else ""

    def compression_files(self) -> list[str]:
        """Return the file of compression parameters of the profile, if it has one."""
        path = Path(f"params/compression/{self.profile}.yaml")
        return [str(path)] if path.exists() else []

    def papermill_options(self, *names: str) -> str:
        """Return the options of papermill for the parameters that were given on the command line."""
        return " ".join(f"-r {name} {shlex.quote(self.given[name])}" for name in names if name in self.given)


def read_plan(config: Mapping, cores: int | None, *, check_sources: bool = True) -> Plan:
    """Check the configuration of `make book` and the parameters of every task, before any run starts.

    Args:
        config: Snakemake's: `profile`, `tasks`, `seeds`, `learning_rates`, `intermediate`, `compress`, `jobs`, `gpus`,
            `cluster`, `gres`, `glue_dir`, `encoder`, `device` and `partial`, each a text; an empty one is as if it were
            not there.
        cores: that the runs share; None on a cluster.
        check_sources: whether the files of every task are read and its encoder is looked for, without the network, so
            that a defect in one is known before any run starts.

    Raises:
        InputError: a value is unknown or wrong, a parameter of a task is, or a GLUE file or an encoder is missing.
    """
    given = {name: str(value) for name, value in config.items() if value not in (None, "")}
    profile, cores = given.get("profile", "toy"), cores or 1
    if not re.fullmatch(r"[\w-]+", profile):
        raise InputError(f"PROFILE is {profile!r}; give the name of a file under params/profiles")
    check_profile(profile)
    jobs, *more = read_numbers(given, "jobs", int) or [cores]
    if jobs < 1 or more:
        raise InputError(f"JOBS is {given['jobs']}; give one number, 1 or more")
    runs_at_once, gpus = share_accelerators(given)
    over = {name: given[name] for name in GIVEN if name in given}
    tasks = given.get("tasks", " ".join(TASKS)).split()
    if (intermediate := given.get("intermediate")) and intermediate not in tasks:
        tasks = [*tasks, intermediate]  # what is run is in the book
    parameters = {task: read_parameters(profile, task, over) for task in tasks}
    rates, seeds = read_numbers(given, "learning_rates", float), read_numbers(given, "seeds", int) or [0]
    check_each("LEARNING_RATES", "learning_rate", rates)
    check_each("SEEDS", "seed", seeds)
    if check_sources:
        for checked in parameters.values():
            check_source(checked)
            check_encoder(checked.encoder)
    plan = Plan(
        profile=profile,
        parameters=parameters,
        learning_rates=rates,
        seeds=seeds,
        compress=select_compressed(given.get("compress", ""), profile, parameters),
        jobs=jobs,
        cores=cores,
        runs_at_once=runs_at_once,
        gpus=gpus,
        config=given,
        partial="partial" in given,
        intermediate=intermediate,
    )
    return plan.begin_with_intermediate() if intermediate else plan


def share_accelerators(given: Mapping[str, str]) -> tuple[int | None, int]:
    """Return how many runs the accelerators of this machine bear at once, and the GPUs that they share one by one.

    Each run has a GPU of its own, or all of them where `gpus` is all; any other accelerator is never shared. On a
    cluster the scheduler gives a run what it has.
    """
    per_run = given.get("gpus", "1")
    if per_run not in GPUS_OF_A_RUN:
        raise InputError(f"GPUS is {per_run}; give 1 (a run on each GPU) or all (each run on all of them)")
    if given.get("cluster") or given.get("device") == "cpu" or not has_accelerator():
        return None, 0
    gpus = len(nvidia_gpus()) if per_run == "1" else 0
    return max(1, gpus), gpus


def read_numbers(given: Mapping[str, str], name: str, convert: Callable[[str], float]) -> list:
    """Read the numbers that a variable lists."""
    text = given.get(name, "")
    try:
        return [convert(word) for word in text.split()]
    except ValueError:
        raise InputError(f"{name.upper()} is {text!r}; list numbers, with spaces between them") from None


def check_each(variable: str, name: str, values: list) -> None:
    """Check each value of a variable as the parameter that it sets."""
    for value in values:
        try:
            Parameters.check({name: value})
        except InputError as error:
            raise InputError(f"{variable}: {error}") from None


def read_parameters(profile: str, task: str, given: Mapping[str, str]) -> Parameters:
    """Check the parameters of a task; the notebook reads them from the same files, the task's name too."""
    path = Path(f"params/tasks/{task}.yaml")
    if task not in TASKS and not path.is_file():
        raise InputError(
            f"TASKS or INTERMEDIATE names {task!r}; choose from {', '.join(TASKS)}, or write {path} "
            f"for a task of your own (bertglue init {task} --from train.csv)"
        )
    if path.is_file() and (named := read_yaml(path).get("task")) != task:
        raise InputError(f"{path} has task: {named}; write task: {task} there, which is the name of the file")
    return Parameters.from_files(*parameter_files(profile, task), **given)


def select_compressed(asked: str, profile: str, parameters: Mapping[str, Parameters]) -> list[str]:
    """Return the tasks to compress: those of COMPRESS, or else two, where a part of train is held out."""
    if not asked:
        return [task for task in COMPRESSED_BY_DEFAULT if task in parameters and parameters[task].hold_out]
    tasks = [] if asked == "none" else asked.split()
    for task in tasks:
        if task not in parameters:
            raise InputError(f"COMPRESS names {task!r}; choose from TASKS ({' '.join(parameters)}), or give none")
        if not parameters[task].hold_out:
            raise InputError(
                f"COMPRESS names {task}, whose profile has hold_out 0; set a share of train such as 0.1 in "
                f"params/profiles/{profile}.yaml"
            )
    return tasks


def plan_or_exit(config: Mapping, cores: int | None) -> Plan:
    """Read the plan; wrong input is one line on standard error and status 2, and nothing has begun."""
    try:
        return read_plan(config, cores)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)


def page_sources() -> list[str]:
    """Return the files that a page depends on beside the results: code, published numbers and measured data."""
    library = Path("lib/bertglue")
    code = [
        path
        for folder in ("report", "runs", "evaluation")
        for path in (library / folder).rglob("*")
        if path.suffix in (".py", ".yaml", ".mplstyle")
    ]
    measured = [library / "report" / path.relative_to(MEASURED.parent) for path in MEASURED.rglob("*.json*")]
    bundled = library / "models" / BUNDLED_FOLDER.name / PRETRAINING_RECORD
    shown = [library / name for name in ("tools/tpu_compile.py", "training/schedule.py", "tasks.py")]  # by pages
    return sorted(str(path) for path in (*code, *measured, bundled, *shown))


def book_sources() -> list[str]:
    """Return the files that the book's pages are assembled from and styled by."""
    book = Path("book")
    texts = [path for path in (*book.iterdir(), *(book / "guides").iterdir()) if path.suffix in (".md", ".bib", ".yml")]
    shown = ("models/bert.py", "models/attention.py", "models/classifier.py")  # in the guide on the encoder's code
    code = [Path("lib/bertglue", name) for name in ("report/build_book.py", "report/sphinx_theme.py", *shown)]
    return sorted(str(path) for path in ("_config.yml", *texts, *(book / "_static").iterdir(), *code))


def main(arguments: list[str] | None = None) -> int:
    """Collect the runs of a plan; a command, since Snakemake's own Python cannot start where a folder has a space."""
    parser = argparse.ArgumentParser(prog="python -m bertglue.tools.book_plan", description=main.__doc__)
    parser.add_argument("config", help="the configuration of `make book`, as JSON")
    options = parser.parse_args(arguments)
    return exit_status(lambda: print(read_plan(json.loads(options.config), None, check_sources=False).collect()))


if __name__ == "__main__":
    sys.exit(main())

"""Run the master notebook: what `bertglue run` and `bertglue.finetune` do."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path

from bertglue.atomic_files import write_error
from bertglue.data.load_data import check_source
from bertglue.encoder_names import check_encoder
from bertglue.environment import ask_for_huge_pages
from bertglue.errors import InputError, one_line
from bertglue.parameters import Parameters
from bertglue.places import ENDS_AT_ONCE, NOTEBOOK, check_profile, check_task, find_notebook, parameter_files
from bertglue.runs.record import RECORD_FILE, check_run_folder, read_record

START_TIMEOUT = 600  # seconds that a kernel has to start: a busy machine is slow
QUIET_KERNEL = ["--IPKernelApp.log_level=50"]  # it warns of every start, and calls its end an error
UNNAMED_RUNS = Path("runs/notebook")  # the folder of runs that are given no other


def finetune(task: str, *, profile: str = "toy", run_dir: str | Path | None = None, **parameters) -> dict:
    """Fine-tune on one task: execute the master notebook, in a process of its own.

    Args:
        task: of GLUE, or of your own, which `params/tasks/TASK.yaml` describes, or `files` and the like do here.
        profile: a file under `params/profiles`, of the current folder or of those that are installed.
        run_dir: the folder to write; None: `runs/notebook/TASK`.
        parameters: over those of the files; see `Parameters`.

    Returns:
        The run's record: its scores, intervals and baselines among them, and `run`, its folder.

    Raises:
        InputError: a parameter or a file is wrong, or a cell of the notebook failed.

    Example:
        >>> import bertglue
        >>> bertglue.finetune("rte", epoch=3)  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        bertglue.errors.InputError: unknown parameter 'epoch'; the known ones are profile, task, ...
    """
    asked = parameters_of_run(task, profile, run_dir, parameters)
    execute(asked)
    return {**read_record(Path(asked.run_dir) / RECORD_FILE), "run": asked.run_dir}


def parameters_of_run(task: str, profile: str, run_dir: str | Path | None, given: dict) -> Parameters:
    """Read the parameters of a run from their files; those that are given stand over all."""
    check_profile(profile)
    files = parameter_files(profile, task)
    if not given.get("files"):
        check_task(task)
    else:  # a task that no file describes
        files = [path for path in files if Path(path).is_file()]
    return Parameters.from_files(*files, **{"task": task, "run_dir": str(run_dir or UNNAMED_RUNS / task), **given})


def execute(parameters: Parameters) -> None:
    """Run the master notebook, its output shown as it comes, into the folder that the parameters name."""
    try:
        import papermill
    except ImportError:
        raise InputError("papermill is not installed; pip install 'bertglue[tensorflow,book]'") from None

    folder = Path(parameters.run_dir)
    check_run_folder(folder)
    check_encoder(parameters.encoder)
    check_source(parameters)  # before the notebook of a run that is there is written anew
    ask_for_huge_pages()
    ends = ENDS_AT_ONCE if parameters.machines == 1 else {}  # of several machines the first serves the others
    with failed_cells(folder):
        folder.mkdir(parents=True, exist_ok=True)
        papermill.execute_notebook(
            no_pattern(find_notebook()), no_pattern(folder / NOTEBOOK.name), parameters.model_dump(),
            progress_bar=sys.stderr.isatty(), log_output=True, stdout_file=sys.stdout, start_timeout=START_TIMEOUT,
            extra_arguments=QUIET_KERNEL, **ends,
        )  # fmt: skip


def no_pattern(path: Path) -> str:
    """Return a path as papermill is to be given it, which puts parameters between braces."""
    return str(path).replace("{", "{{").replace("}", "}}")


@contextlib.contextmanager
def failed_cells(folder: Path):
    """Raise what went wrong in the notebook, or in writing it to its folder, as an InputError of one line."""
    from nbclient.exceptions import DeadKernelError
    from papermill.exceptions import PapermillExecutionError

    try:
        yield
    except DeadKernelError:
        raise InputError(
            "the notebook's process was killed, perhaps for want of memory; run it again, and it resumes from its "
            "last checkpoint (one after each epoch, and every save_every steps where that is set)"
        ) from None
    except PapermillExecutionError as error:
        raise InputError(f"{error.ename}: {error.evalue}") from None
    except OSError as error:
        raise write_error(folder, error) from None
    except RuntimeError as error:  # nbclient's, of a kernel that does not answer
        raise InputError(f"the notebook's process did not start ({one_line(error)}); run it again") from None

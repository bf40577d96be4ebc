"""Where the master notebook and the files of parameters lie: in a checkout, else as they were installed."""

from __future__ import annotations

from pathlib import Path

from bertglue.errors import InputError

PACKAGED = Path(__file__).with_name("packaged")  # links into the checkout; in an installed package copies
NOTEBOOK = Path("notebooks/finetune.ipynb")  # the master
ENDS_AT_ONCE = {"shutdown_kernel": "immediate"}  # of its kernel: what a notebook writes is written when its cells end


def find_notebook() -> Path:
    """Return the master notebook: the checkout's that this is called from, or the installed one."""
    in_checkout = NOTEBOOK.is_file() and Path("Snakefile").is_file()  # another project may have such a notebook
    return NOTEBOOK if in_checkout else PACKAGED / NOTEBOOK


def parameter_files(profile: str, task: str) -> list[str]:
    """Return the files that a task's parameters are read from, later ones over earlier ones.

    Each is the one below the current folder, or else the one that is installed. The last, a task's values in one
    profile, is there only where somebody wrote it.
    """
    usual, own, both = (
        installed_or_here(name)
        for name in (
            f"params/profiles/{profile}.yaml",
            f"params/tasks/{task}.yaml",
            f"params/tasks/{profile}/{task}.yaml",
        )
    )
    return [usual, own, *([both] if Path(both).is_file() else [])]


def check_profile(name: str) -> None:
    """Check that a profile is there; the InputError lists those that are."""
    if name not in (known := names_under("profiles")):
        raise InputError(f"profile is {name!r}; choose from {', '.join(known)}, or write params/profiles/{name}.yaml")


def check_task(name: str) -> None:
    """Check that a task is described; the InputError lists those that are."""
    if name not in (known := names_under("tasks")):
        raise InputError(
            f"task is {name!r}; choose from {', '.join(known)}, or describe a task of your own: "
            f"bertglue init {name} --from train.csv"
        )


def names_under(kind: str) -> list[str]:
    """List the files of parameters of a kind, `profiles` or `tasks`: the current folder's and installed ones."""
    return sorted({path.stem for root in (Path(), PACKAGED) for path in (root / "params" / kind).glob("*.yaml")})


def installed_or_here(name: str) -> str:
    """Return a file below the current folder, or the one that is installed where only that is there."""
    installed = PACKAGED / name
    return str(installed) if installed.is_file() and not Path(name).is_file() else name

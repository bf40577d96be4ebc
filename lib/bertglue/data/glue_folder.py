"""Find a task's files in a GLUE folder; where they lie elsewhere, or in another form, say where and what to do."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from bertglue.errors import InputError
from bertglue.tasks import TASKS, Task


def find_files(task: Task, task_folder: str, glue_dir: str | None) -> dict[str, Path]:
    """Find the file of each split; a missing train or validation file is an InputError that names it."""
    if not glue_dir:
        raise InputError("glue_dir is not given; name the folder that holds CoLA/, MRPC/, ... (make: GLUE_DIR=...)")
    root = Path(glue_dir).expanduser()
    if not root.is_dir():
        found = "that is a file" if root.exists() else "there is no such folder"
        raise InputError(f"glue_dir is {glue_dir}, and {found}; name the folder that holds CoLA/, MRPC/, ...")
    files = {}
    for name in task.splits:
        path = root / task_folder / (name.replace("validation", "dev") + ".tsv")
        if path.exists():
            files[name] = path
        elif not name.startswith("test"):
            raise InputError(f"{path} is missing; {advice(task, task_folder, root, path.name)}")
    return files


def advice(task: Task, task_folder: str, root: Path, name: str) -> str:
    """Name the file that was perhaps meant, and what would make it the one that is missing."""
    root = Path(os.path.abspath(root))
    found = next(search(task, root, name), None)
    if found is None and task.name == "mrpc":
        parquet = "put its parquet files from nyu-mll/glue (Hugging Face) into"
        return f"GLUE's site has no archive of MRPC; {parquet} {root / task.name}"
    if found is None:
        return f"the archive of {task.title} from the GLUE benchmark has it"
    steps = []
    if found.suffix.lower() != ".tsv":
        steps.append(f"write it as tab-separated text, {name}, in the columns of the GLUE benchmark's own file")
    elif found.name != name:
        steps.append(f"rename it {name}")
    if plain(found.parent.name) != task.name:
        steps.append(f"move it into a folder {task_folder} there")
    else:
        if found.parent.name != task_folder:
            steps.append(f"rename its folder {task_folder}")
        if found.parent.parent != root:
            steps.append(f"give glue_dir={found.parent.parent}")
    return f"found {found}: {', and '.join(steps)}"


def search(task: Task, root: Path, name: str) -> Iterator[Path]:
    """Yield files that may be a split's: the folder one level off or in other case, the file in another format."""
    stem = name.removesuffix(".tsv")
    prefixes = (plain(stem), plain(stem.replace("dev", "validation")))
    for folder in task_folders(task, root):
        there = [path for path in entries(folder) if os.path.isfile(path) and plain(path.name).startswith(prefixes)]
        yield from sorted(there, key=lambda path: (path.name != name, path.suffix != ".tsv", path.name))


def task_folders(task: Task, root: Path) -> Iterator[Path]:
    """Yield folders that may be the task's: the root, those in it, those one level down, those beside it."""
    if plain(root.name) == task.name or plain(root.name) not in TASKS:
        yield root
    inside = entries(root)
    below = [path for folder in inside for path in entries(folder)]
    for path in (*inside, *below, *entries(root.parent)):
        if plain(path.name) == task.name:
            yield path


def entries(folder: Path) -> list[Path]:
    """List a folder; one that may not be read is empty, and so is a file."""
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []


def plain(name: str) -> str:
    """Return a name's letters and digits in lower case: `SST-2` and `sst2` are the same."""
    return "".join(filter(str.isalnum, name)).casefold()

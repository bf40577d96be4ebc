"""Assemble the sources of the book: its chapters, and the executed notebooks."""

from __future__ import annotations

import argparse
import re
import shutil
import sys
from pathlib import Path

import nbformat
import yaml

from bertglue.errors import InputError, exit_status, one_line
from bertglue.report.clean_notebook import clean_notebook
from bertglue.tasks import TASKS, title_of

BOOK_SOURCES, NOTEBOOKS = Path("book"), Path("notebooks")
NOTEBOOK_LINK = re.compile(r"\]\(\.\./\.\./notebooks/(\w+)\.ipynb")  # in a guide, as it is read on GitHub
FRONT_PAGE = "intro"  # the page that the book opens with
TOY_ANNOUNCEMENT = (
    "This build ran on toy data, generated sentences in the format of GLUE's tasks. "
    "<strong>They are not GLUE</strong>: what stands beside published scores is the reference run, on real GLUE."
)


def assemble_book(source: Path, profile: str, notebooks: list[Path]) -> None:
    """Write the sources of the book into a new folder: chapters, notebooks, table of contents, settings."""
    shutil.rmtree(source, ignore_errors=True)
    shutil.copytree(BOOK_SOURCES, source, ignore=shutil.ignore_patterns("_build"))
    for notebook in notebooks:
        if notebook.parent.name == "pages":
            target = source / ("" if notebook.stem == FRONT_PAGE else "pages") / notebook.name
            page = tag_parameters(read_clean(notebook), "remove-cell")
        elif notebook.stem == "compress":  # runs/<profile>/compressed/<task>/<run>/compress.ipynb
            task = notebook.parent.parent.name
            target = source / "compressed" / f"{task}.ipynb"
            page = tag_parameters(read_clean(notebook), "hide-input")
            page.cells[0].source = f"# {title_of(task)}, compressed\n" + page.cells[0].source.partition("\n")[2]
        else:  # runs/<profile>/<task>/<run>/finetune.ipynb
            task = notebook.parent.parent.name
            target = source / "tasks" / f"{task}.ipynb"
            page = task_page(tag_parameters(read_clean(notebook), "hide-input"), task)
        target.parent.mkdir(exist_ok=True)
        nbformat.write(page, target)
    link_pages(source)
    write_toc(source)
    write_config(source, profile)


def link_pages(source: Path) -> None:
    """Lead the links of the guides from the repository's notebooks to the pages that the book has of them."""

    def page(link: re.Match) -> str:
        places = (f"pages/{link[1]}.ipynb", f"{link[1]}.ipynb")
        return next((f"](../{place}" for place in places if (source / place).exists()), link[0])

    for guide in (source / "guides").glob("*.md"):
        guide.write_text(NOTEBOOK_LINK.sub(page, guide.read_text(encoding="utf-8")), encoding="utf-8")


def read_clean(path: Path):
    """Read an executed notebook as data: see `clean_notebook`."""
    try:
        executed = nbformat.read(path, as_version=4)
        template = nbformat.read(NOTEBOOKS / path.name, as_version=4)
        if not executed.cells:
            raise ValueError("it has no cells")
        return clean_notebook(executed, template)
    except (OSError, ValueError, AttributeError, KeyError, TypeError) as error:
        raise InputError(f"{path} is no executed notebook ({one_line(error)}); remove its folder and run it") from None


def task_page(notebook, task: str):
    """Title an executed notebook with its task, all of them were the same notebook; the page has a button for Colab."""
    _, *lines = notebook.cells[0].source.splitlines()
    kept = [line for line in lines if "colab-badge" not in line]
    notebook.cells[0].source = "\n".join([f"# {title_of(task)}", *kept]).replace("\n\n\n", "\n\n")
    return notebook


def tag_parameters(notebook, tag: str):
    """Fold or remove the cells of parameters; the table behind them says the same."""
    for cell in notebook.cells:
        tags = cell.metadata.get("tags", [])
        if "injected-parameters" in tags or "parameters" in tags:
            cell.metadata["tags"] = [*tags, tag]
    return notebook


def write_toc(source: Path) -> None:
    """Keep of the table of contents what was run, and add the tasks of one's own."""
    path = source / "_toc.yml"
    toc = yaml.safe_load(path.read_text(encoding="utf-8"))
    for part in toc["parts"]:
        folder = part["chapters"][0]["file"].partition("/")[0]
        if folder in ("tasks", "compressed"):
            own = sorted(page.stem for page in source.glob(f"{folder}/*.ipynb") if page.stem not in TASKS)
            part["chapters"] += [{"file": f"{folder}/{name}"} for name in own]
        part["chapters"] = [c for c in part["chapters"] if any(source.glob(c["file"] + ".*"))]
    toc["parts"] = [part for part in toc["parts"] if part["chapters"]]
    path.write_text(yaml.safe_dump(toc, sort_keys=False), encoding="utf-8")


def write_config(source: Path, profile: str) -> None:
    """Write the settings of the repository; a book of toy data announces on every page that it is not GLUE."""
    config = yaml.safe_load(Path("_config.yml").read_text(encoding="utf-8"))
    if profile == "toy" and any((source / f"tasks/{task}.ipynb").exists() for task in TASKS):
        config["html"]["announcement"] = TOY_ANNOUNCEMENT
    (source / "_config.yml").write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bertglue.report.build_book", description=assemble_book.__doc__)
    parser.add_argument("source", type=Path, help="the folder to write")
    parser.add_argument("notebooks", type=Path, nargs="+", help="executed notebooks")
    parser.add_argument("--profile", default="toy")
    options = parser.parse_args(arguments)
    return exit_status(lambda: assemble_book(options.source, options.profile, options.notebooks))


if __name__ == "__main__":
    sys.exit(main())

"""The sources of the book: what was run is in it, and each task's page has its title."""

import nbformat
import yaml
from paths import ROOT

from bertglue.report import build_book


def write_notebook(path):
    """Write a notebook with the first cell of ours of that name: a title, a badge of Colab, a text."""
    text = nbformat.read(ROOT / "notebooks" / path.name, as_version=4).cells[0].source
    path.parent.mkdir(parents=True)
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell(text)]), path)
    return path


def test_the_book_holds_what_was_run(tmp_path):
    run = write_notebook(tmp_path / "runs/toy/rte/lr0.001-seed0/finetune.ipynb")
    smaller = write_notebook(tmp_path / "runs/toy/compressed/rte/lr0.001-seed0/compress.ipynb")
    pages = [write_notebook(tmp_path / f"runs/toy/pages{i}/pages/{n}.ipynb") for i, n in enumerate(("intro", "data"))]
    source = tmp_path / "source"
    build_book.assemble_book(source, "toy", [run, smaller, *pages])
    toc = yaml.safe_load((source / "_toc.yml").read_text())
    chapters = [chapter["file"] for part in toc["parts"] for chapter in part["chapters"]]
    guides = {f"guides/{path.stem}" for path in (ROOT / "book/guides").glob("*.md")}
    assert set(chapters) >= guides
    assert [chapter for chapter in chapters if chapter not in guides] == [
        "pages/data",
        "tasks/rte",
        "compressed/rte",
        "references",
    ]
    assert (source / "intro.ipynb").exists()
    title, text = nbformat.read(source / "tasks/rte.ipynb", as_version=4).cells[0].source.split("\n\n")
    assert title == "# RTE"
    assert text.startswith("This notebook takes one task")
    assert (
        nbformat.read(source / "compressed/rte.ipynb", as_version=4).cells[0].source.startswith("# RTE, compressed\n")
    )
    assert "not GLUE" in yaml.safe_load((source / "_config.yml").read_text())["html"]["announcement"]


def test_links_of_the_guides_lead_to_the_pages_of_the_book(tmp_path):
    pages = [write_notebook(tmp_path / f"runs/{name}/pages/{name}.ipynb") for name in ("intro", "design")]
    guides = tmp_path / "source" / "guides"
    build_book.assemble_book(guides.parent, "toy", pages)
    assert "[Experiment design](../pages/design.ipynb)" in (guides / "bert_in_sixty_lines.md").read_text()
    (guides / "new.md").write_text("[a](../../notebooks/intro.ipynb) [b](../../notebooks/finetune.ipynb#x)")
    build_book.link_pages(guides.parent)
    assert (guides / "new.md").read_text() == "[a](../intro.ipynb) [b](../../notebooks/finetune.ipynb#x)"


def test_parts_without_pages_are_left_out(tmp_path):
    page = write_notebook(tmp_path / "runs/full/pages/intro.ipynb")
    build_book.assemble_book(tmp_path / "source", "full", [page])
    toc = yaml.safe_load((tmp_path / "source/_toc.yml").read_text())
    assert all(part["chapters"] for part in toc["parts"])
    assert "announcement" not in yaml.safe_load((tmp_path / "source/_config.yml").read_text())["html"]

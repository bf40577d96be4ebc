"""Print the book as one PDF that reads like a paper: jupyter-book's single page, through a headless Chromium."""

from __future__ import annotations

import argparse
import html
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import yaml
from bs4 import BeautifulSoup
from pypdf import PdfReader

from bertglue.atomic_files import write_atomically
from bertglue.environment import commit
from bertglue.errors import InputError, exit_status, one_line

PAPER_STYLE = Path(__file__).with_name("build_pdf.css")  # not among the book's, which jupyter-book gives to every page
RUNNING_HEAD = "This build ran on toy data, which are not GLUE; beside published scores stands the reference run"
# notebooks of single runs, much alike, what is about this software and its machine, a map of pages; the book has them
NOT_PRINTED = ("tasks/", "compressed/", "guides/", "pages/build", "pages/status", "pages/contents")
SECTIONS_NOT_PRINTED = (  # of the pages that are
    "exercises", "further-reading", "this-build", "what-is-in-this-book", "does-it-run-on-your-machine",
    "what-the-default-build-shows", "the-bundled-encoder-on-real-glue",
)  # fmt: skip
PRINTED_ALL_THE_SAME = ("guides/bert_in_sixty_lines",)
BROWSERS = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "chrome",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
)
CHROMIUM_OPTIONS = (
    "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update",
    "--disable-sync",
)  # fmt: skip


def find_browser() -> str:
    """Find a Chromium; the variable CHROMIUM may name it."""
    for name in filter(None, (os.environ.get("CHROMIUM"), *BROWSERS)):
        if found := shutil.which(name):
            return found
    raise InputError("no Chromium is here to print with; install one (apt install chromium), or name it: CHROMIUM=...")


def print_book(source: Path, target: Path) -> Path:
    """Print the assembled sources of a book; the PDF appears whole or not at all."""
    chromium = find_browser()
    config = yaml.safe_load((source / "_config.yml").read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory(prefix="bertglue-pdf-") as folder:
        page = single_page(source, Path(folder))
        content = page.read_text(encoding="utf-8")
        page.write_text(as_paper(content, config), encoding="utf-8")
        numbers = page_numbers(print_page(chromium, page, Path(folder)))  # which the contents of the second name
        page.write_text(as_paper(content, config, numbers), encoding="utf-8")
        printed = print_page(chromium, page, Path(folder))
        with write_atomically(target) as partial:
            shutil.copyfile(printed, partial)
    return target


def print_page(chromium: str, page: Path, folder: Path) -> Path:
    """Print a page of HTML."""
    printed = folder / "book.pdf"
    printed.unlink(missing_ok=True)
    profile, to = f"--user-data-dir={folder}/browser", f"--print-to-pdf={printed}"
    options = [*CHROMIUM_OPTIONS, profile, "--no-pdf-header-footer", "--generate-pdf-document-outline", to]
    run([chromium, "--headless", *sandbox(), *options, page.as_uri()], printed)
    return printed


def page_numbers(printed: Path) -> dict[str, int]:
    """Return the page of each anchor that a link of the PDF points to."""
    reader = PdfReader(printed)
    return {
        name.removeprefix("/"): reader.get_destination_page_number(place) + 1
        for name, place in reader.named_destinations.items()
    }


def sandbox() -> tuple[str, ...]:
    """Chromium's sandbox refuses to start for root, as in containers."""
    return ("--no-sandbox",) if hasattr(os, "geteuid") and os.geteuid() == 0 else ()


def single_page(source: Path, folder: Path) -> Path:
    """Build the whole book as one page of HTML."""
    page = folder / "_build" / "singlehtml" / "intro.html"
    command = [str(Path(sys.executable).with_name("jupyter-book")), "build", str(source)]
    places = ["--config", str(source / "_config.yml"), "--path-output", str(folder)]
    run([*command, *places, "--builder", "singlehtml", "-W", "-n", "--keep-going", "--all"], page)
    return page


def run(command: list[str], made: Path) -> None:
    """Run a command that has to make a file; what it complains of is the error otherwise."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    if done.returncode or not made.exists():
        complaint = one_line(Exception(done.stderr[-200:]))
        raise InputError(f"{Path(command[0]).name} made no {made.name} ({complaint})")


def as_paper(page: str, config: dict, numbers: Mapping[str, int] = MappingProxyType({})) -> str:
    """Convert the single page of the theme to a paper: a title, a list of chapters, running heads, no scripts.

    `numbers` holds the page of each chapter by its anchor; a chapter without one has an empty place for it.
    """
    title, author = html.escape(config["title"]), html.escape(config["author"])
    note = RUNNING_HEAD if "announcement" in config["html"] else ""
    page = without_sections(re.sub(r"<script\b.*?</script>", "", page, flags=re.DOTALL))
    page = re.sub(r'href="[\w./-]*?([\w-]+)\.html(#[\w-]+)?"', local_link, page)
    heads = (
        f'@page {{ @top-center {{ content: "{note}"; }} @bottom-center {{ content: counter(page); }} }}'
        "@page :first { @top-center { content: none; } @bottom-center { content: none; } }"
    )
    page = page.replace("</head>", f"<style>{PAPER_STYLE.read_text(encoding='utf-8')}{heads}</style></head>", 1)
    chapters = "".join(
        f'<li><a href="#{anchor}"><span>{name}</span><span class="page">{numbers.get(anchor, "")}</span></a></li>'
        for anchor, name in chapters_of(page)
    )
    made = html.escape(commit() or "")
    front = (
        f'<div class="paper-title"><p class="title">{title}</p><p class="author">{author}</p>'
        f'<p class="made">{"commit " + made if made else ""}</p><p class="note">{html.escape(note)}</p>'
        f"{abstract_of(page)}<ol>{chapters}</ol></div>"
    )
    return re.sub(r"(<article\b[^>]*>)", lambda found: found[1] + front, page, count=1)


def without_sections(page: str) -> str:
    """Leave out what is not printed; a single page marks where each page of the book begins."""
    found = BeautifulSoup(page, "html.parser")
    for mark in found.select('span[id^="document-"]'):
        name = mark["id"].removeprefix("document-")
        if name.startswith(NOT_PRINTED) and name not in PRINTED_ALL_THE_SAME:
            mark.find_next_sibling("section").decompose()
    for section in [one for one in found.select("section[id]") if one["id"] in SECTIONS_NOT_PRINTED]:
        section.decompose()
    return str(found)


def abstract_of(page: str) -> str:
    """Return an abstract: what the front page found, and the count of its verdicts."""
    found = re.search(r'<section id="what-was-found">.*?(<ol\b.*?</ol>)', page, flags=re.DOTALL)
    counted = re.search(r"<p>(Of \d+ claims of the report: .*?)</p>", page, flags=re.DOTALL)
    parts = [*(found.groups() if found else ()), *([f"<p>{counted[1]}</p>"] if counted else [])]
    return f'<div class="abstract"><p><strong>Abstract</strong></p>{"".join(parts)}</div>' if parts else ""


def local_link(found: re.Match) -> str:
    """Point a link to another page of the book to the place on this one page."""
    if found[0].startswith(('href="http', 'href="_static')):
        return found[0]
    return f'href="{found[2] or "#document-pages/" + found[1]}"'


def chapters_of(page: str) -> list[tuple[str, str]]:
    """List (anchor, title) of the chapters; a mark stands before a section that was a page of its own.

    The section's own id may be that of another page's section too.
    """
    section = r'<span id="(document-[\w/-]+)"></span>\s*<section class="[^"]*mathjax_ignore[^"]*" id="[\w-]+">\s*'
    section += r'<h2>(.*?)<a class="headerlink'
    return re.findall(section, page, flags=re.DOTALL)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bertglue.report.build_pdf", description=__doc__)
    parser.add_argument("source", type=Path, nargs="?", help="the assembled sources of a book, runs/<profile>/book")
    parser.add_argument("target", type=Path, nargs="?", help="the PDF to write")
    parser.add_argument("--check", action="store_true", help="only look for the browser that prints it")
    options = parser.parse_args(arguments)
    if options.check:
        return exit_status(find_browser)
    return exit_status(lambda: print(print_book(options.source, options.target)))


if __name__ == "__main__":
    sys.exit(main())

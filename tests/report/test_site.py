"""The whole way, from `make book` with a run that fails to pages in a browser, on desktop and phone, dark and light."""

import functools
import html
import http.server
import re
import subprocess
import sys
import threading
from pathlib import Path
from urllib.parse import unquote, urldefrag, urljoin

import pytest
from checkout import copy_checkout
from pypdf import PdfReader
from small_glue import write_glue

from bertglue.errors import InputError
from bertglue.report import build_pdf

pytestmark = pytest.mark.whole

SIZES = {"desktop": (1280, 900), "phone": (390, 844)}
SMALLER = """pruning_seeds: 1
pruning_rows: 16
pruning_step: 4
trials: 1
trial_rows: 32
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Run the README's command for real data in a copy of the checkout, on small files, with an RTE run that has to
    fail."""
    folder = copy_checkout(tmp_path_factory.mktemp("a book") / "in a folder")  # whose name has a space
    write_glue(folder / "glue")
    (folder / "params/compression/glue.yaml").write_text(SMALLER)
    for task, line in (("mrpc", "hold_out: 0.25"), ("rte", "max_length: 999")):
        with (folder / f"params/tasks/{task}.yaml").open("a") as file:
            file.write(f"{line}\n")
    given = ["PROFILE=glue", "TASKS=mrpc rte", "GLUE_DIR=glue", "READY=", f"BIN={Path(sys.executable).parent}"]
    done = subprocess.run(["make", "book", *given], cwd=folder, capture_output=True, text=True, timeout=900)
    return folder, done


def test_the_book_is_built_without_the_run_that_failed_and_make_names_it(built):
    folder, done = built
    assert (folder / "book/_build/html/index.html").exists(), done.stdout + done.stderr
    assert done.returncode != 0
    missing = "the book lacks 1 of its 3 runs and compressions: rte/lr0.0003-seed0: failed"
    assert f"{missing} (InputError: max_length is 999" in done.stderr
    status = (folder / "book/_build/html/pages/status.html").read_text()
    assert "max_length is 999" in html.unescape(status)
    build = (folder / "book/_build/html/pages/build.html").read_text()
    assert "<td>failed</td>" in build
    assert "<td>not run</td>" in build
    assert (folder / "book/_build/html/tasks/mrpc.html").exists()
    assert not (folder / "book/_build/html/tasks/rte.html").exists()
    assert (folder / "book/_build/html/compressed/mrpc.html").exists()
    assert "of 8 on MRPC" in (folder / "book/_build/html/pages/modifications.html").read_text()
    assert "1 of 1 were compressed" in status


# ---------------------------------------------------------------- in a browser


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments):
        pass


@pytest.fixture(scope="module")
def site(built):
    """Serve the built book on this machine; give its folder and its address."""
    html = built[0] / "book/_build/html"
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=html)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield html, f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.fixture(scope="module")
def chromium():
    try:
        path = build_pdf.find_browser()
    except InputError as error:
        pytest.skip(str(error))
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=path, args=[*build_pdf.sandbox(), *build_pdf.CHROMIUM_OPTIONS]
        )
        yield browser
        browser.close()


@pytest.fixture
def open_page(chromium, site):
    """Open pages of the book in a window of a size; every complaint of the browser is collected in `complaints`."""
    contexts = []

    def open_page(path, size="desktop", **options):
        width, height = SIZES[size]
        context = chromium.new_context(viewport={"width": width, "height": height}, **options)
        contexts.append(context)
        page = context.new_page()
        page.complaints = []
        page.on("console", lambda message: message.type == "error" and page.complaints.append(message.text))
        page.on("pageerror", lambda error: page.complaints.append(str(error)))
        page.on("requestfailed", lambda request: page.complaints.append(f"{request.url}: {request.failure}"))
        page.goto(urljoin(site[1], path), wait_until="load")
        return page

    yield open_page
    for context in contexts:
        context.close()


def pages_of(html: Path) -> list[str]:
    return sorted(str(path.relative_to(html)) for path in html.rglob("*.html") if "_static" not in path.parts)


# what is cut off: wider than the window, or than the box that it scrolls in where that box is wider than the window
WIDE = """() => [...document.querySelectorAll('.bd-article table, .bd-article pre, .bd-article img, .bd-article svg')]
  .filter(e => e.offsetParent).map(e => {
    let box = e;
    while (box.parentElement && !['auto', 'scroll'].includes(getComputedStyle(box).overflowX)) box = box.parentElement;
    return [e, (box.parentElement ? box : e).getBoundingClientRect().right];
  }).filter(([e, right]) => right > innerWidth + 1).map(([e, right]) => `${e.tagName} ${e.className} ${right}`)"""
BROKEN = "() => [...document.images].filter(i => i.offsetParent && !i.naturalWidth).map(i => i.src)"
UNNAMED = "() => [...document.images].filter(i => i.closest('.cell_output') && !i.alt).map(i => i.src)"


@pytest.mark.parametrize("size", SIZES)
def test_every_page_loads_whole_and_fits(open_page, site, size):
    found = pages_of(site[0])
    assert {"intro.html", "pages/results.html", "tasks/mrpc.html", "references.html"} <= set(found)
    for path in found:
        if path == "index.html":  # leads to the first page
            assert open_page(path).wait_for_url("**/intro.html") is None
            continue
        page = open_page(path, size)
        page.evaluate("() => document.querySelectorAll('img').forEach(i => i.loading = 'eager')")
        page.wait_for_load_state("networkidle")
        assert page.complaints == [], path
        assert page.evaluate(BROKEN) == [], path
        assert page.evaluate(UNNAMED) == [], path
        assert page.evaluate("() => document.documentElement.scrollWidth - innerWidth") <= 1, path
        assert page.evaluate(WIDE) == [], path
        page.context.close()


def test_every_link_within_the_book_leads_somewhere(site):
    html, checked = site[0], 0
    texts = {path: (html / path).read_text(encoding="utf-8") for path in pages_of(html)}
    for path, text in texts.items():
        for link in re.findall(r'<a\b[^>]*?href="([^"]*)"', text):
            if re.match(r"[a-z]+:", link):
                assert link.startswith(("https://", "mailto:")), f"{path}: {link}"
                continue
            target, anchor = urldefrag(urljoin(f"/{path}", link))
            target = unquote(target).lstrip("/")
            assert (html / target).exists(), f"{path}: {link}"
            if anchor and target.endswith(".html"):
                assert f'id="{unquote(anchor)}"' in texts[target], f"{path}: {link}"
            checked += 1
    assert checked > 100


@pytest.mark.parametrize(
    ("words", "title"),
    [("Matthews", "Results"), ("hyperparameter", "Experiment design"), ("mixed precision", "Experiment design"),
     ("overfitting", "Results")],
)  # fmt: skip
def test_the_search_finds_the_terms_of_the_field(open_page, words, title):
    page = open_page(f"search.html?q={words.replace(' ', '+')}")
    page.wait_for_selector("#search-results li a", timeout=20_000)
    titles = page.locator("#search-results li a").all_inner_texts()
    assert title in titles
    assert page.complaints == []


def test_texts_of_data_sets_are_text(open_page):
    for path in ("tasks/mrpc.html", "pages/data.html", "pages/build.html"):
        page = open_page(path)
        assert "<script>window.hacked = 1</script><img src=x onerror=" in page.inner_text("article")
        assert page.evaluate("() => window.hacked") is None


CONTRAST = """() => {
  const parse = c => c.match(/[\\d.]+/g).map(Number);
  const linear = v => v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4;
  const light = c => { const [r, g, b] = c.map(v => linear(v / 255)); return .2126 * r + .7152 * g + .0722 * b; };
  const behind = e => { for (; e; e = e.parentElement) { const c = parse(getComputedStyle(e).backgroundColor);
    if (c.length < 4 || c[3] > .5) return c; } return [255, 255, 255]; };
  const worst = {};
  const texts = 'article p, article td, article th, figcaption, article h2, details.hide summary';
  for (const e of document.querySelectorAll(texts)) {
    if (!e.offsetParent || !e.innerText.trim()) continue;
    const a = light(parse(getComputedStyle(e).color)), b = light(behind(e));
    const ratio = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
    worst[e.tagName] = Math.min(worst[e.tagName] ?? 99, ratio);
  }
  return worst;
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_light_and_dark_are_readable(open_page, scheme):
    page = open_page("pages/results.html", color_scheme=scheme)
    assert page.evaluate("() => document.documentElement.dataset.theme") == scheme
    worst = page.evaluate(CONTRAST)
    assert {"P", "TD", "TH", "FIGCAPTION", "H2"} <= set(worst)
    assert min(worst.values()) > 4.5, worst  # WCAG 2.1, level AA


def test_every_page_of_a_notebook_opens_in_colab_and_can_be_downloaded(site):
    for path in pages_of(site[0]):
        if path.startswith(("pages/", "tasks/")) or path == "intro.html":
            text = (site[0] / path).read_text(encoding="utf-8")
            notebook = "finetune" if path.startswith("tasks/") else Path(path).stem
            assert re.search(
                rf"colab\.research\.google\.com/github/[\w/-]+/blob/main/notebooks/{notebook}\.ipynb", text
            ), path
            assert re.search(r'href="[^"]*_sources/[^"]*\.ipynb"', text), path


def test_the_book_prints_as_one_document(built, chromium, tmp_path):
    target = build_pdf.print_book(built[0] / "runs/glue/book", tmp_path / "book.pdf")
    content = target.read_bytes()
    assert content.startswith(b"%PDF")
    pages = PdfReader(target).pages
    assert 20 < len(pages) <= 40
    contents = re.findall(r"\d+\. (\D+?) (\d+)$", pages[0].extract_text(), re.MULTILINE)
    assert ("Errata", "3") in contents or len(contents) > 10, pages[0].extract_text()
    assert [path.name for path in tmp_path.iterdir()] == ["book.pdf"]


def test_without_a_browser_there_is_one_line(built, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(build_pdf, "BROWSERS", ())
    monkeypatch.delenv("CHROMIUM", raising=False)
    assert build_pdf.main([str(built[0] / "runs/glue/book"), str(tmp_path / "book.pdf")]) == 1
    assert capsys.readouterr().err.startswith("no Chromium is here to print with; install one")
    assert not any(tmp_path.iterdir())

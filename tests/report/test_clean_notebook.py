"""A run's notebook is data: nothing in it is executed, included or followed when the book is built from it."""

import base64
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from markdown_it import MarkdownIt
from paths import ROOT

from bertglue.report import build_book
from bertglue.report.clean_notebook import as_text, clean_html, clean_notebook, clean_svg

PNG = base64.b64encode(b"\x89PNG\r\n\x1a\nrest").decode()
SCRIPT = "<script>window.hacked = 1</script>"


def code(source="1", **output):
    cell = nbformat.v4.new_code_cell(source)
    if output:
        cell.outputs = [nbformat.v4.new_output("display_data", data=output)]
    return cell


def cleaned(*cells, metadata=None, own="# Mine"):
    executed = nbformat.v4.new_notebook(cells=list(cells), metadata=metadata or {})
    template = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_markdown_cell(own)], metadata={"kernelspec": {"name": "python3", "display_name": "x"}}
    )
    return clean_notebook(executed, template)


def test_metadata_is_the_templates():
    evil = {"name": "evil", "display_name": "x"}
    hostile = {"mystnb": {"execution_mode": "force"}, "kernelspec": evil, "widgets": {}, "jupytext": {}}
    assert cleaned(code(), metadata=hostile).metadata == {"kernelspec": {"name": "python3", "display_name": "x"}}


def test_of_a_cell_only_known_tags_are_left():
    cell = code()
    cell.metadata = {"tags": ["hide-input", "raises-exception", "full-width"], "mystnb": {"code_prompt": "x"}}
    assert cleaned(cell).cells[0].metadata == {"tags": ["hide-input"]}


def test_markdown_of_the_template_is_kept_and_other_is_text():
    own, other = cleaned(
        nbformat.v4.new_markdown_cell("# Mine"), nbformat.v4.new_markdown_cell("## Other\n\n{{ 1 }} is *it*")
    ).cells
    assert own.source == "# Mine"
    assert other.source == "## Other\n\n\\{\\{ 1 \\}\\} is \\*it\\*"


def test_an_attachment_and_a_raw_cell_are_gone():
    svg = {"a.svg": {"image/svg+xml": "PHN2Zz4="}}
    attached = nbformat.v4.new_markdown_cell("![x](attachment:a.svg)", attachments=svg)
    raw = nbformat.v4.new_raw_cell(SCRIPT, metadata={"format": "text/html"})
    attached, raw = cleaned(attached, raw).cells
    assert "attachments" not in attached
    assert raw.cell_type == "markdown"
    assert "<" not in raw.source.replace("\\<", "")


@pytest.mark.parametrize(
    "source",
    [
        "```{literalinclude} /etc/passwd\n```", ":::{include} /etc/passwd\n:::", "{eval-rst}`x`", "{{ config }}",
        "{% for x in y %}", "<script>1</script>", "<img src=x onerror=1>", "[x](javascript:1)", "![x](/etc/passwd)",
        "(target)=\n# x", "% comment", "+++", "---\nkey: value\n---", "    indented", "1. list\n- list", "> quote",
        "| a | b |\n|---|---|\n| 1 | 2 |", "$x$ and $$y$$", "[^1]: note", "&lt;b&gt;", "<https://x>", "Term\n: text",
        "`code`", "~~~\nfence\n~~~", "- [ ] task", "Setext\n======", "\\", "a\\\nb",
    ],
)  # fmt: skip
def test_any_other_markdown_is_shown_as_it_is_written(source):
    """What a Markdown parser makes of the escaped text is paragraphs of that text."""
    tokens = MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(as_text(source))
    kinds = {token.type.removesuffix("_open").removesuffix("_close") for token in tokens}
    assert kinds <= {"paragraph", "heading", "inline"}
    inline = [child for token in tokens for child in token.children or []]
    assert {child.type for child in inline} <= {"text", "text_special", "softbreak"}
    shown = "".join(child.content for child in inline)
    written = "".join(line.removeprefix("# ") for line in source.splitlines())
    assert "".join(shown.split()) == "".join(written.split())


@pytest.mark.parametrize(
    "html",
    [
        SCRIPT, "<img src=x onerror=alert(1)>", "<svg onload=alert(1)></svg>", "<iframe src=//x></iframe>",
        "<a href='javascript:alert(1)'>x</a>", "<div onclick=alert(1)>x</div>", "<style>* {display: none}</style>",
        "<form action=//x><input></form>", "<object data=x></object>", "<link rel=stylesheet href=//x>",
        "<meta http-equiv=refresh content='0;url=//x'>", "<td style='background: url(//x)'>1</td>",
        "<math><mi xlink:href='data:x,<script>1</script>'></math>", "<!--[if IE]><script>1</script><![endif]-->",
        "<base href=//x>", "<table background=//x>", "<p style='position: fixed; top: 0'>x</p>",
    ],
)  # fmt: skip
def test_html_of_an_output_loses_what_could_run_or_fetch(html):
    clean = clean_html(f"<table class='dataframe'><tr><td>kept</td></tr></table>{html}")
    assert clean.startswith('<table class="dataframe">')
    lowered = clean.lower().replace("&lt;", "")
    for word in ("<script", "onerror", "onload", "onclick", "javascript:", "<iframe", "<style", "<form", "<svg", "//x"):
        assert word not in lowered, clean
    assert "position" not in lowered


def test_of_outputs_text_tables_and_figures_are_left():
    shown = cleaned(
        code(**{"text/html": "<table><tr><td>1</td></tr></table>", "text/plain": "1", "application/javascript": "x"}),
        code(**{"image/png": PNG, "text/plain": "<Figure>", "image/svg+xml": "<svg onload=1>"}),
        code(**{"image/png": base64.b64encode(SCRIPT.encode()).decode(), "text/latex": "$x$"}),
        code(**{"application/papermill.record/x": "1", "text/markdown": "**{{ 1 }}** <script>1</script>"}),
    ).cells
    assert [[set(output.data) for output in cell.outputs] for cell in shown] == [
        [{"text/html", "text/plain"}], [{"image/png", "text/plain"}], [], [{"text/html"}],
    ]  # fmt: skip


@pytest.mark.parametrize(
    "inside",
    [
        "<script>1</script>", "<a href='javascript:1'><text>x</text></a>", "<image href='http://x/y.png'/>",
        "<foreignObject><body/></foreignObject>", "<use href='other.svg#a'/>", "<g onload='1'/>",
        "<animate onbegin='1'/>",
        "<style>@import url(//x);</style>", "<path style='fill: url(http://x)'/>", "<set attributeName='href' to='x'/>",
    ],
)  # fmt: skip
def test_a_figure_loses_what_could_run_or_fetch(inside):
    svg = f"<svg xmlns='http://www.w3.org/2000/svg'><path d='M 0 0' style='fill: url(#a)'/>{inside}</svg>"
    clean = clean_svg(svg)
    assert "M 0 0" in clean
    assert "url(#a)" in clean
    for word in ("script", "http://x", "foreignObject", "other.svg", "onload", "onbegin", "import", "<set", "<a "):
        assert word not in clean


def test_what_is_no_figure_is_left_out():
    assert clean_svg("<html/>") is None
    assert clean_svg("no xml") is None
    assert clean_svg("<!DOCTYPE svg [<!ENTITY a 'b'>]><svg>&a;</svg>") is None


def test_a_figure_of_matplotlib_is_kept_whole():
    import io

    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(2, 2))
    axes.plot([0, 1], [1, 0], label="a line")
    axes.imshow([[0, 1], [1, 0]])
    axes.legend()
    file = io.StringIO()
    figure.savefig(file, format="svg")
    plt.close(figure)
    before, after = file.getvalue(), clean_svg(file.getvalue())
    for tag in ("<path", "<use", "<image", "clipPath", "<g "):
        assert after.count(tag) == before.count(tag), tag


def test_a_cleaned_page_of_our_own_shows_what_it_showed():
    own = nbformat.read(ROOT / "notebooks/finetune.ipynb", as_version=4)
    cells = clean_notebook(own, own).cells
    assert [cell.metadata for cell in cells] == [cell.metadata for cell in own.cells]
    assert [(cell.cell_type, cell.source) for cell in cells] == [(cell.cell_type, cell.source) for cell in own.cells]


def hostile_run(folder, secret, proof):
    """Write a run's notebook that would execute, include, substitute and script, if it were a source."""
    act = f"open({str(proof)!r}, 'a').write('x')"
    markdown = [
        f"# RTE\n\n{{{{ cycler.__init__.__globals__.os.popen('touch {proof}') }}}}",
        f"```{{literalinclude}} {secret}\n```", f"```{{code-cell}} python\n{act}\n```", f":::{{include}} {secret}\n:::",
        f"```{{raw}} html\n:file: {secret}\n```", f"<script>{SCRIPT}</script><img src=x onerror=alert(1)>",
        f"```{{eval-rst}}\n.. include:: {secret}\n```", "[x](javascript:alert(1))", f"{{eval}}`{act}`",
    ]  # fmt: skip
    cells = [nbformat.v4.new_markdown_cell(text) for text in markdown]
    output = {"text/html": SCRIPT + "<img src=x onerror=alert(1)>", "application/javascript": "alert(1)"}
    cells += [code(act, **output), nbformat.v4.new_raw_cell(SCRIPT, metadata={"format": "text/html"})]
    metadata = {
        "mystnb": {"execution_mode": "force"},
        "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"},
    }
    folder.mkdir(parents=True)
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=metadata), folder / "finetune.ipynb")
    return folder / "finetune.ipynb"


@pytest.mark.whole
def test_a_book_of_a_hostile_run_executes_includes_and_scripts_nothing(tmp_path, monkeypatch):
    secret, proof = tmp_path / "secret.txt", tmp_path / "proof"
    secret.write_text("what nobody should read")
    run = hostile_run(tmp_path / "runs/toy/rte/lr0.001-seed0", secret, proof)
    page = tmp_path / "runs/toy/pages/intro.ipynb"
    page.parent.mkdir(parents=True)
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("# Front")]), page)
    monkeypatch.chdir(ROOT)
    source = tmp_path / "source"
    build_book.assemble_book(source, "full", [page, run])
    command = [Path(sys.executable).with_name("jupyter-book"), "build", source, "--path-output", tmp_path / "made"]
    done = subprocess.run([*command, "--config", source / "_config.yml", "--all"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    html = (tmp_path / "made/_build/html/tasks/rte.html").read_text()
    assert not proof.exists()
    article = html[html.index("<article") : html.index("</article>")]
    assert "what nobody should read" not in article
    assert "<script>window" not in article
    assert "onerror=alert" not in article.replace("onerror=alert(1)&gt;", "")
    assert 'href="javascript' not in article
    assert "cycler.__init__" in article  # it is shown

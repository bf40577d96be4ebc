"""The printed book: what of the single page goes into the paper, and its abstract. The printing itself: `test_site`."""

from paths import ROOT

from bertglue.report import build_pdf

PAGE = """<html><head></head><body><article class="bd-article">
<span id="document-intro"></span><section id="a"><h1>Title</h1>
<section id="what-was-found"><h2>What was found</h2><ol class="simple"><li>First.</li></ol></section>
<section id="what-the-report-claims"><p>Of 21 claims of the report: 5 confirmed.</p></section>
<section id="what-is-in-this-book"><p>Links.</p></section></section>
<span id="document-pages/results"></span><section class="tex2jax_ignore mathjax_ignore" id="results">
<h2>Results<a class="headerlink" href="#results">#</a></h2><p>A table.</p>
<section id="exercises"><p>An exercise.</p></section></section>
<span id="document-tasks/rte"></span><section class="tex2jax_ignore mathjax_ignore" id="rte">
<h2>RTE<a class="headerlink" href="#rte">#</a></h2><p>A notebook.</p></section>
<span id="document-guides/quick_start"></span><section id="quick"><p>A guide.</p></section>
<span id="document-guides/bert_in_sixty_lines"></span><section id="sixty"><p>Its code.</p></section>
<script>alert(1)</script></article></body></html>"""
CONFIG = {"title": "A <title>", "author": "Somebody", "html": {}}


def test_the_paper_has_the_chapters_and_not_the_notebooks_exercises_and_guides():
    paper = build_pdf.as_paper(PAGE, CONFIG, {"document-pages/results": 7})
    chapter = '<li><a href="#document-pages/results"><span>Results</span><span class="page">7</span></a></li>'
    for there in ("A table.", "Its code.", "A &lt;title&gt;", chapter):
        assert there in paper
    for gone in ("A notebook.", "A guide.", "An exercise.", "Links.", "alert(1)", ">RTE<"):
        assert gone not in paper


def test_the_abstract_is_what_was_found_and_the_count_of_verdicts():
    paper = build_pdf.as_paper(PAGE, CONFIG)
    abstract = paper[paper.index('class="abstract"') : paper.index('href="#document-pages/results"')]
    assert "First." in abstract
    assert "Of 21 claims of the report: 5 confirmed." in abstract
    assert build_pdf.abstract_of("<html></html>") == ""


def test_the_browser_is_looked_for_before_hours_of_runs(monkeypatch, capsys):
    monkeypatch.setattr(build_pdf, "BROWSERS", ())
    monkeypatch.delenv("CHROMIUM", raising=False)
    assert build_pdf.main(["--check"]) == 1
    assert capsys.readouterr().err.startswith("no Chromium is here to print with; install one")
    makefile = (ROOT / "Makefile").read_text()
    assert makefile.index("build_pdf --check") < makefile.index("$(BUILD) && {")

"""Whatever a text of a run's files is, a page and a terminal show it as text: no markup, no script, no broken line."""

import html
import io
import json
import re
from html.parser import HTMLParser

import pytest
from made_runs import make_runs, write_compression
from markdown_it import MarkdownIt
from robustness.mutations import HOSTILE_TEXTS
from shown import SHOWN, WITHOUT_RUNS

from bertglue.errors import InputError
from bertglue.evaluation.published_scores import TABLE_1_COLUMNS
from bertglue.report.escaping import escape_line, escape_text
from bertglue.report.pages import modifications, protocol
from bertglue.runs import status
from bertglue.runs.collection import Runs, load_runs

OWN_TAGS = {"table", "thead", "tbody", "tr", "th", "td", "br", "div", "p", "strong", "em", "a", "code", "ul", "li"}
OWN_ATTRIBUTES = {"class", "style", "href", "scope"}
CODES = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
FREE_KEYS = ("labels", "versions")  # of a record: objects whose keys are shown
KEPT = ("task", "run", "order", "state")  # texts that a reader knows each value of


FIGURES = (  # without a text of a file; the others are drawn
    "scores_figure", "confusion_matrices", "reliability", "calibration", "training_curves", "lengths", "schedule",
    *TABLE_1_COLUMNS,
)  # fmt: skip


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    place = tmp_path_factory.mktemp("runs")
    make_runs(place, ["sst2", "stsb", "mnli"])
    return place


def poisoned(value, text, free=False):
    """Return parsed JSON with a text in place of every one that a page may show, and of the keys that it may."""
    if isinstance(value, dict):
        return {
            f"{text} {at}" if free and not isinstance(inside, dict) else key: inside
            if key in KEPT
            else poisoned(inside, text, free or key in FREE_KEYS)
            for at, (key, inside) in enumerate(value.items())
        }
    if isinstance(value, list):
        return [poisoned(inside, text, free) for inside in value]
    return text if isinstance(value, str) else value


def hostile_runs(place, text):
    """Return the runs of a book with a text everywhere, checked by nothing."""
    runs = load_runs(place / "results.json")
    records = [poisoned(record, text) for record in runs.records]
    states = [{"task": "rte", "run": text, "state": text, "reason": text, "learning_rate": 0.1, "seed": 0}]
    smaller = [{"task": "rte", "run": text, "state": text, "reason": text}]
    for record in records:
        path = place / record["run"] / "texts.json"
        found = poisoned(json.loads(path.read_text()), text)
        for rows in (*found["first"].values(), *found["hardest"].values(), found["samples"]):
            for row in rows:
                row[text] = text
        path.write_text(json.dumps(found))
    return Runs(records, states, place, smaller)


class Tags(HTMLParser):
    """Collect what a page has beside text that no page of ours has."""

    def __init__(self):
        super().__init__()
        self.strange = []

    def handle_starttag(self, tag, attributes):
        if tag not in OWN_TAGS or {name for name, _ in attributes} - OWN_ATTRIBUTES:
            self.strange.append((tag, attributes))
        self.strange += [value for name, value in attributes if name == "href" and not re.match(r"\w+\.html", value)]

    def handle_comment(self, data):
        self.strange.append(data)


def strange(text):
    tags = Tags()
    tags.feed(text)
    return tags.strange


def as_html(shown) -> str:
    """Return the HTML that a page has of a table, a sentence of Markdown, or a figure."""
    if hasattr(shown, "savefig"):
        target = io.StringIO()
        shown.savefig(target, format="svg")
        return "".join(re.findall(r"<(?:script|img|foreignObject)\b.*?>", target.getvalue()))
    return shown.data if hasattr(shown, "data") else MarkdownIt("commonmark", {"html": True}).render(shown)


@pytest.mark.parametrize("text", [text for text in HOSTILE_TEXTS if "\0" not in text and len(text) < 1000])
def test_a_text_is_shown_as_text_wherever_it_stands(place, text):
    hostile = hostile_runs(place, text)
    shown = {name: show(hostile) for name, show in SHOWN.items() if name not in (*FIGURES, *WITHOUT_RUNS)}
    shown |= {show.__name__: show(hostile.records) for show in (protocol.summary, protocol.failures)}
    for name, page in shown.items():
        assert strange(as_html(page)) == [], name
        source = getattr(page, "data", page)  # before Markdown is rendered
        if isinstance(source, str):
            assert not CODES.search(source), name
            assert "{{" not in source, name
            assert "```" not in source, name


def test_a_compression_is_shown_as_text(tmp_path):
    for text in HOSTILE_TEXTS:
        found = json.loads(write_compression(tmp_path, "sst2").read_text())
        found["encoder"] = found["source"] = found["files"][0]["model"] = found["files"][0]["kind"] = text
        for show in (modifications.files, modifications.scores, modifications.selections, modifications.losses):
            assert strange(as_html(show({"sst2": found}))) == []


@pytest.mark.parametrize("text", HOSTILE_TEXTS)
def test_an_escaped_text_is_the_same_text_in_html_and_in_markdown(text):
    whole, line = CODES.sub("\N{REPLACEMENT CHARACTER}", text), " ".join(text.split())
    assert html.unescape(escape_text(text)) == whole
    rendered = MarkdownIt("commonmark", {"html": True}).render(f"is *{escape_line(text)}*, and so on")
    assert strange(rendered) == []
    assert CODES.sub("\N{REPLACEMENT CHARACTER}", line) in html.unescape(rendered)


def test_a_status_in_a_terminal_is_one_line_without_codes(tmp_path):
    state = {"task": "rte", "run": "rte/a", "state": "\x1b[31mred", "reason": "one\r\ntwo\x07\u202e"}
    (tmp_path / "status.json").write_text(json.dumps({"runs": [state], "compressions": []}))
    with pytest.raises(InputError) as raised:
        status.check_status(tmp_path / "status.json")
    assert not set(str(raised.value)) & set("\x1b\x07\r\n\u202e")

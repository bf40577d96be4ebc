"""What a user reads: the words of the field, commands that exist, links that lead somewhere, texts made of records."""

import re

import nbformat
import pytest
from paths import ROOT
from typer.main import get_command

from bertglue.cli import app
from bertglue.tools import generated_texts

README_WORDS = 800
PHRASES = (  # what the field has a term for
    "made smaller", "small world", "fresh weights", "finds by itself", "found by itself", "embedded source",
    "embedded encoder", "an answer that reads nothing", "rows of like length", "fine-tuned again", "heads go",
    "batches that share an update", "gets no better", "where it errs", "there for the shape", "it has looked",
)  # fmt: skip
TERMS = (
    "hyperparameter", "mixed precision", "early stopping", "dynamic padding", "length bucketing",
    "gradient accumulation", "randomly initialized", "data parallel", "error analysis", "learning rate",
    "majority-class baseline", "overfitting",
)  # fmt: skip
GUIDES = sorted((ROOT / "book/guides").glob("*.md"))
DOCUMENTS = [ROOT / "README.md", *GUIDES]
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")


def notebook_text(path):
    cells = nbformat.read(path, as_version=4).cells
    return "\n".join(
        cell.source for cell in cells if cell.cell_type == "markdown" or "parameters" in str(cell.metadata)
    )


def texts():
    found = {path.name: path.read_text(encoding="utf-8") for path in DOCUMENTS}
    return found | {path.name: notebook_text(path) for path in sorted((ROOT / "notebooks").glob("*.ipynb"))}


def commands(name: str) -> list[str]:
    """List the lines of a document's code that begin with a command."""
    text = (ROOT / name).read_text(encoding="utf-8")
    blocks = re.findall(r"```console\n(.*?)```", text, re.DOTALL) + re.findall(r"`([^`\n]+)`", text)
    lines = [line.removeprefix("$ ") for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    return [line for line in lines if re.match(r"(make|bertglue|papermill) ", line)]


NAMES = [str(path.relative_to(ROOT)) for path in DOCUMENTS]


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").split()) <= README_WORDS


def test_the_terms_of_the_field_are_there_and_their_circumscriptions_are_not():
    every = {name: " ".join(text.split()).lower() for name, text in texts().items()}
    assert [(name, phrase) for name, text in every.items() for phrase in PHRASES if phrase in text] == []
    whole = " ".join(every.values())
    assert [term for term in TERMS if term not in whole] == []


def test_what_follows_from_code_and_records_is_up_to_date():
    for name, parts in generated_texts.PARTS.items():
        text = (ROOT / name).read_text(encoding="utf-8")
        assert generated_texts.filled(text, parts) == text, f"{name}: run `make texts`"
    students = generated_texts.leave_gaps((ROOT / generated_texts.KEY).read_text(encoding="utf-8"))
    assert (ROOT / generated_texts.STUDENTS).read_text(encoding="utf-8") == students, "run `make texts`"
    assert students.count("# YOUR CODE HERE") == 5


@pytest.mark.parametrize("name", NAMES)
def test_a_command_that_is_named_exists(name):
    parts = get_command(app).commands
    targets = set(re.findall(r"^([a-z-]+)(?: [a-z-]+)*:", MAKEFILE, re.MULTILINE)) | {"book", "pdf"}
    for line in commands(name):
        words = line.split("#")[0].split()
        if words[0] == "bertglue" and words[1] in parts:
            known = {option for one in parts[words[1]].params for option in one.opts} | {"--help"}
            assert {word for word in words[2:] if word.startswith("-")} <= known, line
        elif words[0] == "bertglue":
            assert words[1].startswith(("[", "-")), line
        elif words[0] == "make":
            for word in words[1:]:
                if variable := re.match(r"([A-Z_]+)=", word):
                    assert re.search(rf"^{variable[1]} *[:?]?=|\$\({variable[1]}\)", MAKEFILE, re.MULTILINE), line
                elif re.fullmatch(r"[a-z-]+", word) and '"' not in line.split(word)[0]:
                    assert word in targets, line
        else:
            assert (ROOT / words[1]).exists(), line
            for file in re.findall(r"-f (\S+)", line):
                assert (ROOT / file).exists(), line


@pytest.mark.parametrize("name", NAMES)
def test_a_link_or_a_path_leads_somewhere(name):
    text, here = (ROOT / name).read_text(encoding="utf-8"), (ROOT / name).parent
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", text):
        assert (here / target).exists(), target
    for path in re.findall(r"`((?:lib|book|params|notebooks|tests|benchmarks)/[\w./-]+)`", text):
        assert (ROOT / path).exists() or "/_build/" in path, path


def test_links_of_the_guides_work_on_github_too():
    for path in GUIDES:
        text = path.read_text(encoding="utf-8")
        assert "{doc}" not in text, f"{path.name}: write [text](guide.md), or [text](../../notebooks/NAME.ipynb)"
        assert "](../pages/" not in text, path.name


def test_marks_that_are_gone_are_named(tmp_path):
    with pytest.raises(Exception, match="put them back"):
        generated_texts.filled("no marks", {"scores": lambda: "x"})

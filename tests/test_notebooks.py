"""The notebooks call what the text around them speaks of: a section of one task shows that task, real is real."""

import re

import nbformat
import pytest
from paths import ROOT

from bertglue.report.pages.contents import CURVE_FIGURES
from bertglue.tasks import TASKS
from bertglue.tools.book_plan import PAGES

TITLES = {task.title: name for name, task in TASKS.items()}


def cells(name):
    return nbformat.read(ROOT / "notebooks" / f"{name}.ipynb", as_version=4).cells


def sections(name, heading_pattern=r"^#+ (.+)$"):
    """Yield the last heading before each code cell, and the code."""
    heading = ""
    for cell in cells(name):
        if cell.cell_type == "markdown":
            found = re.findall(heading_pattern, cell.source, re.MULTILINE)
            heading = found[-1] if found else heading
        elif not set(cell.metadata.get("tags", [])) & {"setup", "parameters"}:
            yield heading, cell.source, cell.metadata


@pytest.mark.parametrize("name", PAGES)
def test_a_page_shows_the_runs_of_its_parameter_by_its_own_module(name):
    code = "\n".join(source for _, source, _ in sections(name))
    assert re.search(r"^runs = load_runs\(results\)$", code, re.MULTILINE)
    module = {"intro": "results", "hardware": "status"}.get(name, name)
    assert f"from bertglue.report.pages import {module} as page" in code


def test_a_section_on_a_task_shows_that_task():
    shown = {}
    for heading, code, _ in sections("data"):
        for call, task in re.findall(r'page\.(\w+)\(runs, "(\w+)"', code):
            assert task == ("mnli" if heading == "AX" else TITLES[heading]), (heading, code)
            shown.setdefault(task, set()).add(call)
    assert shown == dict.fromkeys(TASKS, {"facts", "majority", "examples"})
    assert any(heading == "AX" and '"mnli", "ax"' in code for heading, code, _ in sections("data"))


def test_figures_2_to_9_show_the_curves_that_they_name():
    drawn = {}
    for _, code, metadata in sections("results"):
        if found := re.fullmatch(r'page\.curves\(runs, "([\w-]+)"\)', code):
            drawn[metadata["mystnb"]["figure"]["name"]] = found[1]
    assert drawn == {f"fig-{number}": name for number, name in CURVE_FIGURES.items()}


def test_logs_and_samples_stand_under_their_figures():
    shown = []
    for heading, code, _ in sections("viability"):
        if found := re.fullmatch(r'page\.(log|samples)\(runs, "([\w-]+)"\)', code):
            kind = {"log": "training log", "samples": "samples"}[found[1]]
            assert re.fullmatch(rf"Figure \d+\. {found[2]} {kind}", heading), (heading, code)
            shown.append(int(re.search(r"\d+", heading)[0]))
    assert shown == [10, 11, 12, 13, 14, 15]


@pytest.mark.parametrize(
    ("name", "own", "kept"), [("modifications", "found", {"real"}), ("protocol", "runs", {"searched", "final", "real"})]
)
def test_what_is_of_this_build_stands_under_its_heading_and_apart_from_real_runs(name, own, kept):
    inside = False
    for heading, code, _ in sections(name, r"^##? (.+)$"):
        inside = inside or heading == "This build"
        if "load_runs" in code:
            continue
        read = set(re.findall(r"(?:page|common)\.\w+\((\w+)", code))
        assert read <= ({own, "runs"} if inside else kept), code
    assert inside


def test_the_fine_tuning_notebook_hands_each_parameter_to_what_it_is_for():
    code = "\n".join(source for _, source, _ in sections("finetune"))
    for line in (
        "load_encoder(parameters.encoder, dropout=parameters.encoder_dropout, seed=parameters.seed)",
        "build_classifier(encoder_model, data.task.outputs, parameters.dropout, parameters.pooling)",
        "load_preprocessor(parameters.encoder, parameters.max_length, preprocessor=parameters.preprocessor)",
        "load_data_for(parameters)",
        "tokenize_data(data, preprocess, parameters.cache_dir)",
        "choose_samples(data, parameters.samples)",
    ):
        assert line in code

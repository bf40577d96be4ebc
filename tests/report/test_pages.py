"""The pages: what they show follows from the runs, missing runs show as missing, and all of the report has a place."""

import copy
import json
import re
from pathlib import Path

import nbformat
import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from made_runs import TEXT, make_runs, write_compression
from paths import ROOT
from shown import SHOWN, as_text

from bertglue import load_encoder
from bertglue.atomic_files import write_json, write_text
from bertglue.evaluation import aggregate
from bertglue.evaluation.published_scores import TABLE_1_COLUMNS, published_numbers
from bertglue.models.bert import EncoderConfig, build_encoder
from bertglue.models.bundled import BUNDLED_FOLDER
from bertglue.report import sphinx_theme
from bertglue.report.pages import (
    build,
    common,
    contents,
    data,
    errata,
    model,
    modifications,
    pretraining_gain,
    results,
    status,
    viability,
)
from bertglue.report.pages.viability import TABLE_2_TASKS
from bertglue.runs.collection import Runs, collect_runs, load_runs


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return make_runs(tmp_path_factory.mktemp("runs"), source="folder")


@pytest.fixture(scope="module")
def runs(place):
    return load_runs(place)


@pytest.mark.parametrize("name", SHOWN)
def test_every_page_shows_some_runs_or_none(runs, place, name):
    few = Runs([runs["rte"], runs["stsb"]], place=place.parent)
    for shown in (few, Runs()):
        assert "nan" not in as_text(SHOWN[name](shown))


def test_what_was_printed_stands_beside_what_was_computed(runs, monkeypatch):
    table = results.table_1(runs).data
    assert "62.2 (84.1)" in table  # MNLI matched: task 6, epoch 2, which was kept, part 2
    assert "162.1 (30.7)" in table  # its training loss, times 100
    assert "12.1 (91.4)" in table  # CoLA's training accuracy
    assert "reference run" not in results.main_table(runs).data or results.runs_by_task()
    scores = {"metrics": 0.813, "interval": [0.79, 0.83], "baseline": 0.509}
    real = {name: {"validation": {"accuracy": value}} for name, value in scores.items()}
    monkeypatch.setattr(results, "runs_by_task", lambda: {"sst2": [real]})
    main = results.main_table(runs).data
    for cell in ("0.927", "0.923", "0.935", "0.750", "0.813"):  # the report, Hugging Face, the paper's test, here, real
        assert cell in main
    assert "test" in main
    assert "base 0.509" in main  # of real SST-2's majority


def test_every_score_of_the_reference_run_has_its_row_beside_a_build_of_some_tasks(runs, place):
    """The diagnostic set belongs to MNLI, which such a build may lack."""
    few = Runs([runs["rte"]], place=place.parent)
    rows = results.main_table(few).data.split("<tr>")
    (ax,) = [row for row in rows if "AX<br>" in row]
    mean = aggregate.seed_mean(results.runs_by_task()["mnli"], "ax", "matthews").mean
    assert f"{mean:.3f}" in ax
    assert "not run" in ax
    assert len(rows) == len(results.main_table(Runs()).data.split("<tr>"))


def test_toy_runs_stand_beside_no_real_number(runs, tmp_path):
    """What shows published numbers shows the same with a toy build as without any, and with the reference run."""
    toy = load_runs(make_runs(tmp_path))
    for name in (
        "main_table",
        "table_1",
        "cola_table",
        "f1_table",
        "table_2",
        "recipes",
        "overview",
        "encoders",
        "defects",
    ):
        assert as_text(SHOWN[name](toy)) == as_text(SHOWN[name](Runs())), name
    for name in (
        *TABLE_1_COLUMNS,
        "schedule",
        "label_balance",
        "lengths",
        *(f"log {title}" for title in TABLE_2_TASKS),
    ):
        assert as_text(SHOWN[name](toy)) == as_text(SHOWN[name](Runs())), name
    for name in ("main_table", "recipes", *(f"log {title}" for title in TABLE_2_TASKS)):
        assert "this build" not in as_text(SHOWN[name](toy)), name
    assert "(generated)" in as_text(data.examples(toy, "mrpc"))
    assert "The reference run" in common.real_banner(toy).data
    assert "own" not in common.banner(toy).data
    for some in (toy, Runs()):
        some.own = [{"task": "tweets", "state": "finished"}]
        assert "Tasks of your own have pages of their own: tweets (finished)." in common.banner(some).data
    assert common.real_banner(runs).data == common.banner(runs).data


def test_a_result_that_changes_changes_the_page(place, tmp_path):
    """Half right instead of three quarters: tables and sentences follow."""
    before, after = load_runs(place), load_runs(make_runs(tmp_path, right=0.5, source="folder"))
    for name in ("main_table", "scores", "cola_table", "f1_table"):
        assert SHOWN[name](before).data != SHOWN[name](after).data
    assert build.findings(before) != build.findings(after)
    assert "0.750" in build.scores(before).data
    assert "0.750" not in build.scores(after).data


def test_missing_runs_show_as_what_became_of_them(tmp_path):
    path = make_runs(tmp_path, ["cola"], source="folder")
    expected = {
        str(tmp_path / t / "lr2e-05-seed0"): {**load_runs(path)["cola"]["parameters"], "task": t}
        for t in ("cola", "rte", "mrpc")
    }
    (tmp_path / "rte").symlink_to(tmp_path / "cola")  # the record of another task
    write_text(tmp_path / "logs" / "mrpc-lr2e-05-seed0.log", "Executing\nOut of <memory>\n")
    collect_runs(expected, path, tmp_path / "logs")
    runs = load_runs(path)
    assert "mismatched (63.6)" in results.table_1(runs).data
    assert "failed (70.8)" in results.table_1(runs).data
    assert "not run (92.7)" in results.table_1(runs).data  # SST-2
    states = status.states(runs).data
    assert "Out of &lt;memory&gt;" in states
    assert "<memory>" not in states
    assert "Missing: rte (mismatched), mrpc (failed)" in status.summary(runs)
    assert "not GLUE" not in common.banner(runs).data
    assert contents.states(runs)["Figure", 8] == "failed"


def test_runs_on_some_rows_of_train_say_so(runs):
    """Wherever a page states how many rows a run was trained on."""
    record = copy.deepcopy(runs["mrpc"])
    record["parameters"]["train_rows"] = 48
    some = Runs([record, *(runs[task] for task in runs if task != "mrpc")])
    added = " Trained on a random subset of train: MRPC (48)."
    assert added in common.banner(some).data
    assert common.banner(some).data.replace(added, "") == common.banner(runs).data
    said = "48 (a random subset)"
    assert as_text(data.overview(some)).count(said) == as_text(data.facts(some, "mrpc")).count(said) == 1
    assert said not in as_text(data.facts(some, "cola"))
    assert viability.our_times(record)["train_examples"] == said
    assert said in errata.say_validation_data(Runs([record])).shown
    assert said in pretraining_gain.data_frame([record])["trained on"].tolist()


def test_compressions_show_as_what_became_of_them(runs, tmp_path):
    states = [
        {"task": task, "state": state, "reason": reason, "run": f"compressed/{task}"}
        for task, state, reason in (
            ("sst2", "finished", ""),
            ("mrpc", "failed", "Out of memory"),
            ("rte", "not run", ""),
        )
    ]
    for task in ("sst2", "mrpc"):
        write_compression(tmp_path / "compressed" / task, task)
    runs = Runs(runs.records, None, tmp_path, states)
    assert status.summary(runs) == (
        "9 of 9 runs finished. 1 of 3 were compressed. "
        "**Missing: mrpc, compressed (failed), rte, compressed (not run).**"
    )
    assert as_text(status.compressions(runs)).splitlines()[1:] == [
        "SST-2 | finished |", "MRPC | failed | Out of memory", "RTE | not run |"
    ]  # fmt: skip
    assert list(modifications.load_compressions(runs)) == ["SST-2"]


def test_compressions_are_named_by_what_they_differ_in():
    named = (("mrpc", "bundled", 0), ("cola", "minilm", 1), ("cola", "minilm", 0))
    made = [{"task": task, "encoder": encoder, "seed": seed} for task, encoder, seed in named]
    assert list(modifications.by_title(made)) == [
        "CoLA, MiniLM (seed 0)", "CoLA, MiniLM (seed 1)", "MRPC, bundled encoder",
    ]  # fmt: skip
    assert list(modifications.by_title(made[:1])) == ["MRPC"]


def test_a_compression_of_ones_own_task_is_shown_in_its_chapter_and_not_beside_glue(tmp_path):
    path = write_compression(tmp_path / "compressed" / "mail", "sst2")
    own = {"title": "mail", "columns": ["text"], "labels": ["ham", "spam"], "metrics": ["accuracy"]}
    record = json.loads(path.read_text()) | {
        "task": "mail",
        "own_task": own | {"validation": ["validation"], "test": []},
    }
    write_json(path, record)
    found = modifications.read_compressions([path])
    assert as_text(modifications.scores(found)).splitlines()[1].startswith("mail | Accuracy | 0.500")
    state = {"run": "compressed/mail", "task": "mail", "state": "finished", "reason": ""}
    assert modifications.load_compressions(Runs([], None, tmp_path, [state])) == {}


def test_without_compressions_the_chapter_says_so():
    assert modifications.findings({}) == "No run was compressed in this build."
    assert modifications.loss_findings({}) == ""


def test_texts_are_text_wherever_they_stand(runs):
    for name in ("hardest", "examples mrpc", "samples SST-2", "ax"):
        shown = SHOWN[name](runs).data
        assert "<script>" not in shown
        assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; so on" in shown
    assert TEXT not in "".join(getattr(show(runs), "data", "") for show in SHOWN.values())


# ---------------------------------------------------------------- the map of the published report


def slug(heading: str) -> str:
    return re.sub(r"\s", "-", re.sub(r"[^\w\s-]", "", heading.strip().lower()))


def anchors(page: str) -> set[str]:
    """List the anchors of a page of the book: its headings, and the names of its figures."""
    found = set()
    for cell in nbformat.read(ROOT / "notebooks" / f"{Path(page).name}.ipynb", as_version=4).cells:
        if cell.cell_type == "markdown":
            found |= {slug(line.lstrip("# ")) for line in cell.source.splitlines() if line.startswith("#")}
        found.add(cell.metadata.get("mystnb", {}).get("figure", {}).get("name"))
    return found


def test_every_section_table_and_figure_of_the_report_has_a_place():
    report = published_numbers()["report"]
    listed = {kind for kind, _, _ in contents.entries() if kind != "section"}
    assert listed == {"Table 1", "Table 2", *(f"Figure {number}" for number in report["figures"])}
    assert {title for kind, title, _ in contents.entries() if kind == "section"} >= set(report["sections"])
    assert {f"table_{number}" for number in contents.TABLES} == {key for key in report if key.startswith("table_")}


PLACES = {*(place for _, _, place in contents.entries()), *contents.BEYOND_THE_REPORT.values()}


@pytest.mark.parametrize("place", sorted(PLACES, key=str), ids=str)
def test_every_place_is_there(place):
    page, anchor = place
    assert anchor is None or anchor in anchors(page)


def test_a_figure_says_its_published_number():
    for page in ("data", "results"):
        for cell in nbformat.read(ROOT / "notebooks" / f"{page}.ipynb", as_version=4).cells:
            figure = cell.metadata.get("mystnb", {}).get("figure", {})
            if number := re.fullmatch(r"fig-(\d+)", figure.get("name", "")):
                assert figure["caption"].startswith(f"Figure {number[1]}. ")
                assert cell.metadata["mystnb"]["image"]["alt"]
    for number, name in contents.CURVE_FIGURES.items():
        assert name in published_numbers()["report"]["figures"][number]


def test_every_page_of_the_book_has_a_notebook_to_open():
    toc = yaml.safe_load((ROOT / "book" / "_toc.yml").read_text())
    pages = [chapter["file"] for part in toc["parts"] for chapter in part["chapters"]] + [toc["root"]]
    for page in pages:
        if not (ROOT / "book" / f"{page}.md").exists():
            assert (ROOT / sphinx_theme.notebook_of(page)).exists(), page


# ---------------------------------------------------------------- errata


def test_every_known_defect_has_its_evidence(runs):
    assert set(errata.LISTED) == {defect["id"] for defect in published_numbers()["known_defects"]}
    found = [one for _, one in errata.all_defects(runs)]
    assert len({one.wrong for one in found}) == len(found)
    assert all(re.search(r"\d", one.shown) or one.shown.startswith(errata.MATTER_OF_TEXT) for one in found)


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10_000))
def test_the_batchwise_f1_does_not_see_which_answer_was_given(seed):
    rng = np.random.default_rng(seed)
    labels, logits = rng.integers(0, 2, 100), rng.normal(0, 2, (100, 2))
    assert errata.batchwise_f1(labels, logits) == pytest.approx(errata.batchwise_f1(labels, logits[:, ::-1]))


def test_the_batchwise_f1_is_flat_near_what_was_printed():
    for name, share in (("MRPC", 0.684), ("QQP", 0.368)):
        values = [errata.batchwise_f1(*errata.simulated(share, right)) for right in (0.0, 0.5, 1.0)]
        assert np.ptp(values) < 0.01
        assert values[0] == pytest.approx(
            published_numbers()["report"]["table_1"][name]["validation_f1"] / 100, abs=0.02
        )
    assert errata.always_positive(0.684) == pytest.approx(0.812, abs=1e-3)


def test_accuracies_that_a_number_of_rows_cannot_give():
    assert errata.counts_for(0.9155, 872, 4) == []
    assert errata.counts_for(0.9155, 864, 4) == [791]
    assert errata.counts_for(0.636, 277, 3) == errata.counts_for(0.636, 256, 3) == []
    assert errata.counts_for(0.5, 10, 1) == [5]
    for rows in (7, 872):
        for right in range(rows + 1):
            assert right in errata.counts_for(round(right / rows, 4), rows, 4)
    assert errata.whole_batches(5463) == 5440


# ---------------------------------------------------------------- the model


@pytest.mark.parametrize("heads", [(2, 2), (2, 0)])
def test_parameters_are_those_of_the_built_encoder(heads):
    config = EncoderConfig(50, 8, 16, heads, 4, 16)
    sizes = {name: getattr(config, name) for name in model.BERT_BASE}
    assert model.total(sizes) == build_encoder(config).count_params()


def test_parameters_of_known_encoders():
    assert model.total(model.BERT_BASE) == 109_482_240  # as TF Hub's bert_en_uncased_L-12_H-768_A-12
    bundled = json.loads((BUNDLED_FOLDER / "encoder.json").read_text())
    assert model.total(bundled) == load_encoder("bundled").count_params()


def test_the_parts_of_an_encoder_are_named_by_their_layer():
    names = list(model.parts({**model.BERT_BASE, "heads": [12, 12]}))
    assert names[4:] == [
        f"layer {n}, {part}" for n in (1, 2) for part in ("attention", "feed-forward", "layer norms")
    ] + ["pooler"]

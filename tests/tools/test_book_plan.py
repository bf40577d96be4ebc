"""The plan of a book: what each run is asked for, which are compressed, shown and resumed, and by which command."""

import itertools
import json
import shlex
from dataclasses import replace

import pytest
from made_runs import RECIPE, write_compression, write_run
from paths import ROOT

from bertglue import InputError, Parameters
from bertglue.tools import book_plan
from bertglue.tools.book_plan import Plan, read_plan


@pytest.fixture(autouse=True)
def in_the_checkout(monkeypatch):
    monkeypatch.chdir(ROOT)


def plan(cores=2, **config) -> Plan:
    return read_plan({"tasks": "cola rte", **config}, cores)


def test_every_run_is_asked_for_its_own_learning_rate_and_seed():
    found = plan(seeds="4 7", learning_rates="1e-3 5e-4").runs
    asked = {(run["task"], run["learning_rate"], run["seed"]) for run in found.values()}
    assert asked == set(itertools.product(("cola", "rte"), (1e-3, 5e-4), (4, 7)))
    assert found["runs/toy/rte/lr0.0005-seed7"] == {
        **book_plan.read_parameters("toy", "rte", {}).model_dump(), "learning_rate": 5e-4, "seed": 7
    }  # fmt: skip
    assert next(iter(found)) == "runs/toy/cola/lr0.001-seed4"  # the first of the lists comes first


def test_without_lists_a_task_has_one_run_of_its_parameters():
    found = plan(tasks="mrpc", seeds=None, learning_rates="").runs
    (folder,) = found
    assert folder == f"runs/toy/mrpc/lr{found[folder]['learning_rate']}-seed0"
    assert found[folder]["learning_rate"] == 3e-4


def test_seed_zero_is_a_seed_although_snakemake_reads_it_as_a_number():
    assert plan(seeds=0).seeds == [0]
    assert plan(jobs=1).jobs == 1


def test_the_first_seed_and_learning_rate_are_compressed_and_shown():
    found = plan(tasks="sst2 rte", seeds="3 1", learning_rates="2e-3 1e-3")
    assert found.compressions == {"runs/toy/compressed/sst2/lr0.002-seed3": "sst2"}
    assert found.shown_runs == ["runs/toy/sst2/lr0.002-seed3", "runs/toy/rte/lr0.002-seed3"]
    assert set(found.shown_runs) < set(found.book_runs)


def test_seed_1_is_not_taken_for_seed_11():
    assert plan(tasks="rte", seeds="1 11").shown_runs == ["runs/toy/rte/lr0.0003-seed1"]


def test_a_partial_book_has_what_is_finished(tmp_path, monkeypatch):
    asked = {"epochs": 3}

    def parameters(profile, task, given):
        return Parameters(task=task, **RECIPE | asked | {"hold_out": 0.1})

    monkeypatch.setattr(book_plan, "read_parameters", parameters)
    monkeypatch.chdir(tmp_path)
    run, config = "runs/toy/rte/lr2e-05-seed0", {"tasks": "cola rte", "compress": "rte"}
    assert read_plan(config | {"partial": 1}, 2).book_runs == []
    write_run(tmp_path / run, parameters("toy", "rte", {}))
    write_compression(tmp_path / "runs/toy/compressed/rte/lr2e-05-seed0", "rte")
    found = read_plan(config | {"partial": 1}, 2)
    assert (found.book_runs, found.book_compressions) == ([run], ["runs/toy/compressed/rte/lr2e-05-seed0"])
    found = read_plan(config, 2)
    assert (len(found.book_runs), len(found.book_compressions)) == (2, 1)
    asked["epochs"] = 4  # what is there is of other parameters: the run that failed was to take its place
    found = read_plan(config | {"partial": 1}, 2)
    assert (found.book_runs, found.book_compressions) == ([], [])


@pytest.mark.parametrize(
    ("cores", "jobs", "threads"),
    [(8, "2", 4), (8, "3", 2), (2, "5", 1), (None, "20", 1), (6, None, 1), (None, None, 1)],
)
def test_jobs_share_the_cores(cores, jobs, threads):
    assert plan(cores, jobs=jobs).threads == threads


def test_what_was_given_reaches_papermill_and_the_download_as_one_word(tmp_path):
    folder = tmp_path / "my encoder; rm -rf ."
    folder.mkdir()
    found = plan(encoder=str(folder))
    assert shlex.split(found.papermill_options("glue_dir", "encoder")) == ["-r", "encoder", str(folder)]
    assert shlex.split(found.fetch_options()) == ["--encoder", str(folder)]
    assert found.parameters["rte"].encoder == str(folder)
    assert plan().papermill_options("glue_dir", "encoder") == plan().fetch_options() == ""


def test_an_encoder_that_was_made_anew_makes_the_runs_another(tmp_path):
    (tmp_path / "assets").mkdir()
    (tmp_path / "assets/vocab.txt").write_text("a")
    before = plan(encoder=str(tmp_path)).identity("rte")
    assert plan(encoder=str(tmp_path)).identity("rte") == before
    (tmp_path / "assets/vocab.txt").write_text("b")
    assert plan(encoder=str(tmp_path)).identity("rte") != before


def test_downloads_come_first_where_something_is_elsewhere(tmp_path):
    assert plan().downloads("rte") == []
    assert plan(encoder=str(tmp_path)).downloads("rte") == []
    assert plan(encoder="https://example.org/bert").downloads("rte") == ["runs/toy/fetched/rte.txt"]
    parameters = plan().parameters | {"rte": Parameters(task="rte", preprocessor="https://example.org/preprocess")}
    assert replace(plan(), parameters=parameters).downloads("rte") == ["runs/toy/fetched/rte.txt"]
    assert plan(profile="full").downloads("cola") == ["runs/full/fetched/cola.txt"]


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"compress": "mrpc"}, r"COMPRESS names 'mrpc'; choose from TASKS \(cola rte\), or give none"),
        ({"learning_rates": "fast"}, "LEARNING_RATES is 'fast'; list numbers"),
        ({"seeds": "0.5"}, "SEEDS is '0.5'; list numbers"),
        ({"jobs": "-1"}, "JOBS is -1; give one number, 1 or more"),
        ({"jobs": "2 3"}, "JOBS is 2 3; give one number, 1 or more"),
        ({"seeds": "0 -1"}, "SEEDS: parameter seed is -1"),
        ({"learning_rates": "1e-4 nan"}, "LEARNING_RATES: parameter learning_rate is nan"),
        ({"learning_rates": "0"}, "LEARNING_RATES: parameter learning_rate is 0"),
        ({"learning_rates": "20"}, "LEARNING_RATES: parameter learning_rate is 20"),
        ({"profile": "a/b"}, "PROFILE is 'a/b'; give the name of a file"),
        ({"encoder": "/models/my-bert"}, "'/models/my-bert' is no encoder that is known: no folder or file is called"),
        ({"encoder": "./my-bert"}, "'./my-bert' is no encoder"),
        (
            {"encoder": "minilm-v3"},
            "'minilm-v3' is no encoder .* or a name .bundled, bundled-random, bert-base-uncased",
        ),
    ],
)
def test_a_wrong_variable_is_named(config, message):
    with pytest.raises(InputError, match=message):
        plan(**config)


@pytest.mark.parametrize(
    "encoder",
    ["minilm-random", "google-bert/bert-base-cased@main", "https://example.org/bert", "tfhub.dev/a/bert/1"],
)
def test_an_encoder_that_may_be_elsewhere_is_not_looked_for(encoder):
    assert plan(encoder=encoder).parameters["rte"].encoder == encoder


def test_pages_depend_on_code_numbers_and_measurements_that_exist():
    sources = book_plan.page_sources()
    for name in ("report/pages/results.py", "evaluation/published_scores.yaml", "report/measured/bundled_runs.json"):
        assert f"lib/bertglue/{name}" in sources
    assert all((ROOT / name).is_file() for name in [*sources, *book_plan.book_sources()])
    assert {f"{page}.ipynb" for page in (*book_plan.PAGES, *book_plan.RECORDED_PAGES)} == {
        path.name for path in (ROOT / "notebooks").glob("*.ipynb")
    } - {"finetune.ipynb", "compress.ipynb", "pretrain.ipynb", "class.ipynb", "class_key.ipynb"}


def test_the_command_collects_what_was_asked_for(tmp_path, monkeypatch, capsys):
    """As the Snakefile calls it: the runs of the configuration, whatever files the sources have by then."""
    monkeypatch.setattr(book_plan.Plan, "folder", property(lambda plan: str(tmp_path / plan.profile)))
    config = plan(tasks="rte sst2", seeds="3 1", jobs=2).config
    assert book_plan.main([json.dumps(config)]) == 0
    assert capsys.readouterr().out.strip() == str(tmp_path / "toy" / "results.json")
    status = json.loads((tmp_path / "toy" / "status.json").read_text())
    assert [(run["run"], run["seed"], run["state"]) for run in status["runs"]] == [
        (f"{task}/lr0.0003-seed{seed}", seed, "not run") for task in ("rte", "sst2") for seed in (3, 1)
    ]
    assert [run["run"] for run in status["compressions"]] == ["compressed/sst2/lr0.0003-seed3"]
    assert book_plan.main(['{"tasks": "nonsense"}']) == 1


def test_tasks_after_the_intermediate_one_begin_with_its_encoder():
    found = plan(tasks="cola rte mrpc", intermediate="mnli", encoder="minilm", seeds="4 1")
    first = "runs/toy/mnli/lr0.0001-seed4"
    assert list(found.parameters) == ["cola", "rte", "mrpc", "mnli"]
    assert {task: checked.encoder for task, checked in found.parameters.items()} == {
        "cola": "minilm", "rte": first, "mrpc": first, "mnli": "minilm"
    }  # fmt: skip
    assert {checked.learning_rate for checked in found.parameters.values()} == {1e-4}  # of the encoder they come from
    assert found.needs("rte") == [f"{first}/record.json"]
    assert found.needs("cola") == ["runs/toy/fetched/cola.txt"]
    assert found.encoder_option("rte") == f"-r encoder {first}"
    assert found.encoder_option("cola") == found.encoder_option("mnli") == ""
    assert set(found.runs) >= {f"{first}", "runs/toy/rte/lr0.0001-seed1"}


def test_a_run_is_another_one_where_the_run_that_it_begins_with_is():
    before = plan(tasks="rte cola", intermediate="mnli", encoder="minilm")
    after = plan(tasks="rte cola", intermediate="mnli", encoder="bert-mini")
    assert before.identity("rte") != after.identity("rte")
    assert plan(tasks="rte").identity("rte") == plan(tasks="rte", intermediate="").identity("rte")


@pytest.mark.parametrize("line", ["task: other\n", ""])
def test_a_task_is_called_as_its_file_is(tmp_path, monkeypatch, line):
    """The notebook reads its name from the file, and would file the run under another."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params/tasks").mkdir(parents=True)
    (tmp_path / "params/tasks/mine.yaml").write_text(f"{line}files: {{train: a.csv}}\n")
    with pytest.raises(InputError, match=r"params/tasks/mine.yaml has task: (other|None); write task: mine there"):
        book_plan.read_parameters("toy", "mine", {})


def test_runs_that_others_wait_for_go_first_and_a_short_one_last():
    asked = plan(tasks="wnli rte sst2 mnli", compress="sst2", intermediate="mnli")
    assert sorted(asked.parameters, key=asked.priority) == ["wnli", "rte", "sst2", "mnli"]


def test_an_intermediate_task_has_to_be_one():
    with pytest.raises(InputError, match="INTERMEDIATE names 'imdb'; choose from"):
        plan(tasks="rte", intermediate="imdb")
    assert plan(tasks="rte", intermediate="rte").parameters["rte"].encoder == "bundled"

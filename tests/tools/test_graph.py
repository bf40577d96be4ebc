"""The graph: bad input ends it before anything runs, and every run has its place."""

import itertools
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from checkout import copy_checkout
from paths import ROOT

from bertglue.tools.book_plan import plan_or_exit


def snakemake(*config, options=("--cores", "2"), folder=ROOT):
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    command = [sys.executable, "-m", "snakemake", "--dry-run", "--forceall", "--nolock", *options]
    return subprocess.run([*command, "--config", *config], cwd=folder, capture_output=True, text=True, env=environment)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (["tasks=cola nonsense"], "error: TASKS or INTERMEDIATE names 'nonsense'; choose from cola"),
        (["profile=glue"], "error: glue_dir is not given"),
        (["profile=glue", "glue_dir=/nowhere"], "error: glue_dir is /nowhere, and there is no such folder"),
        (["profile=nonsense"], "error: profile is 'nonsense'; choose from bundled, bundled-random, full, glue, laptop"),
        (["profile=../../etc"], "error: PROFILE is '../../etc'"),
        (["seeds=one"], "error: SEEDS is 'one'"),
        (["jobs=0"], "error: JOBS is 0; give one number, 1 or more"),
        (["tasks=cola", "compress=rte"], "error: COMPRESS names 'rte'; choose from TASKS (cola), or give none"),
        (
            ["profile=full", "tasks=cola", "compress=cola"],
            "error: COMPRESS names cola, whose profile has hold_out 0; set",
        ),
    ],
)
def test_bad_input_is_one_line(config, message, monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    given = {name: yaml.safe_load(value) for name, value in (pair.split("=", 1) for pair in config)}
    with pytest.raises(SystemExit) as ended:
        plan_or_exit(given, 2)
    (line,) = capsys.readouterr().err.splitlines()
    assert ended.value.code == 2
    assert line.startswith(message)


def test_snakemake_adds_nothing_to_that_line():
    result = snakemake("tasks=cola nonsense")
    assert result.returncode != 0
    (line,) = result.stderr.strip().splitlines()
    assert line.startswith("error: TASKS or INTERMEDIATE names 'nonsense'")


def test_a_defect_in_a_file_is_one_line_too(tmp_path):
    (tmp_path / "CoLA").mkdir()
    for name in ("train", "dev"):
        (tmp_path / "CoLA" / f"{name}.tsv").write_text("gj04\t1\t\tFine.\ngj04\t1\n")
    result = snakemake("profile=glue", f"glue_dir={tmp_path}", "tasks=cola")
    assert result.returncode != 0
    message = f"error: {tmp_path}/CoLA/train.tsv, row 2: 2 fields, 4 needed; "
    (line,) = result.stderr.strip().splitlines()
    assert line.startswith(message)


def test_downloads_are_made_once_before_the_runs():
    result = snakemake("profile=full", "tasks=cola rte", "seeds=0 1")
    assert result.returncode == 0, result.stderr
    jobs = re.findall(r"Job \d+: (\w+): (fetching|fine-tuning)", result.stdout + result.stderr)
    assert sorted(set(jobs[:2])) == [("cola", "fetching"), ("rte", "fetching")]
    assert sorted(jobs[2:]) == [("cola", "fine-tuning")] * 2 + [("rte", "fine-tuning")] * 2


def test_a_task_s_own_values_in_a_profile_reach_its_runs_and_downloads_alone(tmp_path):
    folder = copy_checkout(tmp_path / "clone")
    (folder / "params/tasks/full").mkdir()
    (folder / "params/tasks/full/rte.yaml").write_text("epochs: 10\n")
    result = snakemake("profile=full", "tasks=cola rte", options=("--cores", "2", "--printshellcmds"), folder=folder)
    assert result.returncode == 0, result.stderr
    said = result.stdout + result.stderr
    assert "-m bertglue.tools.fetch params/profiles/full.yaml params/tasks/rte.yaml params/tasks/full/rte.yaml" in said
    assert "-m bertglue.tools.fetch params/profiles/full.yaml params/tasks/cola.yaml " in said
    assert "cola.yaml params/" not in said
    assert '"-f %s " params/profiles/full.yaml params/tasks/rte.yaml params/tasks/full/rte.yaml)' in said
    assert '"-f %s " params/profiles/full.yaml params/tasks/cola.yaml)' in said


def test_a_dry_run_for_slurm():
    options = ("--profile", "params/clusters/slurm", "--jobs", "20")
    result = snakemake("profile=full", "tasks=cola rte", "jobs=20", options=options)
    assert result.returncode == 0, result.stderr
    runs = re.findall(r"Job \d+: (\w+): fine-tuning", result.stdout + result.stderr)
    assert sorted(runs) == ["cola", "rte"]


@pytest.mark.parametrize("path", sorted(ROOT.glob("params/clusters/*/config.yaml")), ids=lambda path: path.parent.name)
def test_every_cluster_profile_names_its_executor(path):
    profile = yaml.safe_load(path.read_text())
    assert profile["executor"] == path.parent.name
    assert profile["set-threads"]["finetune"] > 1
    assert profile["retries"] > 0  # a run that was stopped resumes


def test_a_grid_has_one_run_for_each_task_rate_and_seed():
    result = snakemake("tasks=cola rte", "seeds=0 1", "learning_rates=0.001 0.0005")
    assert result.returncode == 0, result.stderr
    runs = re.findall(r"Job \d+: (\w+): fine-tuning \(learning rate (\S+), seed (\d)\)", result.stdout + result.stderr)
    assert sorted(set(runs)) == sorted(itertools.product(("cola", "rte"), ("0.0005", "0.001"), "01"))


@pytest.mark.parametrize(
    ("config", "smaller"),
    [
        (["tasks=cola sst2 mrpc"], ["mrpc 0.0003 0", "sst2 0.0003 0"]),
        (["tasks=cola rte", "compress=rte", "seeds=1 2", "learning_rates=0.001 0.0005"], ["rte 0.001 1"]),
        (["tasks=cola rte", "compress=none"], []),
        (["profile=full", "tasks=cola"], []),
    ],
)
def test_runs_that_held_a_part_out_are_made_smaller(config, smaller):
    result = snakemake(*config)
    assert result.returncode == 0, result.stderr
    logs = re.findall(r"logs/compress-(\w+)-lr(\S+)-seed(\d)\.log", result.stdout + result.stderr)
    assert sorted({" ".join(log) for log in logs}) == smaller


def test_an_empty_variable_is_the_default():
    """As the Makefile passes what nobody gave."""
    result = snakemake("tasks=rte", "learning_rates=", "seeds=", "glue_dir=", "encoder=")
    assert result.returncode == 0, result.stderr
    runs = re.findall(r"Job \d+: (\w+): fine-tuning \(learning rate (\S+), seed (\d)\)", result.stdout + result.stderr)
    assert runs == [("rte", "0.0003", "0")]


@pytest.mark.whole
def test_where_no_run_finishes_the_book_that_is_there_stays(tmp_path):
    folder = copy_checkout(tmp_path / "clone")
    book = folder / "book/_build/html/index.html"
    book.parent.mkdir(parents=True)
    book.write_text("a good book")
    given = ["TASKS=wnli", "COMPRESS=none", "ENCODER=nobody/nothing", "GPU=none"]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path)}
    done = subprocess.run(
        ["make", "book", *given, "READY=", f"BIN={Path(sys.executable).parent}"],
        cwd=folder, env=environment, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode != 0
    assert book.read_text() == "a good book"
    said = next(line for line in done.stderr.splitlines() if line.startswith("no run finished"))
    assert "stays as it was: wnli/lr2e-05-seed0: failed (https://huggingface.co/nobody/nothing could not be" in said
    assert "(log: runs/toy/logs/fetch-wnli.log)" in said

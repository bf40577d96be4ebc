"""A GLUE folder that is one level off, in other case or in another format: what was found, and what to give."""

import pytest
from small_glue import write_glue

from bertglue.data.load_data import load_data
from bertglue.errors import InputError
from bertglue.tasks import TASKS


@pytest.fixture
def glue(tmp_path):
    """Write a good folder of two tasks, for a test to put out of place."""
    write_glue(tmp_path / "glue", ("CoLA", "SST-2"), train=2, dev=2)
    return tmp_path / "glue"


def refused(glue_dir, task="cola"):
    with pytest.raises(InputError) as raised:
        load_data(TASKS[task], "folder", glue_dir=str(glue_dir))
    return str(raised.value)


@pytest.mark.parametrize("given", ["glue/CoLA", ".", "glue/SST-2"], ids=["its own", "above", "another task's"])
def test_one_level_off(tmp_path, glue, given):
    assert refused(tmp_path / given) == (
        f"{tmp_path / given}/CoLA/train.tsv is missing; found {glue}/CoLA/train.tsv: give glue_dir={glue}"
    )


def test_relative_to_where_one_is(glue, monkeypatch):
    monkeypatch.chdir(glue / "CoLA")
    assert refused(".") == f"CoLA/train.tsv is missing; found {glue}/CoLA/train.tsv: give glue_dir={glue}"


@pytest.mark.parametrize("name", ["sst-2", "SST2", "sst2", "Sst_2"])
def test_in_other_case(glue, name):
    (glue / "SST-2").rename(glue / name)
    assert refused(glue, "sst2") == (
        f"{glue}/SST-2/train.tsv is missing; found {glue}/{name}/train.tsv: rename its folder SST-2"
    )


@pytest.mark.parametrize(
    ("train", "dev"),
    [
        ("train.csv", "dev.csv"),
        ("train.jsonl", "dev.jsonl"),
        ("train.parquet", "dev.parquet"),
        ("train-00000-of-00001.parquet", "validation-00000-of-00001.parquet"),
    ],
)
def test_in_another_format(glue, train, dev):
    (glue / "CoLA/train.tsv").rename(glue / "CoLA" / train)
    advice = "write it as tab-separated text, {}, in the columns of the GLUE benchmark's own file"
    assert refused(glue) == (
        f"{glue}/CoLA/train.tsv is missing; found {glue}/CoLA/{train}: {advice.format('train.tsv')}"
    )
    (glue / "CoLA" / train).rename(glue / "CoLA/train.tsv")
    (glue / "CoLA/dev.tsv").rename(glue / "CoLA" / dev)
    assert refused(glue) == (f"{glue}/CoLA/dev.tsv is missing; found {glue}/CoLA/{dev}: {advice.format('dev.tsv')}")


def test_all_of_it_at_once(tmp_path, glue):
    (glue / "CoLA/train.tsv").rename(glue / "CoLA/train-00000-of-00001.parquet")
    (glue / "CoLA").rename(glue / "cola")
    assert refused(tmp_path).endswith(
        f"found {glue}/cola/train-00000-of-00001.parquet: write it as tab-separated text, train.tsv, in the columns of "
        f"the GLUE benchmark's own file, and rename its folder CoLA, and give glue_dir={glue}"
    )


def test_a_split_of_another_name(glue):
    (glue / "CoLA/dev.tsv").rename(glue / "CoLA/validation.tsv")
    assert refused(glue).endswith(f"dev.tsv is missing; found {glue}/CoLA/validation.tsv: rename it dev.tsv")


def test_files_without_a_folder_of_the_task(tmp_path, glue):
    (glue / "CoLA").rename(tmp_path / "mine")
    assert refused(tmp_path / "mine").endswith(f"found {tmp_path}/mine/train.tsv: move it into a folder CoLA there")


def test_the_files_of_another_task_are_not_taken_for_its_own(tmp_path, glue):
    (glue / "SST-2").rename(tmp_path / "SST-2")
    assert refused(tmp_path / "SST-2", "mrpc").endswith(
        "GLUE's site has no archive of MRPC; put its parquet files from nyu-mll/glue (Hugging Face) into "
        f"{tmp_path / 'SST-2/mrpc'}"
    )
    assert refused(tmp_path / "SST-2", "rte").endswith("the archive of RTE from the GLUE benchmark has it")


def test_a_file_in_place_of_the_folder(glue):
    path = glue / "CoLA/train.tsv"
    assert refused(path) == (f"glue_dir is {path}, and that is a file; name the folder that holds CoLA/, MRPC/, ...")

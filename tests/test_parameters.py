"""Parameters are checked, and what is wrong is named in one line."""

import re
from pathlib import Path

import pytest
import yaml
from paths import ROOT

from bertglue import InputError, Parameters
from bertglue.encoder_names import NAMED_ENCODERS
from bertglue.parameters import CompressionParameters, read_given
from bertglue.tasks import TASKS

PARAMS = ROOT / "params"


@pytest.mark.parametrize("profile", sorted((PARAMS / "profiles").glob("*.yaml")), ids=lambda path: path.stem)
@pytest.mark.parametrize("task", TASKS)
def test_every_profile_goes_with_every_task(profile, task):
    parameters = Parameters.from_files(profile, PARAMS / "tasks" / f"{task}.yaml")
    assert (parameters.profile, parameters.task) == (profile.stem, task)


@pytest.mark.parametrize("task", TASKS)
def test_every_task_has_samples_of_its_own(task):
    found = Parameters(task=task).samples
    assert len(found) >= 3
    assert all(len([sample] if isinstance(sample, str) else sample) == len(TASKS[task].columns) for sample in found)
    assert Parameters(task=task, samples=[]).samples == []


@pytest.mark.parametrize(("task", "wanted"), [("rte", "2 (sentence1 and sentence2)"), ("sst2", "1 (sentence)")])
@pytest.mark.parametrize("sample", ["alone", ["one", "two"], ["one", "two", "three"], []])
def test_samples_that_do_not_fit_the_task_are_refused_before_anything_is_loaded(task, wanted, sample):
    if len([sample] if isinstance(sample, str) else sample) == len(TASKS[task].columns):
        assert Parameters.check({"task": task, "samples": [sample]}).samples == [sample]
        return
    with pytest.raises(InputError) as error:
        Parameters.check({"task": task, "samples": [sample]})
    assert f"samples has {sample!r}, and {TASKS[task].title} takes {wanted}" in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"glue_dir": "/data/glue"}, "glue_dir is /data/glue, and source is toy, which reads no files of yours; set"),
        ({"glue_dir": "/data/glue", "source": "tfds"}, "glue_dir is /data/glue, and source is tfds, which reads no"),
        ({"metrics": "matthews"}, "metrics is given, and RTE is GLUE's, which has its own; give files too"),
        ({"label": "class"}, "label is given, and RTE is GLUE's"),
        ({"validation_share": 0.2}, "validation_share is given, and RTE is GLUE's"),
    ],
)
def test_what_would_be_ignored_is_refused(given, message):
    with pytest.raises(InputError, match=message):
        Parameters.check({"task": "rte", **given})


def test_a_column_that_is_named_twice_is_refused():
    own = {"task": "mine", "files": {"train": "a.csv"}, "columns": ["text", "text"]}
    with pytest.raises(InputError, match="columns has 'text' twice; name two columns for a pair, or one"):
        Parameters.check(own)


@pytest.mark.parametrize("text", ["labels:\n0: neg\n1: pos\n", "on: 3\n"])
def test_a_name_that_yaml_takes_for_something_else_is_named_with_its_file(tmp_path, text):
    (tmp_path / "mine.yaml").write_text(text)
    with pytest.raises(InputError, match=r"mine.yaml: (0|True) is no parameter's name; indent what belongs to"):
        Parameters.from_files(tmp_path / "mine.yaml")


# ---------------------------------------------------------------- as people write it


@pytest.mark.parametrize("written", ["2e-5", "2.0e-5", "0.00002", ".00002", "2E-05", 2e-5])
def test_a_number_is_read_in_each_of_its_spellings(written, tmp_path):
    """YAML 1.1 takes `2e-5` for a text, and papermill and the command line hand over what they read."""
    path = tmp_path / "rate.yaml"
    path.write_text(f"learning_rate: {written}\n")
    assert Parameters.check({"learning_rate": written}).learning_rate == 2e-5
    assert Parameters.from_files(path).learning_rate == 2e-5
    assert Parameters.from_notebook({"learning_rate": written}).learning_rate == 2e-5


@pytest.mark.parametrize("written", ["None", "null", "~", None])
def test_none_is_read_in_each_of_its_spellings(written):
    found = Parameters.check(dict.fromkeys(("glue_dir", "backend", "patience", "tracking", "bucket_lengths"), written))
    assert {found.glue_dir, found.backend, found.patience, found.tracking, found.bucket_lengths} == {None}


def test_a_name_of_digits_is_a_name(tmp_path):
    path = tmp_path / "names.yaml"
    path.write_text("source: folder\nglue_dir: 2024\nrun_dir: 7\nprofile: 12\n")
    found = Parameters.from_files(path)
    assert (found.glue_dir, found.run_dir, found.profile) == ("2024", "7", "12")


def test_a_text_is_no_number_where_it_spells_none():
    assert Parameters.check({"epochs": "3", "patience": "2"}).patience == 2
    assert Parameters.check({"profile": "None"}).profile == "None"  # a name like another, where None is no value


def test_full_profile_is_the_published_recipe():
    from bertglue.evaluation.published_scores import published_numbers

    recipe = published_numbers()["report"]["recipe"]
    full = yaml.safe_load((PARAMS / "profiles" / "full.yaml").read_text())
    names = ("batch_size", "epochs", "max_length", "learning_rate")
    assert {name: full[name] for name in names} == {name: recipe[name] for name in names}
    assert any(recipe["model"] in str(place) for place in NAMED_ENCODERS[full["encoder"]].places)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"epoch": 3}, "unknown parameter 'epoch'; the known ones are profile, task"),
        ({"epochs": "three"}, "parameter epochs is 'three': input should be a valid integer"),
        ({"epochs": 0}, "parameter epochs is 0: input should be greater than 0"),
        ({"task": "mnli-m"}, "task is 'mnli-m'; choose one of cola"),
        ({"source": "glue"}, "parameter source is 'glue'"),
        ({"batch_size": True}, "parameter batch_size is True"),
        ({"batch_size": "1.5"}, "parameter batch_size is '1.5': input should be a valid integer"),
        ({"learning_rate": "fast"}, "parameter learning_rate is 'fast': input should be a valid number"),
        ({"learning_rate": "inf"}, "parameter learning_rate is inf: input should be a finite number"),
        ({"learning_rate": "nan"}, "parameter learning_rate is nan"),
        ({"epochs": "None"}, "parameter epochs is 'None'"),
        ({"bias_correction": "yes"}, "parameter bias_correction is 'yes': input should be a valid boolean"),
        ({"glue_dir": ["a"]}, "parameter glue_dir is ['a']: input should be a valid string"),
    ],
)
def test_what_is_wrong_is_named(values, message):
    with pytest.raises(InputError) as error:
        Parameters.check(values)
    assert str(error.value).startswith(message)
    assert "\n" not in str(error.value)


def test_an_unknown_name_in_the_notebook_is_found():
    namespace = {"In": [], "Out": {}, "_i1": "", "Path": Path, "epochs": 2, "learning_rte": 1e-4}
    with pytest.raises(InputError, match="unknown parameter 'learning_rte'"):
        Parameters.from_notebook(namespace)


def test_the_cell_can_run_again_after_later_cells():
    namespace = {"epochs": 2}
    Parameters.from_notebook(namespace)
    namespace.update(epochs=4, record={"task": "cola"})
    assert Parameters.from_notebook(namespace).epochs == 4


def test_a_file_that_is_no_yaml(tmp_path):
    path = tmp_path / "bad.yaml"
    path.write_text("epochs: [3\n")
    with pytest.raises(InputError, match=r"bad.yaml is not YAML"):
        Parameters.from_files(path)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"seed": 2**32}, "seed is 4294967296"), ({"seed": -1}, "seed is -1"),
        ({"epochs": 10**9}, "epochs is 1000000000"), ({"learning_rate": 1e6}, "learning_rate is 1000000.0"),
        ({"learning_rate": float("nan")}, "learning_rate is nan"),
        ({"learning_rate": "inf"}, "learning_rate is inf"), ({"weight_decay": 99.0}, "weight_decay is 99.0"),
        ({"task": "rte", "max_length": 4}, "max_length is 4, and RTE needs 5 tokens or more"),
        ({"task": "sst2", "max_length": 2}, "max_length is 2, and SST-2 needs 3 tokens or more"),
        ({"machines": 2, "backend": "tensorflow"}, "machines is 2, and TensorFlow trains on one; set backend to jax"),
        ({"batch_size": 2**21}, "batch_size is 2097152"),
        ({"layer_decay": 0.0}, "layer_decay is 0.0"), ({"layer_decay": 1.1}, "layer_decay is 1.1"),
        ({"pooling": "max"}, "pooling is 'max': input should be 'cls' or 'mean'"),
    ],
)  # fmt: skip
def test_absurd_and_contradicting_values_are_refused_in_one_line(given, said):
    with pytest.raises(InputError) as error:
        Parameters.check(given)
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_a_tilde_in_a_path_is_the_home(monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    given = {"run_dir": "~/runs", "source": "folder", "glue_dir": "~/glue", "encoder": "~/bert", "cache_dir": "/~x"}
    parameters = Parameters.check(given)
    found = [parameters.run_dir, parameters.glue_dir, parameters.encoder, parameters.cache_dir]
    assert found == ["/home/me/runs", "/home/me/glue", "/home/me/bert", "/~x"]
    assert CompressionParameters.check({"run_dir": "~/a", "output_dir": "~/b"}).output_dir == "/home/me/b"


def test_a_compression_beside_its_run_is_refused_where_it_would_write_into_it():
    with pytest.raises(InputError, match="output_dir is runs/a/, the folder of the run itself; give another one"):
        CompressionParameters.check({"run_dir": "runs/a", "output_dir": "runs/a/"})


@pytest.mark.parametrize("word", ["files=*.csv", "columns=[text", "label=@rating"])
def test_a_value_that_is_no_yaml_is_named(word):
    with pytest.raises(InputError, match=rf"--parameter {re.escape(word)} is not YAML \(.*\); quote it: ") as error:
        read_given([word])
    assert "\n" not in str(error.value)

"""Parameters are checked, and what is wrong is named in one line."""

from pathlib import Path

import pytest
import yaml
from paths import ROOT

from bertglue import InputError, Parameters
from bertglue.tasks import TASKS

PARAMS = ROOT / "params"


@pytest.mark.parametrize("profile", sorted((PARAMS / "profiles").glob("*.yaml")), ids=lambda path: path.stem)
@pytest.mark.parametrize("task", TASKS)
def test_every_profile_goes_with_every_task(profile, task):
    parameters = Parameters.from_files(profile, PARAMS / "tasks" / f"{task}.yaml")
    assert (parameters.profile, parameters.task) == (profile.stem, task)
    assert all(
        len([sample] if isinstance(sample, str) else sample) == len(TASKS[task].columns)
        for sample in parameters.samples
    )


def test_full_profile_is_the_published_recipe():
    from bertglue.evaluation.published_scores import published_numbers

    recipe = published_numbers()["report"]["recipe"]
    full = yaml.safe_load((PARAMS / "profiles" / "full.yaml").read_text())
    names = ("batch_size", "epochs", "max_length", "learning_rate")
    assert {name: full[name] for name in names} == {name: recipe[name] for name in names}
    assert recipe["model"] in full["encoder"]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"epoch": 3}, "unknown parameter 'epoch'; the known ones are profile, task"),
        ({"epochs": "three"}, "parameter epochs is 'three': input should be a valid integer"),
        ({"epochs": 0}, "parameter epochs is 0: input should be greater than 0"),
        ({"task": "mnli-m"}, "task is 'mnli-m'; choose one of cola"),
        ({"source": "glue"}, "parameter source is 'glue'"),
        ({"batch_size": True}, "parameter batch_size is True"),
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

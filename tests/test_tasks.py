"""The registry agrees with tensorflow-datasets' own description of GLUE."""

import pytest

from bertglue.errors import InputError
from bertglue.tasks import AX, TASKS, get_task


@pytest.mark.parametrize("task", [*TASKS.values(), AX], ids=lambda task: task.name)
def test_columns_and_labels_are_those_of_tfds(task):
    from tensorflow_datasets.text.glue import Glue

    config = next(c for c in Glue.BUILDER_CONFIGS if c.name == task.name)
    assert task.columns == tuple(config.text_features)
    assert task.labels == tuple(config.label_classes or ())


def test_unknown_task_names_the_known_ones():
    with pytest.raises(InputError, match="task is 'cloa'; choose one of cola"):
        get_task("cloa")

"""Figures say in words what they show, and the page of a figure has these words as its alternative text."""

import io

import matplotlib.pyplot as plt
import nbformat
import numpy as np

from bertglue.data.dataset import Data, Split
from bertglue.own_tasks import own_task
from bertglue.report import figures
from bertglue.report.clean_notebook import clean_notebook
from bertglue.tasks import TASKS

METADATA = {"mystnb": {"figure": {"name": "fig-a", "caption": "A."}, "image": {"alt": "Loss of RTE"}}}


def curves(losses):
    history = [
        {"epoch": number, "train": {"loss": loss, "accuracy": 0.5}, "validation": {"loss": 2 * loss, "accuracy": 0.5}}
        for number, loss in enumerate(losses, 1)
    ]
    return figures.learning_curves(TASKS["rte"], history, {"validation": {"accuracy": 0.5}})


def page_of(figure, metadata=METADATA):
    drawn = io.StringIO()
    figure.savefig(drawn, format="svg")
    output = nbformat.v4.new_output("display_data", data={"image/svg+xml": drawn.getvalue()})
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell("draw()", metadata=metadata, outputs=[output])]
    )
    return clean_notebook(notebook, notebook).cells[0]


def test_a_description_has_the_ends_of_each_line():
    said = figures.describe(curves([0.75, 0.6, 0.25]))
    assert said.startswith("Loss over epoch: train 0.75 to 0.25, validation 1.5 to 0.5; Accuracy over epoch: train 0.5")
    assert figures.describe(curves([0.75, 0.6, 0.125])) != said


def test_a_description_becomes_the_alternative_text():
    cell = page_of(curves([0.75, 0.25]))
    alt = cell.metadata["mystnb"]["image"]["alt"]
    assert alt.startswith("Loss of RTE. Loss over epoch: train 0.75 to 0.25")
    assert figures.DESCRIPTION not in cell.outputs[0]["data"]["image/svg+xml"]


def test_a_hostile_title_is_text_in_the_alternative_text():
    figure, axes = plt.subplots()
    axes.plot([1, 2], label='"><script>alert(1)</script>')
    axes.set_title("x" * 5000)
    alt = page_of(figures.finish(figure)).metadata["mystnb"]["image"]["alt"]
    assert len(alt) < figures.DESCRIPTION_LENGTH + 30
    figure, axes = plt.subplots()
    axes.plot([1, 2], label='"><script>alert(1)</script>')
    shown = page_of(figures.finish(figure))
    assert "<script>" not in shown.outputs[0]["data"]["image/svg+xml"]


def test_dollar_signs_in_a_label_are_no_formula():
    task = own_task("places", ("text",), ("$", "$$", "$$$ or more"), ("accuracy",), False)
    labels = np.array([0, 1, 2, 1])
    data = Data(task, "own", {name: Split({"text": ["a"] * 4}, labels) for name in ("train", "validation")})
    logits = np.eye(3)[[1, 1, 0, 2]]
    drawn = [figures.label_balance(data), figures.confusion(task, labels, logits)]
    drawn.append(figures.frequent_confusions(task, labels, logits))
    for figure in drawn:
        shown = io.StringIO()
        figure.savefig(shown, format="svg")
        assert "$$$ or more" in shown.getvalue()

"""The page on the design of the experiment: the recipes side by side, and the schedule of the learning rate."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from bertglue.evaluation.published_scores import published_numbers
from bertglue.report.figures import FIGURE_STYLE, color, finish
from bertglue.report.pages.common import joined, real_runs, who_ran
from bertglue.report.tables import table
from bertglue.runs.collection import Runs
from bertglue.training.schedule import warmup_linear_decay


def recipes(runs: Runs):
    """Tabulate the recipe of the report, of the BERT paper and of the runs side by side."""
    who, runs = who_ran(runs), real_runs(runs)
    published = published_numbers()
    report = published["report"]["recipe"]
    paper = published["bert_paper_recipe"] | published["bert_paper_appendix"]
    devices = sorted({run["environment"]["device"] for run in runs.values()})
    rows = {
        "encoder": (report["model"], "BERT-base and -large", used(runs, "encoder")),
        "batch size": (report["batch_size"], paper["batch_size"], used(runs, "batch_size")),
        "epochs": (report["epochs"], paper["epochs"], used(runs, "epochs")),
        "tokens a row, at most": (report["max_length"], "", used(runs, "max_length")),
        "learning rate": (
            f"{report['learning_rate']:g}; considered {rates(report['learning_rates_considered'])}",
            f"best of {rates(paper['learning_rates'])} on {paper['selected_on']}",
            used(runs, "learning_rate"),
        ),
        "optimizer": (report["optimizer"], "Adam with decoupled decay", "AdamW"),
        "warm-up, of the steps": (
            f"{report['warmup_fraction']:.0%}",
            f"{paper['warmup_steps']:,} steps in pre-training",
            given(runs, "warmup_fraction", "{:.0%}"),
        ),
        "then": (f"{report['decay']} decay", "linear decay", "linear decay to zero"),
        "weight decay": (
            "",
            f"{paper['weight_decay']:g}, as in pre-training",
            given(runs, "weight_decay", "{:g}; none on biases and layer norms"),
        ),
        "dropout before the head": ("", f"{paper['dropout']:g}", given(runs, "dropout", "{:g}")),
        "dropout in the encoder": ("", f"{paper['dropout']:g}", given(runs, "encoder_dropout", "{:g}")),
        "loss": (report["loss"], "", "cross entropy; squared error for STS-B"),
        "hardware": (report["hardware"], "", joined(devices or ["no run"])),
    }
    frame = pd.DataFrame(rows, index=["report", "BERT paper", who]).T
    return table(frame.reset_index(names=""))


def rates(values: list[float]) -> str:
    return joined([f"{value:g}" for value in values])


def used(runs: Runs, key: str) -> str:
    values = sorted({run[key] for run in runs.values()})
    return joined([f"{value:g}" if isinstance(value, float) else str(value) for value in values] or ["no run"])


def given(runs: Runs, key: str, form: str) -> str:
    return joined(sorted({form.format(run["parameters"][key]) for run in runs.values()}) or ["no run"])


def schedule(runs: Runs):
    """Draw the learning rate over the steps of a run, as its optimizer has it, and the report's beside it."""
    report = published_numbers()["report"]["recipe"]
    lines = [(f"report, {report['epochs']} epochs", report["learning_rate"], 1000, report["warmup_fraction"])]
    for run in list(real_runs(runs).values())[:1]:
        values = run["parameters"]
        lines.append((who_ran(runs), run["learning_rate"], run["curve"][-1]["step"], values["warmup_fraction"]))
    with plt.style.context(FIGURE_STYLE):
        figure, axes = plt.subplots(figsize=(7, 2.6))
        for at, (title, peak, steps, warmup) in enumerate(lines):
            rate = warmup_linear_decay(np.arange(steps), peak, steps, round(warmup * steps))
            label = f"{title}: peak {peak:g}"
            axes.plot(np.arange(steps) / steps, rate / peak, "-:"[at], color=color(at), label=label)
        axes.set(xlabel="share of the training steps", ylabel="learning rate / peak", ylim=(0, 1.05))
        axes.legend()
    return finish(figure)


def findings(runs: Runs) -> str:
    """Describe how many steps the runs took."""
    who, runs = who_ran(runs), real_runs(runs)
    if not runs:
        return "No run has finished."
    steps = {run["curve"][-1]["step"] for run in runs.values()}
    parameters = next(iter(runs.values()))["parameters"]
    return (
        f"The runs ({who}) took {min(steps):,} to {max(steps):,} steps; the learning rate rose over the first "
        f"{parameters['warmup_fraction']:.0%} of them."
    )

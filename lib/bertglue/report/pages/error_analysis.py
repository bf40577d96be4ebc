"""The page on errors of the reference run: by label, length, negation and word overlap, AX's categories, and by token.

It is drawn from the statistics and explanations that are kept in the repository: no text of GLUE is needed.
"""

from __future__ import annotations

import functools
import html

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from IPython.display import HTML

from bertglue.evaluation.metrics import METRIC_TITLES, probabilities
from bertglue.report import figures
from bertglue.report.figures import FIGURE_STYLE, color, finish
from bertglue.report.measured_files import REFERENCE_EXPLANATIONS, REFERENCE_STATISTICS
from bertglue.report.pages.common import between, encoders_said, joined, other_precision_said, row_title
from bertglue.report.reference_runs import runs_by_task
from bertglue.report.tables import NO_MATHEMATICS, table
from bertglue.runs.record import parse_json
from bertglue.tasks import AX, TASKS, Task, sample_label

STRENGTHS = 5  # shades of an attribution, in the style sheet
NOT_ATTRIBUTED = ("[CLS]", "[SEP]")  # no token of the text
DIAGNOSTIC_ROWS = 30  # of a category of AX that is shown; fewer tell little


@functools.cache
def statistics() -> dict:
    """Read the kept statistics, {task: {splits, against}}; empty before the first final run is done."""
    if not REFERENCE_STATISTICS.exists():
        return {}
    return parse_json(REFERENCE_STATISTICS, "statistics of the reference run", "`make reference` makes them")


def explanations(task: str) -> list[dict]:
    """Read the kept explanations of a task's sentences; none before its final run is done."""
    path = REFERENCE_EXPLANATIONS / f"{task}.json"
    return parse_json(path, "explanations", "`make reference` makes them")["sentences"] if path.exists() else []


def described(regression: bool = False) -> list[tuple[str, Task, dict]]:
    """List (title, task, statistics) of the splits that were described, AX behind MNLI; of labels, or of all tasks."""
    return [
        (row_title(TASKS[name], split), TASKS[name], one)
        for name, found in statistics().items()
        for split, one in found["splits"].items()
        if regression or not TASKS[name].regression
    ]


def confusion_matrices():
    """Draw the confusion matrix of each split, of the first seed."""

    def draw(axis, task, found):
        figures.confusion_counts(task, np.array(found["confusion"][0]), axis)

    shown = described()
    return figures.small_multiples(shown, draw, columns=2, size=(3.6, 2.1), grid=False) if shown else None


def reliability_diagrams():
    """Draw the reliability diagram of each split, of the first seed."""

    def draw(axis, task, found):
        figures.reliability(np.array(found["reliability"][0]), 1 / task.outputs, axis)

    return figures.small_multiples(described(), draw, size=(2.4, 2.2)) if described() else None


def error_rates():
    """Draw the error of each group of rows with its 95 % interval, one panel a split."""

    def draw(axis, task, found):
        groups = found["errors"]
        kinds = list(dict.fromkeys(one["by"] for one in groups))
        for at, one in enumerate(groups):
            shade = color(kinds.index(one["by"]))
            axis.plot([one["low"], one["high"]], [at, at], color=shade)
            axis.plot(one["error"], at, "o", color=shade)
        axis.set_yticks(range(len(groups)), [label_of(one) for one in groups])
        axis.invert_yaxis()
        axis.set(xlabel="mean absolute error" if task.regression else "error rate", xlim=(0, None))

    shown = described(regression=True)
    return figures.small_multiples(shown, draw, columns=2, size=(3.7, 2.2)) if shown else None


def label_of(group: dict) -> str:
    """Name a group of rows on an axis."""
    return group["group"] if group["by"] == "negation" else f"{group['by']} {group['group']}"


def error_findings() -> str:
    """List the kinds of rows whose errors differ by more than their intervals, as Markdown."""
    said = []
    for title, task, found in described(regression=True):
        for by in dict.fromkeys(one["by"] for one in found["errors"]):
            groups = sorted((one for one in found["errors"] if one["by"] == by), key=lambda one: one["error"])
            least, most = groups[0], groups[-1]
            if least["high"] < most["low"]:
                unit = "mean absolute error" if task.regression else "error rate"
                said.append(
                    f"- {title}, by {by}: {unit} {least['error']:.3f} ({least['group']}) against {most['error']:.3f} "
                    f"({most['group']})"
                )
    if not statistics():
        return "No final run of the reference run is done yet."
    return (
        "Groups whose 95 % intervals do not overlap:\n\n" + "\n".join(said)
        if said
        else ("On no task do the intervals of two groups fail to overlap.")
    )


def diagnostic():
    """Tabulate the diagnostic set by its categories, those with rows enough, of the first seed."""
    found = statistics().get("mnli", {}).get("splits", {}).get(AX.name, {}).get("categories", [])
    rows = [
        {
            "category": one["category"],
            "rows": one["rows"],
            "Matthews correlation (R3)": f"{one['matthews']:.3f}",
            "accuracy": f"{one['accuracy']:.3f}",
        }
        for one in sorted(found, key=lambda one: -one["matthews"])
        if one["rows"] >= DIAGNOSTIC_ROWS
    ]
    return table(pd.DataFrame(rows)) if rows else not_done(AX.title)


def not_done(what: str) -> HTML:
    """Return a sentence in place of what was not run yet."""
    return HTML(f"<p>{html.escape(what)}: not run yet (<code>make reference</code>).</p>")


def attributions(name: str) -> HTML:
    """Show sentences of this project, each token shaded by what it adds to the prediction: its logit less the mean."""
    task, blocks = TASKS[name], []
    for one in explanations(name):
        logits = np.array(one["logits"])
        values = np.array(one["attributions"])
        if not task.regression:
            values = values - values.mean(axis=1, keepdims=True)
        values = values[:, 0 if task.regression else int(logits.argmax())]
        said = predicted(task, logits, sample_label(name, one["text"]))
        blocks.append(f"<p>{shaded(one['tokens'], values)}<br><em>{said}</em></p>")
    return (
        HTML(f'<div class="attributions {NO_MATHEMATICS}">{"".join(blocks)}</div>') if blocks else not_done(task.title)
    )


def predicted(task: Task, logits: np.ndarray, expected: str | None) -> str:
    """Name the prediction and its probability, and the label of a reader where it is another; or the score."""
    if task.regression:
        return f"score {logits[0]:.2f}"
    shares = probabilities(logits[None])[0]
    label = task.labels[int(shares.argmax())]
    wrong = f"; <strong>wrong</strong>, a reader says {expected}" if expected not in (label, None) else ""
    return html.escape(f"{label}, probability {shares.max():.3f}").replace("_", " ") + wrong.replace("_", " ")


def shaded(tokens: list[str], values: np.ndarray) -> str:
    """Write tokens as HTML, each with the class of its shade: for (p1 to p5) or against (n1 to n5) the prediction."""
    values = np.where(np.isin(tokens, NOT_ATTRIBUTED), 0, values)
    most, marks = max(np.abs(values).max(), 1e-9), []
    for token, value in zip(tokens, values, strict=True):
        strength = round(STRENGTHS * abs(value) / most)
        shade = f' class="{"p" if value > 0 else "n"}{strength}"' if strength else ""
        marks.append(f"<span{shade}>{html.escape(token)}</span>")
    return " ".join(marks)


def attention_maps(name: str):
    """Draw what each head of each layer attends to in one sentence: rows are tokens that look, columns looked at."""
    found = [one for one in explanations(name) if "attention" in one]
    if not found:
        return None
    maps, tokens = np.array(found[0]["attention"]), found[0]["tokens"]
    layers, heads = maps.shape[:2]
    with plt.style.context([FIGURE_STYLE, {"axes.grid": False, "font.size": 7}]):
        figure, axes = plt.subplots(layers, heads, figsize=(7.5, 7.5 * layers / heads + 0.4), squeeze=False)
        for layer, head in np.ndindex(layers, heads):
            axis = axes[layer, head]
            axis.imshow(maps[layer, head], cmap="Blues", vmin=0, vmax=1, interpolation="nearest")
            axis.set(xticks=[], yticks=[])
            if layer == 0:
                axis.set_title(f"head {head + 1}", fontsize=7)
            if head == 0:
                axis.set_ylabel(f"layer {layer + 1}", fontsize=7)
        figure.suptitle(" ".join(tokens), fontsize=8)
        figure.subplots_adjust(wspace=0.08, hspace=0.08, top=0.88)
    return finish(figure)


def attention_findings(name: str) -> str:
    """Describe where the attention of one sentence goes: to special tokens, to the token itself, to its neighbors."""
    found = [one for one in explanations(name) if "attention" in one]
    if not found:
        return ""
    maps, tokens = np.array(found[0]["attention"]), found[0]["tokens"]
    special = [at for at, token in enumerate(tokens) if token in NOT_ATTRIBUTED]
    size = len(tokens)
    near = np.eye(size, k=1, dtype=bool) | np.eye(size, k=-1, dtype=bool)
    parts = {
        "[CLS] and [SEP]": maps[:, :, :, special].sum(axis=(2, 3)) / size,
        "the token itself": np.trace(maps, axis1=2, axis2=3) / size,
        "a neighbor": maps[:, :, near].sum(axis=2) / size,
    }
    said = [f"{name} {share.mean():.2f} (in one head up to {share.max():.2f})" for name, share in parts.items()]
    chance = joined([f"{share:.2f}" for share in (len(special) / size, 1 / size, near.sum() / size**2)])
    return (
        f"Of the attention in these tokens, the mean over {maps.shape[0]} layers and {maps.shape[1]} heads, this goes "
        f"to {joined(said)}. Uniform attention would give {chance}."
    )


def paired_comparisons():
    """Tabulate the paired comparisons of other runs with the final ones: what they score more, with its interval.

    By the first metric of each task; what is kept has the others too.
    """
    titles = {"random": "randomly initialized", "after-mnli": "after MNLI", "trainer": "Trainer"}
    rows = [
        {
            "task": row_title(TASKS[name], one["split"]),
            "metric": METRIC_TITLES[one["metric"]],
            "runs": titles[stage] + compared_with_said(stage, name),
            "seeds (final)": "{} ({})".format(*one["seeds"]),
            "gain over the final runs": f"{-one['gain']:+.3f}",
            "95 % interval": between(-one["high"], -one["low"]),
            "McNemar, first seed": "" if one["p_value"] is None else f"p = {one['p_value']:.2g}",
        }
        for name, found in statistics().items()
        for stage, differences in found["against"].items()
        for one in differences
        if one["metric"] == TASKS[name].metrics[0]
    ]
    return table(pd.DataFrame(rows)) if rows else not_done("runs to compare with")


def compared_with_said(stage: str, task: str) -> str:
    """Name in what more than its stage the runs of a task differ: several encoders, another precision."""
    runs = runs_by_task(stage).get(task, [])
    return encoders_said(runs) + other_precision_said(runs, runs_by_task()[task])

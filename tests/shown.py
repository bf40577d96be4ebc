"""What the pages show, as texts that can be compared: tables, sentences, and what is drawn in a figure."""

import html
import re

import numpy as np
from matplotlib.colors import to_hex
from matplotlib.patches import FancyArrowPatch

from bertglue.evaluation.published_scores import TABLE_1_COLUMNS
from bertglue.report.pages import build, common, contents, data, design, errata, model, results, status, viability
from bertglue.tasks import TASKS

SHOWN = {  # everything that pages show of runs
    "banner": common.banner,
    "main_table": results.main_table,
    "published_encoders": lambda runs: results.published_encoders(),
    "findings": lambda runs: results.findings(),
    "reference_figure": lambda runs: results.scores_figure(),
    "build_findings": build.findings,
    "scores": build.scores,
    "scores_figure": build.scores_figure,
    "learning_curves": build.learning_curves,
    "table_1_source": results.table_1_source,
    **{f"reading {name}": lambda runs, name=name: results.reading(name) for name in results.READINGS},
    "table_1": results.table_1,
    **{name: lambda runs, name=name: results.curves(runs, name) for name in TABLE_1_COLUMNS},
    "confusion_matrices": build.confusion_matrices,
    "reliability": build.reliability_diagrams,
    "calibration": lambda runs: results.calibration_curves(),
    "calibration_findings": lambda runs: results.calibration_findings(),
    "training_curves": build.training_curves,
    "hardest": build.hardest,
    "table_2": viability.table_2,
    "times": viability.times,
    "first_epochs": viability.first_epochs,
    "load_note": viability.load_note,
    **{f"log {name}": lambda runs, name=name: viability.log(runs, name) for name in viability.TABLE_2_TASKS},
    **{f"samples {name}": lambda runs, name=name: viability.samples(runs, name) for name in viability.TABLE_2_TASKS},
    "overview": data.overview,
    **{f"facts {name}": lambda runs, name=name: data.facts(runs, name) for name in TASKS},
    **{f"majority {name}": lambda runs, name=name: data.majority(runs, name) for name in TASKS},
    **{f"examples {name}": lambda runs, name=name: data.examples(runs, name) for name in TASKS},
    "ax": lambda runs: data.examples(runs, "mnli", "ax"),
    "label_balance": data.label_balance,
    "lengths": data.length_distributions,
    "encoders": model.encoders_table,
    "recipes": design.recipes,
    "schedule": design.schedule,
    "steps": design.findings,
    "defects": errata.defects,
    "f1_table": errata.f1_table,
    "cola_table": errata.cola_table,
    "states": status.states,
    "summary": status.summary,
    "compressions": status.compressions,
    "finished": status.finished,
    "versions": status.versions,
    "devices": status.devices,
    "map": contents.published_map,
}
WITHOUT_RUNS = {  # of these, what no run of a build changes
    "published_encoders", "findings", "reference_figure", "calibration", "calibration_findings",
    *(f"reading {name}" for name in results.READINGS),
}  # fmt: skip


def as_text(shown) -> str:
    """Write down a table, a sentence or a figure."""
    if shown is None:
        return "nothing\n"
    if hasattr(shown, "to_string"):
        return shown.to_string() + "\n"
    if hasattr(shown, "axes"):
        return "\n\n".join(axes_text(axes) for axes in shown.axes) + "\n" + legends(shown) + "\n"
    text = re.sub(r"\s*</t[dh]>\s*<t[dh][^>]*>\s*", " | ", re.sub(r"\s*</tr>\s*", "\n", getattr(shown, "data", shown)))
    lines = html.unescape(re.sub(r"<(?!a )[^>]+>", " ", text.replace("<br>", " / "))).splitlines()
    return "\n".join(" ".join(line.split()) for line in lines if line.strip()) + "\n"


def axes_text(axes) -> str:
    """Write down what is drawn on axes: lines and bars with their values, images, marks, texts and ticks."""
    lines = [f"{axes.get_title()} | x: {axes.get_xlabel()} {axes.get_xscale()} | y: {axes.get_ylabel()}"]
    lines.append(f"  ticks x {labels(axes.get_xticklabels())} y {labels(axes.get_yticklabels())}")
    for line in axes.get_lines():
        every = list(zip(*line.get_data(), strict=True))
        points = " ".join(f"({numbers(x)}, {numbers(y)})" for x, y in every[:: max(1, len(every) // 20)])
        lines.append(f"  line {line.get_label()!r} {line.get_linestyle()} {line.get_marker()} {points}")
    for patch in axes.patches:
        if hasattr(patch, "get_width"):
            corner = numbers(patch.get_x()), numbers(patch.get_y())
            lines.append(f"  bar at {corner} of {numbers(patch.get_width())} x {numbers(patch.get_height())}")
        elif isinstance(patch, FancyArrowPatch):
            ends = [tuple(map(numbers, end)) for end in patch._posA_posB]
            lines.append(f"  arrow {ends} {to_hex(patch.get_edgecolor())}")
    for marks in axes.collections:
        values = marks.get_array()
        if values is not None:
            lines.append(f"  cells {[numbers(value) for value in np.ravel(values)]}")
        elif marks.get_paths() and len(marks.get_offsets()) < 2:
            corners = marks.get_paths()[0].vertices
            lines.append(f"  area {marks.get_label()!r} {[(numbers(x), numbers(y)) for x, y in corners]}")
        else:
            sizes = [numbers(size) for size in marks.get_sizes()]
            lines.append(f"  marks {[(numbers(x), numbers(y)) for x, y in marks.get_offsets()]} of {sizes}")
    lines += [f"  image {[numbers(value) for value in np.ravel(image.get_array())]}" for image in axes.images]
    lines += [f"  text {text.get_text()!r}" for text in axes.texts if text.get_text()]
    lines.append(f"  from {numbers(axes.get_xlim()[0])}, {numbers(axes.get_ylim()[0])}")
    return "\n".join(lines)


def numbers(value) -> str:
    return "-" if np.ma.is_masked(value) else value if isinstance(value, str) else f"{float(value):.4g}"


def labels(ticks) -> list[str]:
    return [tick.get_text() for tick in ticks if tick.get_text() and not re.fullmatch(r"[\u2212\d.]+", tick.get_text())]


def legends(figure) -> str:
    """Write down the legends of a figure and of its axes."""
    found = [*figure.legends, *(axes.get_legend() for axes in figure.axes)]
    return "\n".join(f"legend {[text.get_text() for text in legend.get_texts()]}" for legend in found if legend)

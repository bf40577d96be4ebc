"""The appendix that maps the published report to this book: each section, table and figure and its place here."""

from __future__ import annotations

import pandas as pd
from IPython.display import HTML

from bertglue.evaluation.published_scores import TABLE_1_COLUMNS, published_numbers
from bertglue.runs.collection import Runs
from bertglue.runs.status import FINISHED

CURVE_FIGURES = {
    2: "MNLI-mm",
    3: "MNLI-m",
    4: "QQP",
    5: "QNLI",
    6: "SST-2",
    7: "CoLA",
    8: "MRPC",
    9: "RTE",
}  # by figure
# place: a page and an anchor on it
SECTIONS = {
    "task definition evaluation protocol and data": ("data", "tasks-protocol-and-data"),
    "the BERT model": ("model", "the-bert-model"),
    "experiment design": ("design", "experiment-design"),
    "proposed modifications (quantization and pruning)": ("modifications", "proposed-modifications"),
    "experimental design and results": ("results", "results"),
    "viability": ("viability", "viability"),
}
TABLES = {
    1: ("losses and metrics after training", "results", "table-1-losses-and-metrics-after-training"),
    2: ("time per epoch and test time", "viability", "table-2-time"),
}
FIGURES = {
    1: ("data", "fig-1"),
    **{number: ("results", f"fig-{number}") for number in CURVE_FIGURES},
    10: ("viability", "figure-10-qnli-training-log"),
    11: ("viability", "figure-11-qnli-samples"),
    12: ("viability", "figure-12-sst-2-training-log"),
    13: ("viability", "figure-13-sst-2-samples"),
    14: ("viability", "figure-14-qqp-training-log"),
    15: ("viability", "figure-15-qqp-samples"),
}
BEYOND_THE_REPORT = {  # what the report lacks
    "main table: published, reference run and this build, with intervals": ("results", "the-main-table"),
    "STS-B, WNLI and AX": ("results", "scores-of-this-build"),
    "confusion matrices": ("results", "error-analysis"),
    "calibration": ("results", "confidence"),
    "hardest examples": ("results", "hardest-examples"),
    "heads pruned, their number selected automatically": ("modifications", "how-many-heads"),
    "quantized weights, as files": ("modifications", "quantized-files"),
    "the same on real GLUE": ("modifications", "on-real-glue"),
    "curves within the epochs": ("results", "within-the-epochs"),
    "parameters, counted layer by layer": ("model", "parameters-layer-by-layer"),
    "learning rates, seeds, failed runs and differences": ("protocol", "the-protocol"),
    "errata": ("errata", "errata"),
    "speed against other implementations": ("hardware", "speed"),
    "what pre-training gives, on real GLUE": ("pretraining_gain", None),
}


def href(page: str, anchor: str | None) -> str:
    """Return the link from one page of the book to a place on another."""
    return f"{page}.html" + (f"#{anchor}" if anchor else "")


def states(runs: Runs) -> dict[tuple[str, int], str]:
    """Describe for each table and figure that shows runs what became of them."""
    tasks = {("Figure", number): [TABLE_1_COLUMNS[name][0]] for number, name in CURVE_FIGURES.items()}
    tasks |= {("Figure", number): [name] for number, name in ((10, "qnli"), (11, "qnli"), (12, "sst2"), (13, "sst2"))}
    tasks |= {("Figure", number): ["qqp"] for number in (14, 15)}
    tasks |= {
        ("Table", 1): sorted({task for task, _ in TABLE_1_COLUMNS.values()}),
        ("Table", 2): ["qnli", "sst2", "qqp"],
    }
    return {
        place: ", ".join(sorted({FINISHED if name in runs else runs.missing(name) for name in names}))
        for place, names in tasks.items()
    }


def entries() -> list[tuple[str, str, tuple[str, str | None]]]:
    """List (kind and number, title, place) of everything that the published report has, in its order."""
    report = published_numbers()["report"]
    found = [("section", title, SECTIONS[title]) for title in report["sections"]]
    found += [(f"Table {number}", title, (page, anchor)) for number, (title, page, anchor) in TABLES.items()]
    found += [(f"Figure {number}", title, FIGURES[number]) for number, title in report["figures"].items()]
    return found


def published_map(runs: Runs) -> HTML:
    """Map each section, table and figure of the report to its place here, and say whether its runs are there."""
    found = {f"{kind} {number}": state for (kind, number), state in states(runs).items()}
    return linked(
        [
            {"in the report": kind, "": title, "here": place, "its runs": found.get(kind, "")}
            for kind, title, place in entries()
        ]
    )


def beyond() -> HTML:
    """List what this book has beyond the report."""
    return linked([{"beyond the report": title, "here": place} for title, place in BEYOND_THE_REPORT.items()])


def linked(rows: list[dict]) -> HTML:
    frame = pd.DataFrame(rows)
    frame["here"] = [f'<a href="{href(*place)}">{place[0]}</a>' for place in frame["here"]]
    with pd.option_context("display.max_colwidth", None):
        return HTML(frame.to_html(index=False, escape=False, border=0, justify="left"))

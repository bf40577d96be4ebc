"""The appendix that maps the published report to this book: each section, table and figure and its place here."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from IPython.display import HTML

from bertglue.evaluation.published_scores import TABLE_1_COLUMNS, published_numbers
from bertglue.report.pages.common import real_runs
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
SECTIONS = {  # of the report, each with its subsections as they are numbered there
    "task definition evaluation protocol and data": ("data", "tasks-protocol-and-data"),
    "1.1 the natural language problem": ("data", "the-problem-of-language"),
    "1.2 data sets": ("data", "the-data-sets"),
    "1.2.1 MRPC": ("data", "mrpc"),
    "1.2.2 MNLI": ("data", "mnli"),
    "1.2.3 QNLI": ("data", "qnli"),
    "1.2.4 QQP": ("data", "qqp"),
    "1.2.5 SST": ("data", "sst-2"),
    "1.2.6 CoLA": ("data", "cola"),
    "1.2.7 RTE": ("data", "rte"),
    "the BERT model": ("model", "the-bert-model"),
    "2.0.1 pre-training": ("model", "pre-training"),
    "2.0.2 why fine-tune?": ("model", "why-fine-tune"),
    "experiment design": ("design", "experiment-design"),
    "3.0.1 preprocessing": ("design", "preprocessing"),
    "3.0.2 encoder, dropout and classifier": ("design", "model"),
    "3.0.3 distribution and optimizer": ("design", "optimizer"),
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
    "STS-B, WNLI and AX": ("results", "the-main-table"),
    "claims and verdicts": ("../intro", "what-the-report-claims"),
    "errors by length, negation and word overlap": ("error_analysis", "by-kind-of-row"),
    "confusion matrices": ("error_analysis", "by-label"),
    "the diagnostic set by its categories": ("error_analysis", "the-diagnostic-set"),
    "token attributions": ("error_analysis", "token-attributions"),
    "attention maps": ("error_analysis", "attention-maps"),
    "calibration": ("results", "confidence"),
    "hardest examples": ("build", "hardest-examples"),
    "heads pruned, their number selected automatically": ("modifications", "how-many-heads"),
    "quantized weights, as files": ("modifications", "quantized-files"),
    "the same of this build": ("modifications", "this-build"),
    "curves within the epochs": ("build", "within-the-epochs"),
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
    """Describe for each table and figure that shows real runs what became of them."""
    runs = real_runs(runs)
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
    found = [("section", title, place) for title, place in SECTIONS.items()]
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
    frame["here"] = [f'<a href="{href(*place)}">{Path(place[0]).name}</a>' for place in frame["here"]]
    with pd.option_context("display.max_colwidth", None):
        return HTML(frame.to_html(index=False, escape=False, border=0, justify="left"))

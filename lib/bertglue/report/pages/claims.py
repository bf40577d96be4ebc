"""The first page: what the published report claims, judged, and the findings worth a headline."""

from __future__ import annotations

from IPython.display import HTML

from bertglue.evaluation.published_scores import REPORT, find_published_score, published_numbers
from bertglue.report.claims import CONFIRMED, CONTRADICTED, OPEN, Evidence, Verdict, judge, read_claims
from bertglue.report.escaping import escape_text
from bertglue.report.pages.common import beside_baseline, joined, seeds_said
from bertglue.report.pages.errata import batchwise_bounds, counts_for, log, whole_batches
from bertglue.report.tables import NO_MATHEMATICS
from bertglue.tasks import AX

VERDICT_MARKS = {CONFIRMED: "✓", CONTRADICTED: "✗", OPEN: "?"}


def claims_table(evidence: Evidence) -> HTML:
    """Tabulate each claim of the report, where it is made, the verdict with its reason, and the page that shows it."""
    verdicts = judge(evidence)
    rows = "".join(claim_row(claim, verdicts[claim["id"]]) for claim in read_claims())
    head = "".join(f'<th scope="col">{title}</th>' for title in ("the report says", "verdict", "because"))
    return HTML(f'<table class="claims {NO_MATHEMATICS}"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>')


def claim_row(claim: dict, found: Verdict) -> str:
    name = found.verdict.split()[0]  # of a class of the style sheet
    return (
        f'<tr class="{name}"><td>{escape_text(claim["claim"])} <small>({escape_text(claim["where"])})</small></td>'
        f'<td class="verdict">{VERDICT_MARKS[found.verdict]} {found.verdict}</td>'
        f'<td>{escape_text(found.reason)} <a href="{found.page}.html">evidence</a></td></tr>'
    )


def summary(evidence: Evidence) -> str:
    """Count the verdicts in a sentence."""
    verdicts = [one.verdict for one in judge(evidence).values()]
    counts = joined([f"{verdicts.count(name)} {name}" for name in VERDICT_MARKS])
    return f"Of {len(verdicts)} claims of the report: {counts}."


def headlines(evidence: Evidence) -> str:
    """List the findings worth a headline, as Markdown."""
    return "\n".join(f"1. {said}" for said in (about_f1(), about_rows(), about_scores(evidence)) if said)


def about_f1() -> str:
    none, full = batchwise_bounds("mrpc")
    printed = find_published_score(REPORT, "MRPC", "f1").value
    return (
        f"**The published F1 probably cannot tell right from wrong.** A batch-wise metric in circulation, which comes "
        f"close to MRPC's {printed:.3f}, gives {none:.2f} when no prediction is right and {full:.2f} when all are."
    )


def about_rows() -> str:
    examples = published_numbers()["glue_examples"]["SST-2"][1]
    printed = [epoch["val_accuracy"] for epoch in log("SST-2")["epochs"]]
    cut = whole_batches(examples)
    exact = sum(bool(counts_for(one, cut, 4)) for one in printed)
    impossible = [f"{one:.4f}" for one in printed if not counts_for(one, examples, 4)]
    return (
        f"**The report's training logs score a truncated development split.** SST-2's accuracies {joined(impossible)} "
        f"are impossible with the {examples} rows of the split; with {cut}, its whole batches, {exact} of "
        f"{len(printed)} are possible."
    )


def about_scores(evidence: Evidence) -> str:
    """Describe on which tasks the reference run is above its baseline; nothing where it has not begun."""
    above, others = [], []
    for task, split, beyond in beside_baseline(evidence.final):
        if split in (task.validation[0], AX.name):
            (above if beyond else others).append(AX.title if split == AX.name else task.title)
    if not above and not others:
        return ""
    no = f", and not on {joined(others)}" if others else ""
    after = [task.title for task, _, beyond in beside_baseline(evidence.after_mnli) if beyond and task.title in others]
    no += f"; begun from the encoder of MNLI, it is on {joined(after)} too" if after else ""
    return (
        "**A published encoder that fits a laptop, on real GLUE** (development split; seeds a task: "
        f"{seeds_said(evidence.final)}): above its baseline by more than the 95 % interval on "
        f"{joined(above) or 'no task'}{no}. The figure shows each score."
    )

"""The page of errata: each known defect of the published report, with its evidence computed."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.metrics import f1_score

from bertglue.evaluation import metrics
from bertglue.evaluation.published_scores import (
    COLUMNS_NOT_IN_REPORT,
    PAPER,
    REFERENCE_IMPLEMENTATIONS,
    REPORT,
    TABLE_1_COLUMNS,
    find_published_score,
    published_interval,
    published_numbers,
)
from bertglue.report import reference_runs
from bertglue.report.figures import FIGURE_STYLE, color, finish
from bertglue.report.pages.common import count_rows, joined
from bertglue.report.pages.model import BERT_BASE
from bertglue.report.pages.results import PUBLISHED_LOGS, best_reference_runs
from bertglue.report.tables import table
from bertglue.runs.collection import Runs
from bertglue.tasks import TASKS

REPORT_BATCH_SIZE = 32
LOGIT_DEVIATION = 1.5  # standard deviation of the simulated logits


def batchwise_f1(labels: np.ndarray, outputs: np.ndarray, batch_size: int = REPORT_BATCH_SIZE) -> float:
    """Compute the custom Keras metric that circulates as F1, averaged over batches.

    It rounds clipped outputs and counts every column of them, as if [rows, 2] logits were one probability a row; both
    columns are summed, so that it does not see which of the two is the larger one.
    """
    true, given = labels[:, None].astype("float64"), outputs.astype("float64")
    starts = np.arange(0, len(labels), batch_size)
    hits, possible, predicted = (
        np.add.reduceat(np.round(np.clip(x, 0, 1)).sum(axis=1), starts) for x in (true * given, true, given)
    )
    precision, recall = hits / (predicted + 1e-7), hits / (possible + 1e-7)
    return float(np.mean(2 * precision * recall / (precision + recall + 1e-7)))


def simulated(positives: float, right: float, rows: int = 20_000, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Draw labels with a share of positives, and balanced two-column logits of which a share is right."""
    rng = np.random.default_rng(seed)
    labels = (rng.random(rows) < positives).astype(int)
    answers = np.where(rng.random(rows) < right, labels, 1 - labels)
    margin = np.abs(rng.normal(0, LOGIT_DEVIATION, rows))
    return labels, np.stack([np.where(answers, -margin, margin), np.where(answers, margin, -margin)], axis=1)


def positives(task: str) -> float:
    """Return the share of positives in the validation rows of real GLUE that the reference run had."""
    baseline = best_reference_runs()[task][0]["baseline"]["validation"]
    return baseline["accuracy"] if baseline["f1"] else 1 - baseline["accuracy"]


def f1_figure():
    """Draw both metrics against accuracy, for the class shares of MRPC and of QQP."""
    shares = np.linspace(0, 1, 21)
    with plt.style.context(FIGURE_STYLE):
        figure, panels = plt.subplots(1, 2, figsize=(7, 3), sharey=True)
        for axes, (name, task) in zip(panels, (("MRPC", "mrpc"), ("QQP", "qqp")), strict=True):
            drawn = [simulated(positives(task), share) for share in shares]
            true = [f1_score(labels, outputs.argmax(1)) for labels, outputs in drawn]
            axes.plot(shares, true, color=color(0), label="F1 over all rows")
            axes.plot(shares, [batchwise_f1(*d) for d in drawn], color=color(3), label="batch-wise, both columns")
            axes.axhline(
                find_published_score(REPORT, name, "f1").value, color=color(1), linestyle="--", label="published"
            )
            axes.set(title=name, xlabel="accuracy", ylabel="F1" if name == "MRPC" else "")
        figure.tight_layout()
        figure.legend(*axes.get_legend_handles_labels(), loc="upper center", bbox_to_anchor=(0.5, 0), ncols=3)
    return finish(figure)


def f1_table(runs: Runs):
    """Score this build's predictions both ways, as they are and with every one reversed."""
    rows = []
    for task in ("mrpc", "qqp"):
        row = {"task": TASKS[task].title}
        if task not in runs:
            rows.append({**row, "predictions": runs.missing(task)})
            continue
        labels, logits = runs.labels_and_logits(task, "validation")
        for said, outputs in (("as predicted", logits), ("each one reversed", logits[:, ::-1])):
            rows.append(
                {
                    **row,
                    "predictions": said,
                    "accuracy": f"{(outputs.argmax(1) == labels).mean():.3f}",
                    "F1": f"{metrics.METRIC_FUNCTIONS['f1'](labels, outputs.argmax(1)):.3f}",
                    "batch-wise F1": f"{batchwise_f1(labels, outputs):.3f}",
                }
            )
    return table(pd.DataFrame(rows))


def counts_for(printed: float, rows: int, digits: int) -> list[int]:
    """List the numbers of correct predictions, out of so many, that round to a printed accuracy."""
    near = range(max(0, int((printed - 10**-digits) * rows)), min(rows, int((printed + 10**-digits) * rows) + 1) + 1)
    return [right for right in near if round(right / rows + 1e-12, digits) == round(printed, digits)]


def whole_batches(rows: int) -> int:
    return rows // REPORT_BATCH_SIZE * REPORT_BATCH_SIZE


def truncation_table():
    """Test of each accuracy that the logs print whether the whole dev set, or only its whole batches, can give it."""
    rows = []
    for name, log in PUBLISHED_LOGS.items():
        examples = published_numbers()["glue_examples"][name][1]
        for epoch in published_numbers()["report"]["logs"][log]["epochs"]:
            if (printed := epoch["val_accuracy"]) is not None:
                cut = whole_batches(examples)
                rows.append(
                    {
                        "log": name,
                        "printed": f"{printed:.4f}",
                        "of all rows": possible(printed, examples, 4),
                        "of whole batches": possible(printed, cut, 4),
                    }
                )
    return table(pd.DataFrame(rows))


def possible(printed: float, rows: int, digits: int) -> str:
    found = counts_for(printed, rows, digits)
    return f"{found[0]:,} of {rows:,}" if found else f"impossible over {rows:,}"


def sampling_table():
    """Tabulate the 95 % half-width of an accuracy that each dev set's size implies, at the published accuracy."""
    rows = []
    for name in TABLE_1_COLUMNS:
        one = next(
            filter(None, (find_published_score(who, name, "accuracy") for who in (REPORT, *REFERENCE_IMPLEMENTATIONS)))
        )
        low, high = published_interval(one)
        rows.append(
            {
                "task": name,
                "dev examples": f"{one.examples:,}",
                "accuracy": f"{one.value:.3f} ({one.who})",
                "half-width, points": f"{50 * (high - low):.1f}",
            }
        )
    return table(pd.DataFrame(rows))


def cola_table(runs: Runs):
    """Tabulate accuracy beside Matthews correlation: of the majority class, of the reference run, of this build."""
    real = best_reference_runs()["cola"]
    scored = {name: np.mean([run["metrics"]["validation"][name] for run in real]) for name in ("accuracy", "matthews")}
    rows = [
        {"predictions of": "the majority class, GLUE dev", **real[0]["baseline"]["validation"]},
        {"predictions of": "the reference run, GLUE dev", **scored},
        {"predictions of": "the report, dev", "accuracy": find_published_score(REPORT, "CoLA", "accuracy").value},
        {"predictions of": "the BERT paper, test", "matthews": find_published_score(PAPER, "CoLA", "matthews").value},
    ]
    if "cola" in runs:
        rows.append({"predictions of": "this build, validation", **runs["cola"]["metrics"]["validation"]})
    frame = pd.DataFrame(rows)[["predictions of", "accuracy", "matthews"]]
    for name in ("accuracy", "matthews"):
        frame[name] = ["" if pd.isna(value) else f"{value:.3f}" for value in frame[name]]
    return table(frame.rename(columns={"matthews": "Matthews correlation"}))


def dev_and_test():
    """Tabulate other people's dev scores of BERT-base beside the paper's test score, in the same metric."""
    rows = []
    for name, _ in (TABLE_1_COLUMNS | COLUMNS_NOT_IN_REPORT).items():
        paper = next((one for m in metrics.METRIC_TITLES if (one := find_published_score(PAPER, name, m))), None)
        peers = (
            {who: find_published_score(who, name, paper.metric) for who in REFERENCE_IMPLEMENTATIONS} if paper else {}
        )
        if any(peers.values()):
            dev = {f"{who}, dev": f"{one.value:.3f}" if one else "" for who, one in peers.items()}
            gap = np.mean([one.value for one in peers.values() if one]) - paper.value
            rows.append({"task": name, "metric": metrics.METRIC_TITLES[paper.metric], **dev,
                         f"{PAPER}, test": f"{paper.value:.3f}", "dev less test": f"{gap:+.3f}"})  # fmt: skip
    return table(pd.DataFrame(rows))


def report() -> dict:
    return published_numbers()["report"]


def log(name: str) -> dict:
    return report()["logs"][PUBLISHED_LOGS[name]]


def always_positive(share: float) -> float:
    """Return the F1 of always predicting the positive class."""
    return 2 * share / (1 + share)


def say_batchwise(runs: Runs) -> str:
    said = []
    for name, task in (("MRPC", "mrpc"), ("QQP", "qqp")):
        values = [batchwise_f1(*simulated(positives(task), right)) for right in (0.0, 1.0)]
        said.append(
            f"{name}: {values[0]:.2f} with no prediction right, {values[1]:.2f} with all right "
            f"(printed {find_published_score(REPORT, name, 'f1').value:.3f}); always positive gives "
            f"{always_positive(positives(task)):.3f}"
        )
    return "; ".join(said)


def say_cola(runs: Runs) -> str:
    baseline = best_reference_runs()["cola"][0]["baseline"]["validation"]
    return (
        f"on GLUE's dev rows the majority class has accuracy {baseline['accuracy']:.3f} and Matthews correlation "
        f"{baseline['matthews']:.3f}"
    )


def say_dev_against_test(runs: Runs) -> str:
    peers = [find_published_score(who, "QQP", "f1").value for who in REFERENCE_IMPLEMENTATIONS]
    said = joined([f"{value:.3f}" for value in peers])
    return f"QQP, F1 of the same model: {said} on dev, {find_published_score(PAPER, 'QQP', 'f1').value:.3f} on test"


def say_truncated(runs: Runs) -> str:
    examples = published_numbers()["glue_examples"]["SST-2"][1]
    printed = [epoch["val_accuracy"] for epoch in log("SST-2")["epochs"]]
    whole, cut = (sum(bool(counts_for(p, rows, 4)) for p in printed) for rows in (examples, whole_batches(examples)))
    return (
        f"of the {len(printed)} accuracies of SST-2, {whole} can be had over {examples} rows and {cut} over "
        f"{whole_batches(examples)}, its whole batches of {REPORT_BATCH_SIZE}"
    )


def say_rte(runs: Runs) -> str:
    rows, printed = published_numbers()["glue_examples"]["RTE"][1], report()["table_1"]["RTE"]
    found = [f"{possible(printed['validation_accuracy'] / 100, n, 3)}" for n in (rows, whole_batches(rows))]
    return f"loss {printed['validation_loss']} and accuracy {printed['validation_accuracy']}; {joined(found)} rows"


def say_mnli(runs: Runs) -> str:
    losses = [report()["table_1"][name]["training_loss"] / 100 for name in ("MNLI-m", "MNLI-mm")]
    return f"training losses {losses[0]:.3f} and {losses[1]:.3f} of what could be one training; here it is one"


def say_qnli(runs: Runs) -> str:
    rows, steps = published_numbers()["glue_examples"]["QNLI"][0], log("QNLI")["steps_per_epoch"]
    printed = report()["table_2"]["QNLI"]["train_examples"]
    used = steps * REPORT_BATCH_SIZE
    return (
        f"{steps:,} steps of {REPORT_BATCH_SIZE} are {used:,} rows, the whole batches of {rows:,}; printed {printed:,}"
    )


def say_first_epochs(runs: Runs) -> str:
    seconds = [epoch["seconds"] for epoch in log("SST-2")["epochs"]]
    table_2, figure = report()["table_2"]["QNLI"]["first_epoch"], log("QNLI")["epochs"][0]["seconds"]
    said = joined([str(value) for value in seconds])
    return f"SST-2's epochs took {said} s; QNLI's first has {table_2} s in Table 2, {figure} in Figure 10"


def say_rates(runs: Runs) -> str:
    rates = [f"{name} {row['test_examples'] / row['test_inference']:,.0f}" for name, row in report()["table_2"].items()]
    return f"examples a second that Table 2 amounts to: {joined(rates)}"


def say_two_runs(runs: Runs) -> str:
    loss = report()["table_1"]["QNLI"]["validation_loss"] / 100, log("QNLI")["epochs"][-1]["val_loss"]
    right = find_published_score(REPORT, "SST-2", "accuracy").value, log("SST-2")["epochs"][-1]["val_accuracy"]
    return (
        f"QNLI's validation loss is {loss[0]:.3f} in Table 1 and {loss[1]:.4f} in Figure 10; SST-2's accuracy "
        f"{right[0]:.3f} and {right[1]:.4f}"
    )


def say_validation_data(runs: Runs) -> str:
    if not runs:
        return "here a test holds that `train` is what is trained on"
    name, run = next(iter(runs.items()))
    steps = run["curve"][-1]["step"]
    return (
        f"here {TASKS[name].title} was trained for {steps:,} steps of {run['batch_size']}: {run['epochs']} times its "
        f"{count_rows(run)} train rows"
    )


def say_rates_considered(runs: Runs) -> str:
    recipe, paper = report()["recipe"], published_numbers()["bert_paper_recipe"]["learning_rates"]
    missing = sorted(set(paper) - set(recipe["learning_rates_considered"]))
    return (
        f"reported {recipe['learning_rate']:g}; of the paper's rates {joined([f'{r:g}' for r in missing])} is missing"
    )


def say_stsb(runs: Runs) -> str:
    there = "stsb" in runs
    ours = (
        f"here it has Pearson {runs['stsb']['metrics']['validation']['pearson']:.3f}" if there else runs.missing("stsb")
    )
    return f"no column of Table 1 among its {len(TABLE_1_COLUMNS)}; {ours}"


def say_rte_classes(runs: Runs) -> str:
    labels = [label.replace("_", " ") for label in TASKS["rte"].labels]
    return f"GLUE's RTE has {len(labels)} labels: {joined(labels)}"


def say_sst2(runs: Runs) -> str:
    rows, steps = published_numbers()["glue_examples"]["SST-2"][0], log("SST-2")["steps_per_epoch"]
    used = steps * REPORT_BATCH_SIZE
    return f"{steps:,} steps of {REPORT_BATCH_SIZE} in Figure 12 are {used:,} rows; GLUE's train has {rows:,}"


def say_model(runs: Runs) -> str:
    return f"{len(BERT_BASE['heads'])} layers, {BERT_BASE['vocabulary_size']:,} word pieces; see the page on the model"


def say_bert_large(runs: Runs) -> str:
    return "a matter of the text; what a small train set does to the scores here is on the page of results"


def say_flat(runs: Runs) -> str:
    epochs = log("SST-2")["epochs"]
    losses, right = (joined([f"{epoch[k]:.3f}" for epoch in epochs]) for k in ("val_loss", "val_accuracy"))
    return f"losses {losses} at accuracies {right}"


def say_figures(runs: Runs) -> str:
    return f"the report has {len(report()['figures'])} figures; QNLI's and QQP's are described by what they show, here"


def say_one_seed(runs: Runs) -> str:
    one = find_published_score(REPORT, "RTE", "accuracy")
    low, high = published_interval(one)
    return (
        f"RTE's {one.value:.3f} over {one.examples} rows has a half-width of {50 * (high - low):.1f} points; all below"
    )


def say_proposals(runs: Runs) -> str:
    kept = [f"{sum(map(len, one['selection']['kept']))} of {sum(one['heads'])} heads on {TASKS[one['task']].title}"
            for one in reference_runs.read_reference_compressions()]  # fmt: skip
    return f"carried out in the chapter on proposed modifications; on real GLUE it keeps {joined(kept)}"


EVIDENCE = {
    "batchwise_f1": say_batchwise,
    "cola_accuracy": say_cola,
    "dev_against_test": say_dev_against_test,
    "truncated_dev": say_truncated,
    "rte_accuracy": say_rte,
    "mnli_twice": say_mnli,
    "qnli_size": say_qnli,
    "first_epochs": say_first_epochs,
    "test_rates": say_rates,
    "two_runs": say_two_runs,
    "validation_data": say_validation_data,
    "learning_rate": say_rates_considered,
    "stsb_absent": say_stsb,
    "rte_classes": say_rte_classes,
    "sst2_size": say_sst2,
    "model_description": say_model,
    "bert_large": say_bert_large,
    "flat_loss": say_flat,
    "figure_numbers": say_figures,
    "one_seed": say_one_seed,
    "proposals": say_proposals,
}


def defects(runs: Runs):
    """List every known defect of the report: where it is, what is wrong, and the evidence as computed here."""
    rows = [
        {"where": defect["where"], "what is wrong": defect["what"], "computed here": EVIDENCE[defect["id"]](runs)}
        for defect in published_numbers()["known_defects"]
    ]
    return table(pd.DataFrame(rows), classes="texts")

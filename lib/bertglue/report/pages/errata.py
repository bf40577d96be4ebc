"""The page of errata: each known defect of the published report, with its evidence computed."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.metrics import f1_score

from bertglue.evaluation import metrics
from bertglue.evaluation.published_scores import (
    COLUMNS_NOT_IN_REPORT,
    PAPER,
    PUBLISHED_LOGS,
    REFERENCE_IMPLEMENTATIONS,
    REPORT,
    TABLE_1_COLUMNS,
    PublishedScore,
    find_published_score,
    published_interval,
    published_numbers,
)
from bertglue.report.bundled_runs import best_bundled_runs
from bertglue.report.figures import FIGURE_STYLE, color, finish
from bertglue.report.pages.common import count_rows, is_glue, joined, real_runs
from bertglue.report.pages.error_analysis import statistics
from bertglue.report.pages.model import BERT_BASE
from bertglue.report.pages.modifications import real_compressions
from bertglue.report.reference_runs import runs_by_task
from bertglue.report.tables import table
from bertglue.runs.collection import Runs
from bertglue.tasks import TASKS

REPORT_BATCH_SIZE = 32
MATTER_OF_TEXT = "a matter of the text"
LOGIT_DEVIATION = 1.5  # standard deviation of the simulated logits


@dataclass(frozen=True)
class Defect:
    """What is wrong in the report, and what shows it; each number is computed, or quoted from what was printed."""

    wrong: str
    shown: str


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
    """Return the share of positives among the rows of a task's whole development split."""
    return published_numbers()["dev_positives"][TASKS[task].title]


@functools.cache
def batchwise_bounds(task: str) -> tuple[float, float]:
    """Return the batch-wise F1 of a task's class shares with no prediction right, and with all right."""
    none, full = (batchwise_f1(*simulated(positives(task), right)) for right in (0.0, 1.0))
    return none, full


def ten_rows() -> tuple[np.ndarray, np.ndarray]:
    """Draw ten labels and their logits, most of them right, small enough to count by hand."""
    return simulated(0.7, 0.7, rows=10, seed=24)


def ten_rows_table():
    """Tabulate of ten rows what each metric counts: the prediction, and the clipped and rounded columns."""
    labels, outputs = ten_rows()
    rounded = np.round(np.clip(outputs, 0, 1)).astype(int)
    rows = [
        {
            "label": label,
            "logits": f"{pair[0]:+.1f},\u00a0{pair[1]:+.1f}",
            "prediction": int(pair.argmax()),
            "right": "yes" if pair.argmax() == label else "no",
            "clipped and rounded": f"{cut[0]}, {cut[1]}",
            "counted as predicted": int(cut.sum()),
            "counted as a hit": int(label * cut.sum()),
        }
        for label, pair, cut in zip(labels, outputs, rounded, strict=True)
    ]
    return table(pd.DataFrame(rows))


def ten_rows_said() -> str:
    """Do the sums of the ten rows, for both metrics, and for every prediction reversed."""
    labels, outputs = ten_rows()
    counted = np.round(np.clip(outputs, 0, 1)).sum(axis=1).astype(int)
    hits, predicted, positive = int((labels * counted).sum()), int(counted.sum()), int(labels.sum())
    reversed_ = outputs[:, ::-1]
    true, turned = (f1_score(labels, given.argmax(1)) for given in (outputs, reversed_))
    batchwise, exchanged = (batchwise_f1(labels, given, len(labels)) for given in (outputs, reversed_))
    return (
        f"Batch-wise: {hits} hits of {predicted} predicted and {positive} positive rows, "
        f"F1 = 2 · {hits} / ({predicted} + {positive}) = {batchwise:.3f}. With the two columns exchanged, which "
        f"reverses every prediction, no count changes: {exchanged:.3f}. F1 itself is {true:.3f}, and {turned:.3f} with "
        f"every prediction reversed."
    )


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
    """Score real predictions both ways, as they are and with every one reversed."""
    rows = []
    for task in ("mrpc", "qqp"):
        if not is_glue(runs):
            scored = statistics().get(task, {}).get("splits", {}).get("validation", {}).get("both_ways", [])
        elif task in runs:
            scored = both_ways(*runs.labels_and_logits(task, "validation"))
        else:
            scored = []
        row = {"task": TASKS[task].title}
        rows += [row | {name: said_of(value) for name, value in one.items()} for one in scored]
        rows += [] if scored else [{**row, "predictions": runs.missing(task)}]
    return table(pd.DataFrame(rows))


def f1_findings() -> str:
    """Describe how near the batch-wise metric of the reference run comes to what the report printed, as Markdown."""
    said = []
    for name, task in (("MRPC", "mrpc"), ("QQP", "qqp")):
        if scored := statistics().get(task, {}).get("splits", {}).get("validation", {}).get("both_ways", []):
            printed = find_published_score(REPORT, name, "f1").value
            said.append(f"{name} {scored[0]['batch-wise F1']:.3f} (the report printed {printed:.3f})")
    if not said:
        return ""
    train = report()["table_1"]["MRPC"]["f1"] / 100
    return (
        f"The batch-wise metric of the first seed of the reference run: {joined(said)}. The {train:.3f} that the "
        "report printed for MRPC's train is not explained by it. That the report used this metric is likely, and not "
        "shown."
    )


def both_ways(labels: np.ndarray, logits: np.ndarray) -> list[dict]:
    """Score predictions of two labels as they are and with every one reversed, by F1 and by its batch-wise mean."""
    return [
        {
            "predictions": said,
            "accuracy": float((outputs.argmax(1) == labels).mean()),
            "F1": metrics.METRIC_FUNCTIONS["f1"](labels, outputs.argmax(1)),
            "batch-wise F1": batchwise_f1(labels, outputs),
        }
        for said, outputs in (("as predicted", logits), ("each one reversed", logits[:, ::-1]))
    ]


def said_of(value: str | float) -> str:
    return value if isinstance(value, str) else f"{value:.3f}"


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
    """Describe which number of correct predictions prints as this accuracy: rounded, or else with its digits cut."""
    if found := counts_for(printed, rows, digits):
        return f"{found[0]:,} of {rows:,}"
    cut = cut_counts(printed, rows, digits)
    return f"impossible over {rows:,}" + (f" (unless {cut[0]:,} of {rows:,} was cut and not rounded)" if cut else "")


def cut_counts(printed: float, rows: int, digits: int) -> list[int]:
    """List the numbers of correct predictions, out of so many, whose accuracy begins with the printed digits."""
    wanted = round(printed * 10**digits)
    return [right for right in range(rows + 1) if right * 10**digits // rows == wanted]


def half_widths() -> list[tuple[str, PublishedScore, float]]:
    """List of each column of Table 1 an accuracy, and half of the 95 % interval that its dev rows leave, in points."""
    found = []
    for name in TABLE_1_COLUMNS:
        one = next(
            filter(None, (find_published_score(who, name, "accuracy") for who in (REPORT, *REFERENCE_IMPLEMENTATIONS)))
        )
        low, high = published_interval(one)
        found.append((name, one, 50 * (high - low)))
    return found


def sampling_table():
    """Tabulate the 95 % half-width of an accuracy that each dev set's size implies, at the published accuracy."""
    rows = [
        {
            "task": name,
            "dev examples": f"{one.examples:,}",
            "accuracy": f"{one.value:.3f} ({one.who})",
            "half-width, points": f"{width:.1f}",
        }
        for name, one, width in half_widths()
    ]
    return table(pd.DataFrame(rows))


def cola_table(runs: Runs):
    """Tabulate accuracy beside Matthews correlation: of the majority class, of a run on real GLUE, of this build."""
    reference = runs_by_task().get("cola")
    real = reference or best_bundled_runs()["cola"]
    scored = {name: np.mean([run["metrics"]["validation"][name] for run in real]) for name in ("accuracy", "matthews")}
    rows = [
        {"predictions of": "the majority class, GLUE dev", **real[0]["baseline"]["validation"]},
        {"predictions of": f"{'the reference run' if reference else 'the bundled encoder'}, GLUE dev", **scored},
        {"predictions of": "the report, dev", "accuracy": find_published_score(REPORT, "CoLA", "accuracy").value},
        {"predictions of": "the BERT paper, test", "matthews": find_published_score(PAPER, "CoLA", "matthews").value},
    ]
    if is_glue(runs) and "cola" in runs:
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
                         f"{PAPER}, test": f"{paper.value:.3f}", "mean dev less test": f"{gap:+.3f}"})  # fmt: skip
    return table(pd.DataFrame(rows))


def report() -> dict:
    return published_numbers()["report"]


def log(name: str) -> dict:
    return report()["logs"][PUBLISHED_LOGS[name]]


def always_positive(share: float) -> float:
    """Return the F1 of always predicting the positive class."""
    return 2 * share / (1 + share)


def say_batchwise(runs: Runs) -> Defect:
    said = []
    for name, task in (("MRPC", "mrpc"), ("QQP", "qqp")):
        none, full = batchwise_bounds(task)
        said.append(
            f"{name}: {none:.2f} with no prediction right, {full:.2f} with all right; always predicting the "
            f"positive class gives an F1 of {always_positive(positives(task)):.3f}"
        )
    said.append(f"simulated with logits of standard deviation {LOGIT_DEVIATION}, which set the height")
    printed = joined([f"{name}'s {find_published_score(REPORT, name, 'f1').value:.3f}" for name in ("MRPC", "QQP")])
    wrong = (
        f"{printed} are probably not F1 scores: the batch-wise mean of a metric in circulation that counts both "
        "columns of the logits comes close to them"
    )
    return Defect(wrong, "; ".join(said))


def say_consistent(runs: Runs) -> Defect:
    gaps = []
    for name in ("QQP", "MRPC"):
        printed, paper = (find_published_score(who, name, "f1").value for who in (REPORT, PAPER))
        gaps.append(f"{name} {printed:.3f} against {paper:.3f}, {100 * (paper - printed):.1f} points below")
    return Defect("both F1 are called consistent with the paper's", "; ".join(gaps))


def say_cola(runs: Runs) -> Defect:
    printed, paper = (
        find_published_score(*which).value for which in ((REPORT, "CoLA", "accuracy"), (PAPER, "CoLA", "matthews"))
    )
    baseline = best_bundled_runs()["cola"][0]["baseline"]["validation"]
    return Defect(
        f"CoLA's accuracy, {printed:.3f}, is called better than the paper's Matthews correlation, {paper:.3f}",
        f"on GLUE's dev rows the majority class has accuracy {baseline['accuracy']:.3f} and Matthews correlation "
        f"{baseline['matthews']:.3f}",
    )


def say_dev_against_test(runs: Runs) -> Defect:
    peers = [find_published_score(who, "QQP", "f1").value for who in REFERENCE_IMPLEMENTATIONS]
    said = joined([f"{value:.3f}" for value in peers])
    return Defect(
        "development scores are compared with the paper's test scores",
        f"QQP, F1 of BERT-base: {said} on dev, {find_published_score(PAPER, 'QQP', 'f1').value:.3f} on test",
    )


def say_truncated(runs: Runs) -> Defect:
    said = []
    for name in PUBLISHED_LOGS:
        examples = published_numbers()["glue_examples"][name][1]
        printed = [epoch["val_accuracy"] for epoch in log(name)["epochs"] if epoch["val_accuracy"] is not None]
        whole, cut = (
            sum(bool(counts_for(one, rows, 4)) for one in printed) for rows in (examples, whole_batches(examples))
        )
        said.append(
            f"{name}: of {len(printed)} accuracies, {whole} possible with {examples:,} rows, {cut} with "
            f"{whole_batches(examples):,}"
        )
    return Defect(
        f"the development set was cut to whole batches of {REPORT_BATCH_SIZE}, which is not said", "; ".join(said)
    )


def say_rte(runs: Runs) -> Defect:
    rows, printed = published_numbers()["glue_examples"]["RTE"][1], report()["table_1"]["RTE"]
    found = joined([possible(printed["validation_accuracy"] / 100, n, 3) for n in (rows, whole_batches(rows))])
    return Defect(
        f"RTE's validation loss and its validation accuracy are both printed as {printed['validation_loss']}",
        f"as a share of rows {printed['validation_accuracy']} % is {found}",
    )


def say_mnli(runs: Runs) -> Defect:
    losses = [report()["table_1"][name]["training_loss"] / 100 for name in ("MNLI-m", "MNLI-mm")]
    return Defect(
        "MNLI was trained twice, once for each development set, where one training serves both",
        f"training losses {losses[0]:.3f} and {losses[1]:.3f}; here it is one",
    )


def say_qnli(runs: Runs) -> Defect:
    rows, steps = published_numbers()["glue_examples"]["QNLI"][0], log("QNLI")["steps_per_epoch"]
    printed = report()["table_2"]["QNLI"]["train_examples"]
    return Defect(
        f"QNLI's train is given as {printed:,} rows: a digit is missing",
        f"{steps:,} steps of {REPORT_BATCH_SIZE} in Figure 10 are {steps * REPORT_BATCH_SIZE:,} rows, the whole "
        f"batches of {rows:,}",
    )


def say_first_epochs(runs: Runs) -> Defect:
    seconds = [epoch["seconds"] for epoch in log("SST-2")["epochs"]]
    table_2, figure = report()["table_2"]["QNLI"]["first_epoch"], log("QNLI")["epochs"][0]["seconds"]
    said = joined([str(value) for value in seconds])
    return Defect(
        "Table 2's times of an epoch are those of the first, in which the model is compiled",
        f"SST-2's epochs took {said} s; QNLI's first has {table_2} s in Table 2, {figure} in Figure 10",
    )


def say_rates(runs: Runs) -> Defect:
    rates = [f"{name} {row['test_examples'] / row['test_inference']:,.0f}" for name, row in report()["table_2"].items()]
    return Defect("Table 2's test times contradict one another", f"examples a second: {joined(rates)}")


def say_two_runs(runs: Runs) -> Defect:
    loss = report()["table_1"]["QNLI"]["validation_loss"] / 100, log("QNLI")["epochs"][-1]["val_loss"]
    right = find_published_score(REPORT, "SST-2", "accuracy").value, log("SST-2")["epochs"][-1]["val_accuracy"]
    return Defect(
        "Table 1 and the logs are not of the same run",
        f"QNLI's validation loss is {loss[0]:.3f} in Table 1 and {loss[1]:.4f} in Figure 10; SST-2's accuracy "
        f"{right[0]:.3f} and {right[1]:.4f}",
    )


def say_validation_data(runs: Runs) -> Defect:
    wrong = "'fine-tune for 3 epochs over the validation data' should say the training data"
    if not runs:
        return Defect(wrong, "here a test holds that `train` is what is trained on")
    name, run = next(iter(runs.items()))
    steps = run["curve"][-1]["step"]
    return Defect(
        wrong,
        f"here {TASKS[name].title} was trained for {steps:,} steps of {run['batch_size']}: {run['epochs']} times its "
        f"{count_rows(run)} train rows",
    )


def say_rates_considered(runs: Runs) -> Defect:
    recipe, paper = report()["recipe"], published_numbers()["bert_paper_recipe"]["learning_rates"]
    tried = joined([f"{rate:g}" for rate in recipe["learning_rates_considered"]])
    missing = joined([f"{rate:g}" for rate in sorted(set(paper) - set(recipe["learning_rates_considered"]))])
    return Defect(
        f"the learning rate is {recipe['learning_rate']:g} in one place, and the best of {tried} in another",
        f"of the {len(paper)} rates that the paper tried, {missing} is missing",
    )


def say_stsb(runs: Runs) -> Defect:
    in_build = "stsb" in runs and runs["stsb"].get("run")  # the reference run's records have no folder
    same = [runs["stsb"]] if in_build else runs_by_task().get("stsb", [])
    ours = (
        f"here it has Pearson {np.mean([run['metrics']['validation']['pearson'] for run in same]):.3f}"
        if same
        else f"here: {runs.missing('stsb')}"
    )
    return Defect(
        "STS-B is listed as trained, and has neither a section nor a result",
        f"none of Table 1's {len(TABLE_1_COLUMNS)} columns; {ours}",
    )


def say_rte_classes(runs: Runs) -> Defect:
    labels = [label.replace("_", " ") for label in TASKS["rte"].labels]
    return Defect("RTE is described with three classes", f"GLUE's RTE has {len(labels)} labels: {joined(labels)}")


def say_sst2(runs: Runs) -> Defect:
    rows, steps = published_numbers()["glue_examples"]["SST-2"][0], log("SST-2")["steps_per_epoch"]
    return Defect(
        "SST-2 is described by the 11,855 sentences of the treebank, and trained on their phrases",
        f"{steps:,} steps of {REPORT_BATCH_SIZE} in Figure 12 are {steps * REPORT_BATCH_SIZE:,} rows; GLUE's train has "
        f"{rows:,}",
    )


def say_model(runs: Runs) -> Defect:
    return Defect(
        "'12 transformers' are 12 layers of one; of the 15 % of tokens that are predicted, 80 % become [MASK], 10 % a "
        "random token, and 10 % stay; ids are those of word pieces, not hashes",
        f"BERT-base as built here: {len(BERT_BASE['heads'])} layers, {BERT_BASE['vocabulary_size']:,} word pieces",
    )


def say_vocabulary(runs: Runs) -> Defect:
    run = next(iter(runs.values()), None)
    ours = f"; here it has {run['model']['sizes']['vocabulary_size']:,} entries before and after" if run else ""
    return Defect(
        "fine-tuning is said to add words to the vocabulary; it changes weights, and the vocabulary stays",
        f"{MATTER_OF_TEXT}{ours}",
    )


def say_bert_large(runs: Runs) -> Defect:
    return Defect(
        "the paper speaks of BERT-large failing on small sets; a bound of 10,000 examples is not in it", MATTER_OF_TEXT
    )


def say_flat(runs: Runs) -> Defect:
    epochs = log("SST-2")["epochs"]
    losses, right = (joined([f"{epoch[k]:.3f}" for epoch in epochs]) for k in ("val_loss", "val_accuracy"))
    return Defect("SST-2's validation loss is called flat", f"Figure 12: losses {losses} at accuracies {right}")


def say_confidence(runs: Runs) -> Defect:
    return Defect(
        "a high loss at high accuracy is read as low confidence; a loss that rises while accuracy holds may be "
        "over-confidence in what is wrong, which calibration tells",
        f"{MATTER_OF_TEXT}; the chapter on results draws the calibration of each task",
    )


def say_figures(runs: Runs) -> Defect:
    numbers = sorted(report()["figures"])
    return Defect(
        "the text announces figures 14 to 17; Figure 11 calls QNLI question answering, and Figure 15 calls QQP "
        "sentiment analysis",
        f"the report has {len(numbers)} figures, {numbers[0]} to {numbers[-1]}",
    )


def say_one_seed(runs: Runs) -> Defect:
    said = joined([f"{name} {width:.1f}" for name, _, width in half_widths()])
    return Defect(
        "every result is of one seed, and has no interval",
        f"the rows of the development split alone leave open, in points to either side: {said}",
    )


def say_proposals(runs: Runs) -> Defect:
    kept = [f"{sum(map(len, one['selection']['kept']))} of {sum(one['heads'])} heads on {title}"
            for title, one in real_compressions().items()]  # fmt: skip
    return Defect(
        "quantization and pruning are proposed, and never run",
        f"carried out here in the chapter on proposed modifications; on real GLUE it keeps {joined(kept)}",
    )


# by the id of published_scores.yaml, and what is not listed there: (where, what)
LISTED = {
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
MORE = (("section 4", say_consistent), ("section 2.0.2", say_vocabulary), ("section 4", say_confidence))


def all_defects(runs: Runs) -> list[tuple[str, Defect]]:
    """List every known defect of the report with the place where it is."""
    runs = real_runs(runs)
    listed = [(defect["where"], LISTED[defect["id"]](runs)) for defect in published_numbers()["known_defects"]]
    return listed + [(where, say(runs)) for where, say in MORE]


def defects(runs: Runs):
    """Tabulate every known defect of the report: where it is, what is wrong, and what shows it."""
    rows = [
        {"where": where, "what is wrong": one.wrong, "what shows it": one.shown} for where, one in all_defects(runs)
    ]
    return table(pd.DataFrame(rows), classes="texts")

"""Verdicts on the report's claims follow from records: another record, another verdict."""

import copy

import pytest
from paths import ROOT

from bertglue.report import claims
from bertglue.report.bundled_runs import read_bundled_compressions
from bertglue.report.claims import CONFIRMED, CONTRADICTED, OPEN, Evidence, judge
from bertglue.report.pages import claims as page
from bertglue.runs.schemas import ALL_HEADS, SELECTED_HEADS
from bertglue.tasks import TASKS


def run(task, losses, accuracies, seed=0, calibration=(0.05, 0.1), train=1000, score=0.7, half=0.02):
    """A record of a final run, with its history by epoch."""
    spec = TASKS[task]
    splits = spec.validation
    history = [
        {"epoch": at + 1, "train": {"loss": 0.1, "accuracy": 0.9}}
        | {split: {"loss": loss, "accuracy": right, "calibration_error": error} for split in splits}
        for at, (loss, right, error) in enumerate(zip(losses, accuracies, calibration, strict=True))
    ]
    values = {"accuracy": accuracies[-1]} | dict.fromkeys(spec.metrics, score)
    return {
        "task": task, "seed": seed, "history": history, "examples": {"train": train}, "epochs": len(losses),
        "metrics": dict.fromkeys(splits, values),
        "interval": {split: {name: [v - half, v + half] for name, v in values.items()} for split in splits},
        "baseline": {split: dict.fromkeys(values, 0.5) for split in splits},
        "model": {"sizes": {"vocabulary_size": 30522}}, "timing": {"steady_epoch": 120.0},
    }  # fmt: skip


SURER = {"rte": {"validation": [[[30, 0.9, 0.7], [10, 0.6, 0.6]]]}}  # of two bins: rows, confidence, accuracy


def verdict(name, **evidence):
    return judge(Evidence(**evidence))[name]


def test_every_claim_has_a_rule_and_every_rule_a_claim():
    assert {claim["id"] for claim in claims.read_claims()} == set(claims.RULES)


def test_without_any_run_what_needs_one_cannot_be_told():
    found = judge(Evidence())
    assert found["optimum-by-task"].verdict == OPEN
    waiting = {"mnli-loss", "qqp-loss", "qnli-loss", "cola-loss", "rte-loss", "mrpc-curve", "small-sets-overfit"}
    assert {name for name, one in found.items() if one.verdict == OPEN} >= waiting | {"small-data-gain", "memory"}
    assert "CoLA is not done yet" in found["cola-loss"].reason


@pytest.mark.parametrize(
    ("losses", "expected"),
    [([(0.5, 0.6), (0.5, 0.7)], CONFIRMED), ([(0.6, 0.5), (0.7, 0.5)], OPEN), ([(0.5, 0.6), (0.6, 0.5)], OPEN),
     ([(0.5, 0.505), (0.5, 0.6)], OPEN)],
)  # fmt: skip
def test_a_loss_rises_where_it_does_in_every_seed(losses, expected):
    runs = [run("cola", pair, (0.7, 0.7), seed) for seed, pair in enumerate(losses)]
    assert verdict("cola-loss", final={"cola": runs}).verdict == expected


def test_a_rise_at_holding_accuracy_is_over_confidence_and_no_fall_of_confidence():
    rising = run("rte", (0.6, 0.9), (0.62, 0.63), calibration=(0.05, 0.2))
    found = verdict("rte-loss", final={"rte": [rising]}, reliability=SURER)
    assert (found.verdict, "confidence is +0.150 above its accuracy" in found.reason) == (CONTRADICTED, True)
    less = {"rte": {"validation": [[[10, 0.6, 0.9]]]}}
    for bins, said in (({}, "was not computed yet"), (less, "-0.300 above its accuracy, in the mean. It is worse")):
        found = verdict("rte-loss", final={"rte": [rising]}, reliability=bins)
        assert (found.verdict, said in found.reason) == (OPEN, True)
    hardly = run("rte", (0.6, 0.9), (0.62, 0.63), calibration=(0.05, 0.06))
    assert verdict("rte-loss", final={"rte": [hardly]}, reliability=SURER).verdict == CONFIRMED
    falling = run("rte", (0.6, 0.9), (0.63, 0.55), calibration=(0.05, 0.2))
    assert verdict("rte-loss", final={"rte": [falling]}).verdict == CONFIRMED


def test_of_one_seed_a_score_has_to_move_by_more_than_its_interval():
    one = run("mrpc", (0.5, 0.6), (0.7, 0.72))
    one["interval"] = {"validation": {"accuracy": [0.67, 0.77]}}
    assert verdict("mrpc-curve", final={"mrpc": [one]}).verdict == OPEN
    assert verdict("mrpc-curve", final={"mrpc": [one] * 3}).verdict == CONTRADICTED


def test_stopping_early_is_judged_by_accuracy():
    for accuracies, expected in (((0.7, 0.8), CONTRADICTED), ((0.8, 0.7), CONFIRMED), ((0.8, 0.8), OPEN)):
        runs = [run("mrpc", (0.5, 0.6), accuracies)]
        assert verdict("mrpc-curve", final={"mrpc": runs}).verdict == expected


def test_overfitting_by_the_size_of_train():
    names = ["wnli", "rte", "mrpc", "cola", "qnli", "sst2", "qqp"]
    by_size = {name: [run(name, (1, 1), (0.5, 0.5 + 0.05 * at), train=500 * 3**at)] for at, name in enumerate(names)}
    assert verdict("small-sets-overfit", final=by_size).verdict == CONFIRMED
    turned = {name: [run(name, (1, 1), (0.5, 0.8 - 0.05 * at), train=500 * 3**at)] for at, name in enumerate(names)}
    assert verdict("small-sets-overfit", final=turned).verdict == CONTRADICTED
    longer = {**by_size, "wnli": [run("wnli", (1, 1, 1), (0.5, 0.5, 0.5), calibration=(0, 0, 0), train=500)]}
    found = verdict("small-sets-overfit", final=longer)
    assert (found.verdict, "Epochs differ (2 to 3)" in found.reason) == (OPEN, True)
    few = dict(list(by_size.items())[:3])
    assert verdict("small-sets-overfit", final=few).verdict == OPEN


def over_random(low, high, seeds=3):
    between = {"gain": (low + high) / 2, "low": low, "high": high}
    return [{"split": "validation", "metric": "f1", "seeds": [seeds, 5], **between}]


@pytest.mark.parametrize(
    ("low", "high", "expected"), [(0.1, 0.3, CONFIRMED), (-0.1, 0.3, OPEN), (-0.3, -0.1, CONTRADICTED)]
)
def test_gain_of_pretraining_beyond_the_interval(low, high, expected):
    final = {"mrpc": [run("mrpc", (1, 1), (0.5, 0.5))]}
    found = verdict("small-data-gain", final=final, gains={"mrpc": over_random(low, high)})
    assert found.verdict == expected
    assert f"MRPC {(low + high) / 2:+.3f} ({low:+.3f} to {high:+.3f}, F1, seeds 5 and 3)" in found.reason


def test_gain_of_pretraining_takes_every_small_task_and_three_seeds():
    final = {name: [run(name, (1, 1), (0.5, 0.5))] for name in ("mrpc", "rte")}
    found = verdict("small-data-gain", final=final, gains={"mrpc": over_random(0.1, 0.3)})
    assert (found.verdict, "RTE from random weights are not run" in found.reason) == (OPEN, True)
    del final["rte"]
    found = verdict("small-data-gain", final=final, gains={"mrpc": over_random(0.1, 0.3, seeds=1)})
    assert (found.verdict, "It takes 3 seeds of every small task" in found.reason) == (OPEN, True)


def test_pruning_by_the_difference_of_two_retrained_models():
    (one, *_) = read_bundled_compressions()
    assert verdict("pruning-regularises", compressions=[one]).verdict == OPEN
    better = copy.deepcopy(one)
    after = better["retrained"][SELECTED_HEADS]["after"]
    after["metrics"]["validation"]["matthews"] = 0.9
    twice = {**better, "seed": better["seed"] + 1}
    assert verdict("pruning-regularises", compressions=[better, twice]).verdict == CONFIRMED
    found = verdict("pruning-regularises", compressions=[better])
    assert (found.verdict, "one retraining of a task does not tell" in found.reason) == (OPEN, True)
    paired = {"split": "validation", "metric": "matthews", "gain": -0.1, "low": -0.15, "high": -0.05}
    worse = [{**one, "pruning_gain": [paired]} for one in (better, twice)]
    found = verdict("pruning-regularises", compressions=worse)
    assert found.verdict == CONTRADICTED, "the same rows, compared, are worth more than two intervals"
    assert "CoLA (seed 0) -0.100 (-0.150 to -0.050)" in found.reason


def test_what_numbers_alone_settle():
    found = judge(claims.gather_evidence())
    settled = {"qqp-f1", "mrpc-f1", "cola-accuracy", "sst2-loss", "vocabulary"}
    assert {found[name].verdict for name in settled} == {CONTRADICTED}
    assert found["memory"].verdict == CONFIRMED
    for name in ("mnli-accuracy", "sst2-accuracy"):  # the paper's scores are of the test split
        assert (found[name].verdict, "(outside)" in found[name].reason) == (OPEN, False)
    assert "23.3 points apart" in found["qqp-f1"].reason
    rte = found["rte-accuracy"].reason
    assert "0.636 is impossible over 277 and impossible over 256 (unless 163 of 256 was cut and not rounded);" in rte
    assert {found[name].verdict for name in ("qnli-accuracy", "optimum-by-task")} == {OPEN}
    assert "others 0.907 and 0.885 (outside)" in found["qnli-accuracy"].reason
    bundled = claims.optimum_by_task(Evidence(compressions=read_bundled_compressions()))
    assert (bundled.verdict, "1 of 8 on CoLA (optimum of the curve: 3)" in bundled.reason) == (OPEN, True)


def test_a_number_of_heads_that_is_the_best_of_the_curve_contradicts_that_no_method_finds_it():
    curve = [
        {"order": "gradient", "seed": 0, "heads": heads, "scores": {"validation": {"accuracy": score}}}
        for heads, score in ((4, 0.7), (3, 0.69), (2, 0.5))
    ]
    selection = {"kept": [[0, 1], [1]]}
    one = {
        "task": "rte",
        "encoder": "bundled",
        "seed": 0,
        "heads": [2, 2],
        "pruning_curve": curve,
        "selection": selection,
        "retrained": {ALL_HEADS: {"before": {"interval": {"validation": {"accuracy": [0.6, 0.8]}}}}},
    }
    assert claims.optimum_by_task(Evidence(compressions=[one])).verdict == CONTRADICTED
    coarse = {**one, "pruning_curve": [curve[0], curve[2]]}
    coarse["selection"] = {"kept": [[0, 1], [0, 1]]}
    found = claims.optimum_by_task(Evidence(compressions=[coarse]))
    assert (found.verdict, "optimum of the curve: 4, in steps of 2" in found.reason) == (OPEN, True)
    one["selection"]["kept"] = [[0], [1]]
    assert claims.optimum_by_task(Evidence(compressions=[one])).verdict == OPEN


def test_confidence_is_not_read_from_a_model_that_is_not_above_its_baseline():
    falling = {"calibration": (0.1, 0.2), "half": 0.02}
    above = run("rte", (0.5, 0.7), (0.6, 0.61), **falling)
    below = run("rte", (0.5, 0.7), (0.5, 0.51), score=0.51, **falling)
    assert verdict("rte-loss", final={"rte": [above]}, reliability=SURER).verdict == CONTRADICTED
    assert verdict("rte-loss", final={"rte": [below]}).verdict == OPEN


def test_each_verdict_leads_to_a_page_of_the_book():
    for one in judge(claims.gather_evidence()).values():
        assert (ROOT / "notebooks" / f"{one.page.removeprefix('pages/')}.ipynb").exists()


def test_the_table_and_the_headlines():
    found = Evidence(final={"mrpc": [run("mrpc", (0.5, 0.6), (0.7, 0.8), score=0.876)]})
    html = page.claims_table(found).data
    assert html.count("<tr class=") == len(claims.RULES)
    assert "✗ contradicted" in html
    said = page.headlines(found)
    assert "0.71 when no prediction is right and 0.71 when all are" in said
    assert "0.9155, 0.9213 and 0.9201 are impossible with the 872 rows" in said
    assert "with 864, its whole batches, 3 of 3 are possible" in said
    assert "seeds a task: 1): above its baseline by more than the 95 % interval on MRPC. The figure" in said
    low = Evidence(final={"rte": [run("rte", (0.5, 0.6), (0.5, 0.5), score=0.51)]})
    assert "interval on no task, and not on RTE. The figure" in page.headlines(low)
    after = {"rte": [run("rte", (0.5, 0.6), (0.6, 0.7), score=0.68)], "mrpc": [run("mrpc", (0.5, 0.6), (0.5, 0.5))]}
    said = page.headlines(Evidence(final=low.final, after_mnli=after))
    assert "and not on RTE; begun from the encoder of MNLI, it is on RTE too. The" in said
    assert len(page.headlines(Evidence()).splitlines()) == 2
    assert page.summary(found).startswith("Of 21 claims of the report: ")

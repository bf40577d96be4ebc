"""Every table, sentence and figure of the pages, from made-up runs no two values of which are alike, held to its text.

The texts lie in `test_shown/`. Where a page changes on purpose, `pytest tests/report/test_shown.py --force-regen`
writes them anew; read what changed before it is committed. The values of the runs are explained in `made_runs.py`.
"""

import pytest
from made_runs import RIGHT, made_data, made_logits, made_tokens, make_reference, make_runs
from shown import SHOWN, as_text

from bertglue.evaluation.evaluate import Scores
from bertglue.models.bundled import read_pretraining_record
from bertglue.report import figures, prediction_speed, reference_runs, tables, training_speed
from bertglue.report.bundled_runs import read_bundled_runs
from bertglue.report.measured_files import COST_GROWTH, PREDICTION_SPEED, TRAINING_SPEED, TRAINING_SPEED_BFLOAT16
from bertglue.report.pages import contents, data, errata, model, modifications, pretraining_gain, protocol
from bertglue.report.race_results import read_result
from bertglue.runs.collection import load_runs


@pytest.fixture(scope="module", autouse=True)
def reference(tmp_path_factory):
    """A reference run of two tasks, two seeds each: the one that is kept grows as its units are done."""
    place = tmp_path_factory.mktemp("reference")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reference_runs, "REFERENCE_RUNS", place)
        reference_runs.runs_by_task.cache_clear()
        make_reference(place)
        yield
    reference_runs.runs_by_task.cache_clear()


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    return load_runs(make_runs(tmp_path_factory.mktemp("runs"), right=None, source="folder"))


@pytest.mark.parametrize("name", SHOWN)
def test_what_a_page_shows_of_runs(runs, name, file_regression):
    file_regression.check(as_text(SHOWN[name](runs)))


def run_of(runs, name):
    """What the fine-tuning notebook has of a run: its task, rows, tokens, logits, and record."""
    data = made_data(name)
    tokens = {split: made_tokens(len(rows), at) for at, (split, rows) in enumerate(data.splits.items())}
    return data, tokens, made_logits(data, RIGHT[name]), runs[name]


OF_A_RUN = {  # what the fine-tuning notebook shows
    "label balance": lambda data, tokens, logits, run: figures.label_balance(data),
    "token lengths": lambda data, tokens, logits, run: figures.token_lengths(tokens, 16),
    "learning curves": lambda data, tokens, logits, run: figures.learning_curves(
        data.task, run["history"], run["baseline"]
    ),
    "training curve": lambda data, tokens, logits, run: figures.training_curve(data.task, run["curve"], run["history"]),
    "errors": lambda data, tokens, logits, run: figures.errors(
        data.task, data["validation"].labels, logits["validation"]
    ),
    "split sizes": lambda data, tokens, logits, run: tables.split_sizes(data),
    "examples": lambda data, tokens, logits, run: tables.examples(data),
    "hardest": lambda data, tokens, logits, run: tables.hardest(data, logits),
    "score table": lambda data, tokens, logits, run: tables.score_table(
        Scores(run["metrics"], run["interval"], run["baseline"])
    ),
    "sample predictions": lambda data, tokens, logits, run: tables.sample_predictions(
        data.task, [["a", "b"], ["c", "d"]], logits["validation"][:2]
    ),
}


@pytest.mark.parametrize("task", ["mrpc", "stsb"])
@pytest.mark.parametrize("name", OF_A_RUN)
def test_what_the_notebook_shows_of_a_run(runs, name, task, file_regression):
    file_regression.check(as_text(OF_A_RUN[name](*run_of(runs, task))))


MEASURED = {
    "rates_frame": lambda: pretraining_gain.rates_frame(read_bundled_runs()),
    "scores_frame": lambda: pretraining_gain.scores_frame(read_bundled_runs()),
    "data_frame": lambda: pretraining_gain.data_frame(read_bundled_runs()),
    "gains_figure": lambda: pretraining_gain.gains_figure(read_bundled_runs()),
    "gain findings": lambda: pretraining_gain.findings(read_bundled_runs()),
    "pretraining": lambda: pretraining_gain.pretraining_frame(read_pretraining_record()),
    "pretraining curves": lambda: figures.pretraining_curves(read_pretraining_record()["history"][::8]),
    "speed summary": lambda: training_speed.summary(read_result(TRAINING_SPEED)),
    "speed details": lambda: training_speed.details(read_result(TRAINING_SPEED)),
    "speed scores": lambda: training_speed.scores(read_result(TRAINING_SPEED)),
    "speed conditions": lambda: training_speed.conditions(read_result(TRAINING_SPEED)),
    "speed bfloat16 summary": lambda: training_speed.summary(read_result(TRAINING_SPEED_BFLOAT16)),
    "speed bfloat16 conditions": lambda: training_speed.conditions(read_result(TRAINING_SPEED_BFLOAT16)),
    "prediction summary": lambda: prediction_speed.summary(read_result(PREDICTION_SPEED)),
    "prediction conditions": lambda: prediction_speed.conditions(read_result(PREDICTION_SPEED)),
    "growth figure": lambda: training_speed.growth_figure(read_result(COST_GROWTH)),
    "growth findings": lambda: training_speed.growth_findings(read_result(COST_GROWTH)),
    "errata f1 figure": errata.f1_figure,
    "errata ten rows": errata.ten_rows_table,
    "errata ten rows said": errata.ten_rows_said,
    "errata f1 findings": errata.f1_findings,
    "errata truncation": errata.truncation_table,
    "errata dev and test": errata.dev_and_test,
    "errata sampling": errata.sampling_table,
    "data directions": data.directions,
    "model architecture": model.architecture,
    "model BERT-base": lambda: model.parameters_table(model.BERT_BASE),
    "model findings": model.findings,
    "contents beyond": contents.beyond,
    **{
        f"protocol {name}": lambda show=show: show(protocol.pretrained_bundled_runs())
        for name, show in {
            "summary": protocol.summary, "learning rates": protocol.learning_rates, "spreads": protocol.spreads,
            "seeds": protocol.seeds, "failures": protocol.failures,
        }.items()
    },
    **{
        f"modifications {show.__name__}": lambda show=show: show(modifications.real_compressions())
        for show in (
            modifications.pruning_curves, modifications.head_maps, modifications.selections, modifications.scores,
            modifications.losses, modifications.files, modifications.file_points, modifications.findings,
            modifications.strength_findings, modifications.compressed_models, modifications.loss_findings,
        )
    },
}  # fmt: skip


@pytest.mark.parametrize("name", MEASURED)
def test_what_a_page_shows_of_what_was_published_and_measured(name, file_regression):
    file_regression.check(as_text(MEASURED[name]()))

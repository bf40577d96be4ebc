"""Every table, sentence and figure of the pages, from made-up runs no two values of which are alike, held to its text.

The texts lie in `test_shown/`. Where a page changes on purpose, `pytest tests/report/test_shown.py --force-regen`
writes them anew; read what changed before it is committed. The values of the runs are explained in `made_runs.py`.
"""

import pytest
from made_runs import make_runs
from shown import SHOWN, as_text

from bertglue.report.pages import modifications, pretraining_gain, protocol
from bertglue.report.reference_runs import read_reference_runs
from bertglue.runs.collection import load_runs


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    return load_runs(make_runs(tmp_path_factory.mktemp("runs"), right=None))


@pytest.mark.parametrize("name", SHOWN)
def test_what_a_page_shows_of_runs(runs, name, file_regression):
    file_regression.check(as_text(SHOWN[name](runs)))


REFERENCE = {
    "rates_frame": lambda: pretraining_gain.rates_frame(read_reference_runs()),
    "scores_frame": lambda: pretraining_gain.scores_frame(read_reference_runs()),
    "data_frame": lambda: pretraining_gain.data_frame(read_reference_runs()),
    "gains_figure": lambda: pretraining_gain.gains_figure(read_reference_runs()),
    "gain findings": lambda: pretraining_gain.findings(read_reference_runs()),
    **{
        f"protocol {name}": lambda show=show: show(protocol.pretrained_reference_runs())
        for name, show in {
            "summary": protocol.summary, "learning rates": protocol.learning_rates, "spreads": protocol.spreads,
            "seeds": protocol.seeds, "failures": protocol.failures,
        }.items()
    },
    **{
        f"modifications {show.__name__}": lambda show=show: show(modifications.reference_compressions())
        for show in (
            modifications.pruning_curves, modifications.head_maps, modifications.selections, modifications.scores,
            modifications.losses, modifications.files, modifications.findings, modifications.strength_findings,
            modifications.loss_findings,
        )
    },
}  # fmt: skip


@pytest.mark.parametrize("name", REFERENCE)
def test_what_a_page_shows_of_the_reference_run(name, file_regression):
    file_regression.check(as_text(REFERENCE[name]()))

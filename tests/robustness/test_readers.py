"""Every reader on damaged files: it reads, or it refuses in one line that names the file; nothing is a traceback.

`ROBUSTNESS_SEED` in the environment tries other damage. The figures of a run are printed (`pytest -rP`).
"""

import functools
import os
import random
import re
import shutil
import traceback

import numpy as np
import pytest
from made_runs import RECIPE, SIZES, make_runs, write_compression, write_run
from robustness.mutations import mutate_bytes, mutate_json, mutate_lines, mutate_npz
from shown import SHOWN, WITHOUT_RUNS

from bertglue import cli
from bertglue.data.dataset import Split
from bertglue.errors import InputError, exit_status
from bertglue.evaluation import metrics
from bertglue.evaluation.published_scores import TABLE_1_COLUMNS
from bertglue.export import export
from bertglue.models import saved_classifier
from bertglue.models.bert import EncoderConfig, build_encoder
from bertglue.models.classifier import build_classifier
from bertglue.models.preprocessor import Preprocessor, tokenize
from bertglue.parameters import Parameters
from bertglue.report.pages import modifications, protocol
from bertglue.runs import leaderboard, predict, reproduction, status
from bertglue.runs.collection import collect_runs, load_runs
from bertglue.tasks import TASKS

SEED = int(os.environ.get("ROBUSTNESS_SEED", "0"))
MUTATIONS = 60  # of each file
TASK, RUN = "wnli", "wnli/lr2e-05-seed0"
WNLI_ROWS = 146  # of GLUE's test split
VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *(f"w{i}" for i in range(45))]
SHOWN_OF_STATES = ("states", "summary", "compressions", "table_1", "map")
OTHER_TASKS = re.compile(rf"(facts|majority|examples) (?!{TASK})|ax$")
FIGURES = (
    "scores_figure", "confusion_matrices", "reliability", "calibration", "training_curves", "label_balance", "lengths",
    "schedule",
)  # fmt: skip
LEFT_OUT = (*FIGURES, *TABLE_1_COLUMNS, *WITHOUT_RUNS)
SHOWN_OF_RUNS = [name for name in SHOWN if name not in LEFT_OUT and not OTHER_TASKS.match(name)]
MODIFICATION_FIGURES = (modifications.pruning_curves, modifications.head_maps, modifications.losses)
MODIFICATIONS = (
    modifications.findings, modifications.selections, modifications.scores, modifications.loss_findings,
    modifications.strength_findings, modifications.files,
)  # fmt: skip


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Write a book of one small run, its classifier, its compression, its repetition and its tokens."""
    place = tmp_path_factory.mktemp("book")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(SIZES, "test", WNLI_ROWS)
        results = make_runs(place, [TASK])
        write_run(place / "again", Parameters(task=TASK, **RECIPE))
    classifier = build_classifier(build_encoder(EncoderConfig(50, 8, 16, (2, 2), 4, 16)), TASKS[TASK].outputs)
    saved_classifier.save_classifier(classifier, preprocessor(), place / RUN)
    shutil.copytree(place / RUN, place / "older")
    (place / "older" / saved_classifier.DIGESTS_FILE).unlink()
    write_compression(place / "compressed" / RUN, TASK)
    collect_runs(expected(place), results, place / "logs", {str(place / "compressed" / RUN): TASK})
    tokenize(SPLIT, preprocessor(), place / "cache")
    return place


SPLIT = Split({"sentence1": [f"w{i} w3" for i in range(20)], "sentence2": ["w1"] * 20}, np.zeros(20, "int32"))


@functools.cache
def preprocessor():
    """Return one preprocessor for all, which is traced once."""
    return Preprocessor(VOCABULARY, 16)


def expected(place):
    return {str(place / RUN): Parameters(task=TASK, **RECIPE).model_dump()}


# ---------------------------------------------------------------- the commands


def show_results(place):
    cli.show_results([place / RUN])


def predict_rows(folder):
    predictor = predict.Predictor(folder)
    assert len(list(predictor([("w1 w2", "w3"), ("w4", "w5 [SEP] \x00")]))) == 2
    return predictor


def export_files(folder):
    predictor = predict.Predictor(folder)
    target = folder.parent / "exported"
    shutil.rmtree(target, ignore_errors=True)
    export.export_litert(predictor.classifier, predictor.preprocessor, predictor.task, target)


def reproduce(place):
    reproduction.recipe(place / RUN, place / "repeated")
    reproduction.recorded_threads(place / RUN)
    reproduction.compare(place / RUN, place / "again").lines()


def submit(place):
    leaderboard.write_submission(place / "wnli", place / "submission.zip", fill=True)
    leaderboard.check_submission(place / "submission.zip")


def collect(place):
    """Collect the book anew into a folder beside it, as `make book` does."""
    collect_runs(
        expected(place), place / "collected.json", place / "logs", {str(place / "compressed" / RUN): TASK}
    )  # fmt: skip


def check_status(place):
    exit_status(lambda: status.check_status(place / "status.json"))


def build_pages(place):
    """Show the pages of the book; a run that cannot be read costs its own cells, so that this is never an error.

    Tables and sentences are shown each time, and one figure, another one of each damage.
    """
    runs = load_runs(place / "results.json")
    found = modifications.load_compressions(runs)
    for name in SHOWN_OF_STATES if not runs else SHOWN_OF_RUNS:
        SHOWN[name](runs)
    for show in MODIFICATIONS if found else ():
        show(found)
    if runs:
        for show in (protocol.summary, protocol.learning_rates, protocol.failures):
            show(runs.records)
        protocol.seeds(runs.records)
        protocol.differences(runs)
        draw_one(runs, found)


def draw_one(runs, found):
    figures = [lambda show=SHOWN[name]: show(runs) for name in FIGURES]
    figures += [lambda: protocol.spreads(runs.records)]
    figures += [lambda show=show: show(found) for show in MODIFICATION_FIGURES if found]
    random.Random(f"{runs.records} {found}").choice(figures)()


def tokenize_again(place):
    """Tokenize what is cached; damage is repaired, so that this is never an error."""
    kept = {path: path.read_bytes() for path in (place / "cache").rglob("*") if path.is_file()}
    tokens = tokenize(SPLIT, preprocessor(), place / "cache")
    assert len(tokens.batch(np.arange(20))["input_mask"]) == 20
    for path, content in kept.items():
        path.write_bytes(content)


def predict_saved(place):
    predict_rows(place / RUN)


def export_saved(place):
    export_files(place / RUN)


def predict_older(place):
    predict_rows(place / "older")


OF_A_CLASSIFIER = (predict_saved, export_saved)
READERS = {  # file, how it is damaged, what reads it
    "record": (f"{RUN}/record.json", mutate_json,
               (show_results, reproduce, submit, collect, predict_saved, export_saved, build_pages)),
    "results": ("results.json", mutate_json, (build_pages,)),
    "status": ("status.json", mutate_json, (check_status, build_pages)),
    "texts": (f"{RUN}/texts.json", mutate_json, (collect, build_pages)),
    "compression": (f"compressed/{RUN}/compression.json", mutate_json, (collect, build_pages)),
    "logits": (f"{RUN}/logits.npz", mutate_npz, (submit, reproduce, collect, build_pages)),
    "labels": (f"{RUN}/labels.npz", mutate_npz, (collect, build_pages)),
    "model": (f"{RUN}/model.keras", mutate_bytes, OF_A_CLASSIFIER),
    "vocabulary": (f"{RUN}/vocab.txt", mutate_lines, OF_A_CLASSIFIER),
    "preprocessing": (f"{RUN}/preprocessing.json", mutate_json, OF_A_CLASSIFIER),
    "digests": (f"{RUN}/digests.json", mutate_json, OF_A_CLASSIFIER),
    "older model": ("older/model.keras", mutate_bytes, (predict_older,)),
    "older vocabulary": ("older/vocab.txt", mutate_lines, (predict_older,)),
    "older preprocessing": ("older/preprocessing.json", mutate_json, (predict_older,)),
    "tokens": ("cache/tokens/*/tokens.json", mutate_json, (tokenize_again,)),
    "token ids": ("cache/tokens/*/ids.bin", mutate_bytes, (tokenize_again,)),
    "token rows": ("cache/tokens/*/rows.npz", mutate_npz, (tokenize_again,)),
}  # fmt: skip
NEVER_REFUSED = {  # what has to work whatever is in the file
    "record": (collect, build_pages), "texts": (collect, build_pages), "compression": (collect, build_pages),
    "logits": (collect, build_pages), "labels": (collect, build_pages), "tokens": (tokenize_again,),
    "token ids": (tokenize_again,), "token rows": (tokenize_again,),
}  # fmt: skip


@functools.cache
def same_preprocessor(vocabulary, seq_length, **options):
    """Make one for each vocabulary, length and normalization: what no damage reached is traced once."""
    return Preprocessor(list(vocabulary), seq_length, **options)


@pytest.fixture
def quick(monkeypatch):
    """Leave out what no damage reaches: the leaderboard's other files, the conversion, and most resamples."""
    monkeypatch.setattr(
        "bertglue.models.preprocessor.Preprocessor",
        lambda vocabulary, seq_length, **options: same_preprocessor(tuple(vocabulary), seq_length, **options),
    )
    monkeypatch.setattr(leaderboard, "SUBMISSION_FILES", {"WNLI": (TASK, "test")})
    monkeypatch.setattr(export, "convert_to_litert", lambda classifier, path, *rest: path.write_bytes(b"a model"))
    monkeypatch.setattr(metrics, "BOOTSTRAP_RESAMPLES", 20)


def outcome(command, place) -> str:
    """Run a command; return "read", "refused" in one line, or the traceback."""
    try:
        command(place)
    except InputError as error:
        return "refused" if len(str(error).splitlines()) == 1 else f"more than one line: {error}"
    except Exception:
        return traceback.format_exc(limit=-4)
    return "read"


@pytest.mark.parametrize("name", READERS)
def test_a_damaged_file_is_read_or_refused_in_one_line(place, quick, monkeypatch, name):
    pattern, mutate, commands = READERS[name]
    (path,) = place.glob(pattern)
    if "model" not in name:
        whole = saved_classifier.read_model(place / RUN / "model.keras")
        monkeypatch.setattr(saved_classifier, "read_model", lambda path: whole)
    content, found = path.read_bytes(), {"read": 0, "refused": 0}
    try:
        for number in range(MUTATIONS):
            damaged = mutate(content, random.Random(f"{SEED} {name} {number}"))
            if damaged == content:  # blanked where it was blank
                continue
            path.write_bytes(damaged)
            for command in commands:
                said = outcome(command, place)
                assert said in found, f"damage {number} of {path.name}, {command.__name__}: {said}"
                assert said == "read" or command not in NEVER_REFUSED.get(name, ())
                found[said] += 1
    finally:
        path.write_bytes(content)
    assert all(outcome(command, place) == "read" for command in commands)
    print(f"{name}: {MUTATIONS} damaged files, {found['read']} read, {found['refused']} refused")

"""A finished run compressed, whole: the steps fit together, their record says what they found, pages show it."""

import json

import numpy as np
import pytest

from bertglue import InputError
from bertglue.atomic_files import write_json
from bertglue.compression import pipeline
from bertglue.compression.head_selection import Selection
from bertglue.data.dataset import HELD_OUT, Data, Split
from bertglue.models.bert import EncoderConfig, build_encoder
from bertglue.models.classifier import build_classifier
from bertglue.models.heads import count_heads
from bertglue.models.preprocessor import Preprocessor, tokenize
from bertglue.models.saved_classifier import save_classifier
from bertglue.parameters import CompressionParameters, Parameters
from bertglue.report.pages import modifications
from bertglue.runs.collection import Runs
from bertglue.runs.schemas import ALL_HEADS, SELECTED_HEADS
from bertglue.tasks import TASKS

VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *(f"w{i}" for i in range(45))]
TASK = TASKS["mrpc"]
ROWS = 40


def made_data():
    rng = np.random.default_rng(0)
    columns = {c: [" ".join(f"w{i}" for i in rng.integers(0, 45, 4)) for _ in range(ROWS)] for c in TASK.columns}
    split = Split(columns, rng.integers(0, 2, ROWS).astype("int32"))
    return Data(TASK, "toy", dict.fromkeys(("train", "validation", HELD_OUT), split))


@pytest.fixture
def finished(tmp_path, monkeypatch):
    """Write a finished run of a small classifier; give the parameters to compress it, and a way to write another."""
    monkeypatch.setattr(pipeline, "load_data_for", lambda recipe: made_data())
    folder = tmp_path / "run"

    def write(heads=(2, 2), hold_out=0.1):
        classifier = build_classifier(build_encoder(EncoderConfig(50, 8, 16, heads, 4, 16)), TASK.outputs)
        rng = np.random.default_rng(0)
        for variable in classifier.trainable_variables:
            variable.assign(rng.normal(0, 0.3, variable.shape))
        save_classifier(classifier, Preprocessor(VOCABULARY, 16), folder)
        recipe = Parameters(task="mrpc", hold_out=hold_out, max_length=16, batch_size=8)
        write_json(folder / "record.json", {
            "task": "mrpc", "source": "toy", "encoder": "bundled", "seed": 0, "learning_rate": 2e-5,
            "examples": {"train": ROWS}, "baseline": {"validation": {"f1": 0.125, "accuracy": 0.5}},
            "parameters": recipe.model_dump(exclude={"run_dir", "cache_dir"}),
        })  # fmt: skip

    write()
    parameters = CompressionParameters(
        run_dir=str(folder), output_dir=str(tmp_path / "out"), cache_dir=str(tmp_path / "cache"),
        pruning_seeds=1, pruning_rows=16, trials=2, trial_rows=16, trial_epochs=1,
        keras_kinds=["bfloat16", "int8"],
    )  # fmt: skip
    return parameters, write


def test_some_rows_of_train_keep_their_tokens(finished, tmp_path):
    run = pipeline.open_finished_run(finished[0])
    data, tokens = run.few(16)
    again = tokenize(data["train"], run.preprocessor, tmp_path / "again")
    np.testing.assert_array_equal(tokens["train"].ids, again.ids)


def test_a_run_is_made_smaller_and_every_step_is_recorded(finished, monkeypatch):
    pytest.importorskip("ai_edge_litert", reason="it runs the files; Colab's images have none")
    parameters, _ = finished
    monkeypatch.setattr(pipeline, "LITERT_KINDS", ("float32", "int8 static"))  # test_litert writes every kind
    monkeypatch.setattr(pipeline, "current_device", lambda: "GPU (Tesla T4)")
    run = pipeline.open_finished_run(parameters)
    points, choice = pipeline.measure_pruning(run, parameters), pipeline.select(run, parameters)
    kept = [[1], []]  # whatever was chosen, these are shown
    again = {
        SELECTED_HEADS: pipeline.retrain(run, kept, parameters),
        ALL_HEADS: pipeline.retrain(run, run.whole, parameters),
    }
    assert count_heads(run.classifier) == [2, 2]  # the run's own is left as it was
    assert count_heads(again[SELECTED_HEADS].classifier) == [1, 0]
    files = pipeline.write_files(run, again, parameters)
    path = pipeline.write_compression(run, parameters, points, choice, again, files)

    record = json.loads(path.read_text())
    assert record["heads"] == [2, 2]
    assert record["environment"]["device"] == "GPU (Tesla T4)"
    assert {point["heads"] for point in record["pruning_curve"]} == set(range(5))
    assert len(record["selection"]["trials"]) == 2
    whole = again[ALL_HEADS].before.metrics["validation"]
    assert next(p for p in record["pruning_curve"] if p["heads"] == 4)["scores"]["validation"] == whole
    exact = next(f for f in record["files"] if (f["model"], f["kind"]) == (ALL_HEADS, "float32"))
    assert exact["metrics"]["validation"] == whole
    pruned = next(f for f in record["files"] if (f["model"], f["kind"]) == (SELECTED_HEADS, "float32"))
    assert pruned["metrics"]["validation"] == again[SELECTED_HEADS].after.metrics["validation"]
    sizes = {(file["model"], file["kind"]): file["bytes"] for file in record["files"]}
    assert sizes[SELECTED_HEADS, "float32"] < sizes[ALL_HEADS, "float32"]

    assert record["files"][-1]["kind"] == "int8, Keras"
    assert record["files"][-1]["peak_memory_mb"] is None
    after = {name: one["after"]["metrics"]["validation"]["f1"] for name, one in record["retrained"].items()}
    gain = next(one for one in record["pruning_gain"] if one["metric"] == "f1")
    assert gain["gain"] == pytest.approx(after[SELECTED_HEADS] - after[ALL_HEADS])
    for one in record["retrained"].values():
        assert [row["epoch"] for row in one["history"]] == [0, 1]
        assert one["history"][0]["validation"]["loss"] > 0

    found = modifications.read_compressions([path])
    assert list(found) == ["MRPC"]
    states = [
        {"task": "mrpc", "run": path.parent.name, "state": state, "reason": ""} for state in ("failed", "finished")
    ]
    assert modifications.load_compressions(Runs(place=path.parent.parent, compressions=states)) == found
    assert modifications.load_compressions(Runs(place=path.parent.parent, compressions=states[:1])) == {}
    curves, maps, losses = (
        show(found).axes[0] for show in (modifications.pruning_curves, modifications.head_maps, modifications.losses)
    )
    assert [len(line.get_xdata()) for line in curves.get_lines()[:3]] == [5, 5, 5]  # four heads to none, three orders
    assert maps.images[0].get_array().shape == (2, 2)
    assert [line.get_label() for line in losses.get_lines()] == [SELECTED_HEADS, ALL_HEADS]
    shown = modifications.scores(found).data
    assert f"{whole['f1']:.3f}" in shown
    assert "0.125" in shown  # the baseline
    assert f"{choice.reference:.3f} ± {choice.error:.3f}" in modifications.selections(found).data
    assert "int8 static" in modifications.files(found).data
    assert "of 4 on MRPC" in modifications.findings(found)
    assert "MRPC (" in modifications.loss_findings(found)
    assert modifications.pruning_curves({}) is None
    low = record["retrained"][ALL_HEADS]["before"]["interval"]["validation"]["f1"][0]
    above = "above the baseline on MRPC." in modifications.strength_findings(found)
    assert above == (low > 0.125)
    record["retrained"][SELECTED_HEADS]["history"][-1]["validation"]["loss"] = 0.01
    assert "ends lower with the selected heads on MRPC (0.010 against" in modifications.loss_findings({"MRPC": record})
    assert 0 <= modifications.optimum(record) <= 4
    assert "No run was compressed" in modifications.findings({})


def test_fine_tuning_again_does_not_go_on_from_other_heads(finished):
    """As many heads, but others, in the same folder: each training begins with its own."""
    parameters, _ = finished
    run = pipeline.open_finished_run(parameters)
    first, other = (pipeline.retrain(run, kept, parameters) for kept in ([[0], [1]], [[1], [0]]))
    assert first.training.history != other.training.history
    again = pipeline.retrain(run, [[0], [1]], parameters)
    assert again.training.history == first.training.history


def test_a_run_that_held_nothing_out_is_refused(finished):
    parameters, write = finished
    write(hold_out=0.0)
    with pytest.raises(InputError, match=r"run was trained with hold_out 0; run it with a share .* such as 0.1"):
        pipeline.open_finished_run(parameters)


def test_a_classifier_without_heads_is_refused(finished):
    parameters, write = finished
    write(heads=(0, 0))
    with pytest.raises(InputError, match=r"holds a classifier without heads; there is none to remove"):
        pipeline.open_finished_run(parameters)


def test_a_folder_without_a_run_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"record.json is no run record"):
        pipeline.open_finished_run(CompressionParameters(run_dir=str(tmp_path / "nowhere")))


def test_the_selected_heads_are_retrained_beside_all_of_them(finished, monkeypatch):
    parameters, _ = finished
    run = pipeline.open_finished_run(parameters)
    monkeypatch.setattr(pipeline, "retrain", lambda run, kept, parameters: kept)
    selection = Selection([], 0.5, 0.1, [[0], [1]])
    assert pipeline.retrain_selected_and_all(run, selection, parameters) == {
        SELECTED_HEADS: [[0], [1]], ALL_HEADS: [[0, 1], [0, 1]]
    }  # fmt: skip

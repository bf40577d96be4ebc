"""Batches, running scores, one step on either backend, and a whole small training."""

import os
import subprocess
import sys
from types import SimpleNamespace

import keras
import numpy as np
import pytest
from other_backend import quick_jax
from small_run import Run

from bertglue.data.dataset import Data, Split
from bertglue.data.token_ids import Tokens
from bertglue.errors import InputError
from bertglue.evaluation import metrics
from bertglue.models.bert import build_encoder
from bertglue.models.classifier import build_classifier
from bertglue.models.logits import predict
from bertglue.parameters import Parameters
from bertglue.tasks import TASKS
from bertglue.training import finetune
from bertglue.training.finetune import compile_classifier, compile_for_training, train
from bertglue.training.running_metrics import ConfusionMatrix, RunningLoss


def tokens(rows=10, length=5, seed=0):
    rng = np.random.default_rng(seed)
    ids = rng.integers(4, 50, rows * length).astype("int32")
    return Tokens(ids, np.arange(rows + 1) * length, np.full(rows, 3), 16)


def test_running_scores_equal_scores_over_all_rows():
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(23, 2)).astype("float32")
    labels = rng.integers(0, 2, 23)
    matrix = ConfusionMatrix(2)
    for start in range(0, 23, 10):
        rows = np.resize(np.arange(start, min(start + 10, 23)), 10)
        weights = (np.arange(10) < 23 - start).astype("float32")
        matrix.update_state(labels[rows], logits[rows], weights)
    task = TASKS["mrpc"]
    assert matrix.scores(task) == pytest.approx(metrics.scores(task, labels, logits.argmax(1)))
    assert float(matrix.result()) == pytest.approx((labels == logits.argmax(1)).mean())


def test_predictions_do_not_depend_on_the_batches(tiny_config):
    classifier = build_classifier(build_encoder(tiny_config), 3)
    lengths = np.array([5, 16, 3, 9, 4, 12, 8, 2, 15, 4])
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    packed = Tokens(np.arange(offsets[-1], dtype="int32") % 50, offsets, lengths // 2, 16)
    whole, cut, grouped = (predict(classifier, packed, *how) for how in ((10,), (4,), (3, [4, 8])))
    one_batch = predict(classifier, packed, 10, [4, 8])
    assert whole.shape == (10, 3)
    for other in (cut, grouped, one_batch):
        np.testing.assert_allclose(whole, other, atol=1e-6)


@pytest.mark.parametrize("name", ["mrpc", "stsb"])
def test_training_records_every_epoch_and_lowers_the_loss(tiny_config, name, tmp_path):
    task = TASKS[name]
    packed = {split: tokens(40, seed=i) for i, split in enumerate(("train", "validation"))}
    labels = {split: t.ids[::5][:40] for split, t in packed.items()}
    labels = {s: v % 2 if task.labels else (v % 6).astype("float32") for s, v in labels.items()}
    columns = dict.fromkeys(task.columns, [""] * 40)
    data = Data(task, "toy", {split: Split(columns, value) for split, value in labels.items()})
    parameters = Parameters(task=name, epochs=8, batch_size=16, learning_rate=0.03, run_dir=str(tmp_path))
    classifier = build_classifier(build_encoder(tiny_config), task.outputs)
    training = train(classifier, data, packed, parameters)
    assert [row["epoch"] for row in training.history] == list(range(1, 9))
    calibration = set() if task.regression else {"calibration_error"}
    assert set(training.history[0]["validation"]) == {"loss", *task.metrics, *calibration}
    assert training.history[-1]["train"]["loss"] < 0.8 * training.history[0]["train"]["loss"]
    logits = training.logits["validation"]
    assert training.history[-1]["validation"]["loss"] == metrics.loss(task, labels["validation"], logits)
    classifier.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    np.testing.assert_allclose(predict(loaded, packed["validation"], 40), logits, atol=1e-5)


@pytest.fixture
def policy():
    before = keras.config.dtype_policy()
    yield keras.config.set_dtype_policy
    keras.config.set_dtype_policy(before)


def test_bfloat16_keeps_weights_sums_and_scores_in_float32_and_learns_the_same(tiny_config, tmp_path, policy):
    task, labels = TASKS["mrpc"], tokens(40).ids[::5] % 2
    split = Split(dict.fromkeys(task.columns, [""] * 40), labels)
    data = Data(task, "toy", {"train": split, "validation": split})
    logits = {}
    for precision in ("float32", "mixed_bfloat16"):
        policy(precision)
        parameters = Parameters(
            task="mrpc", epochs=8, batch_size=16, learning_rate=0.03, run_dir=str(tmp_path / precision)
        )
        classifier = build_classifier(build_encoder(tiny_config), 2)
        training = train(classifier, data, dict.fromkeys(("train", "validation"), tokens(40)), parameters)
        logits[precision] = training.logits["validation"]
    assert classifier.get_layer("encoder").get_layer("layer_0_output").compute_dtype == "bfloat16"
    assert {str(v.dtype) for v in classifier.weights if "seed" not in v.path} == {"float32"}
    assert logits["mixed_bfloat16"].dtype == np.float32
    losses = [metrics.loss(task, labels, logits[precision]) for precision in logits]
    right = [(logits[precision].argmax(1) == labels).mean() for precision in logits]
    assert losses[1] == pytest.approx(losses[0], abs=0.1)
    assert right[1] == pytest.approx(right[0], abs=0.05)


STEP = """
import os, sys
if os.environ["KERAS_BACKEND"] == "jax":  # a machine that has JAX and no TensorFlow
    sys.modules["tensorflow"] = None
import numpy as np, keras
from bertglue.data.batches import Batches
from bertglue.models.classifier import build_classifier
from bertglue.models.bert import EncoderConfig, build_encoder
from bertglue.training.optimizer import build_optimizer
from bertglue.tasks import TASKS
from bertglue.data.token_ids import Tokens
from bertglue.training.finetune import compile_classifier
config = EncoderConfig(50, 8, 16, (2, 2), 4, 16, dropout=0.0)
classifier = build_classifier(build_encoder(config), 2, dropout=0.0)
rng = np.random.default_rng(0)
for variable in classifier.trainable_variables:
    variable.assign(rng.normal(scale=0.2, size=variable.shape))
tokens = Tokens(rng.integers(4, 50, 30).astype("int32"), np.arange(7) * 5, np.full(6, 3), 8)
compile_classifier(classifier, TASKS["sst2"], build_optimizer(1e-2, 10, warmup_fraction=0))
classifier.train_on_batch(*Batches(tokens, rng.integers(0, 2, 6), batch_size=4)[0])
np.savez(sys.argv[1], *[keras.ops.convert_to_numpy(v) for v in classifier.trainable_variables])"""


def test_one_step_is_the_same_on_both_backends(tmp_path):
    weights = []
    for backend in ("tensorflow", "jax"):
        path = tmp_path / f"{backend}.npz"
        environment = {**os.environ, "KERAS_BACKEND": backend, **quick_jax()}
        subprocess.run([sys.executable, "-c", STEP, str(path)], check=True, env=environment)
        weights.append(np.load(path))
    for name in weights[0].files:
        np.testing.assert_allclose(weights[0][name], weights[1][name], atol=1e-4)


# ---------------------------------------------------------------- compiled as the parameters say


def test_the_optimizer_is_the_parameters(tiny_config):
    parameters = Parameters(
        task="mrpc", learning_rate=0.25, warmup_fraction=0.2, weight_decay=0.125, bias_correction=False, seed=3
    )
    classifier = build_classifier(build_encoder(tiny_config), 2)
    compile_for_training(classifier, TASKS["mrpc"], parameters, steps=40)
    optimizer = classifier.optimizer
    assert optimizer._learning_rate.get_config() == {"peak": 0.25, "steps": 40, "warmup": 8}
    assert (optimizer.weight_decay, optimizer.bias_correction) == (0.125, False)
    assert (optimizer.global_clipnorm, optimizer.epsilon) == (1.0, 1e-6)
    assert optimizer.gradient_accumulation_steps is None


def test_a_run_has_a_step_for_each_batch_of_each_epoch(tiny_config, tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(finetune, "compile_for_training", lambda *args, steps: asked.append(steps) or [])
    monkeypatch.setattr(finetune, "EpochRecorder", lambda *args: SimpleNamespace(
        set_model=lambda model: None, resume=lambda: 0, finished=True, finish=lambda: "done"))  # fmt: skip
    run = Run(tmp_path, tiny_config, epochs=3, batch_size=8)  # of 37 rows
    assert run.train() == "done"
    assert asked == [15]


@pytest.mark.parametrize(("name", "loss"), [("mrpc", "SparseCategoricalCrossentropy"), ("stsb", "MeanSquaredError")])
def test_the_loss_and_the_running_metrics_follow_the_task(tiny_config, name, loss):
    task = TASKS[name]
    classifier = build_classifier(build_encoder(tiny_config), task.outputs)
    running = compile_classifier(classifier, task, "sgd", steps_per_execution=3)
    assert type(classifier.loss).__name__ == loss
    assert [metric.name for metric in running] == ["running_loss", "confusion"][: 2 if task.labels else 1]
    assert classifier.steps_per_execution == 3
    batch = tokens(4).batch(np.arange(4))
    logits, labels = classifier.predict(batch, verbose=0), np.array([0, 1, 1, 0])
    found = classifier.test_on_batch(batch, labels, np.array([4 / 3] * 3 + [0]), return_dict=True)
    rows = metrics.losses(task, labels, logits)[:3]
    assert found["loss"] == pytest.approx(rows.mean(), rel=1e-5)
    assert found["running_loss"] == pytest.approx(rows.mean(), rel=1e-5)


def test_a_running_loss_is_over_the_rows_that_count():
    running = RunningLoss(keras.losses.mean_squared_error, name="running_loss")
    running.update_state(np.zeros((3, 1)), np.array([[1.0], [2.0], [9.0]]), np.array([1.5, 1.5, 0]))
    running.update_state(np.zeros((1, 1)), np.array([[3.0]]), np.array([1.0]))
    assert float(running.result()) == pytest.approx((1 + 4 + 9) / 3)
    unweighted = RunningLoss(keras.losses.mean_squared_error, name="running_loss")
    unweighted.update_state(np.zeros((2, 1)), np.array([[1.0], [3.0]]))
    assert float(unweighted.result()) == 5


def test_a_confusion_matrix_has_labels_in_rows():
    matrix = ConfusionMatrix(3)
    assert float(matrix.result()) == 0  # before the first row
    matrix.update_state(np.array([[0], [2], [2]]), np.eye(3)[[0, 1, 1]])
    assert keras.ops.convert_to_numpy(matrix.counts).tolist() == [[1, 0, 0], [0, 0, 0], [0, 2, 0]]
    assert float(matrix.result()) == pytest.approx(1 / 3)


def test_a_classifier_is_trained_once(tiny_config, tmp_path):
    """Else a second run, of other parameters, would begin with the weights of the first."""
    run = Run(tmp_path / "one", tiny_config, epochs=1)
    run.train()
    run.parameters = run.parameters.model_copy(update={"run_dir": str(tmp_path / "two"), "learning_rate": 0.01})
    with pytest.raises(InputError, match="this classifier was trained before, .*; run the cell of the model again"):
        run.train()
    assert not (tmp_path / "two").exists()


def test_a_class_that_no_row_has_is_not_averaged():
    task = SimpleNamespace(metrics=("macro_f1",))
    matrix = ConfusionMatrix(3)
    matrix.update_state(np.array([[0], [0], [2]]), np.eye(3)[[0, 2, 2]])  # of the second there is none
    assert matrix.scores(task)["macro_f1"] == pytest.approx(metrics.METRIC_FUNCTIONS["macro_f1"]([0, 0, 2], [0, 2, 2]))
    assert matrix.scores(task)["macro_f1"] == pytest.approx(2 / 3)

"""Mean pooling: its value, and every use of a classifier that has it instead of a pooler."""

from dataclasses import replace

import keras
import numpy as np
import pytest
from other_backend import passes_on_the_other_backend
from small_run import Run

from bertglue import InputError
from bertglue.compression.head_gates import add_gates, open_heads
from bertglue.compression.head_importance import MaskedHeads
from bertglue.compression.head_selection import GatedTraining
from bertglue.data.token_ids import Tokens
from bertglue.export import export, keras_quantization, litert, litert_runtime
from bertglue.models.bert import build_encoder
from bertglue.models.classifier import MeanPooling, build_classifier, pooling_of
from bertglue.models.heads import keep_heads
from bertglue.models.logits import predict_texts
from bertglue.models.preprocessor import Preprocessor
from bertglue.models.saved_classifier import load_classifier, save_classifier
from bertglue.runs.statistics import parameter_counts
from bertglue.tasks import TASKS

LENGTH = 16
VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *(f"w{i}" for i in range(45))]
TEXTS = [["w1 w2 w3", "w4"], ["w5", "w6 w7 w8 w9"]]


@pytest.fixture
def rows():
    lengths = np.arange(40) % 9 + 6
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    return Tokens(np.arange(offsets[-1], dtype="int32") % 45 + 4, offsets, lengths // 2, LENGTH)


@pytest.fixture
def classifier(tiny_config):
    classifier = build_classifier(build_encoder(tiny_config), 2, pooling="mean")
    rng = np.random.default_rng(0)
    for variable in classifier.trainable_variables:
        variable.assign(rng.normal(0, 0.3, variable.shape))
    return classifier


def logits_of(classifier, rows):
    return classifier.predict(rows.batch(np.arange(len(rows)), LENGTH), verbose=0)


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-6), ("mixed_float16", 1e-3), ("mixed_bfloat16", 8e-3)])
def test_the_mean_is_over_the_tokens_that_are_no_padding(dtype, tolerance):
    x = np.random.default_rng(0).normal(size=(3, 5, 4))
    mask = np.array([[1, 1, 0, 0, 0], [1, 1, 1, 1, 1], [0, 0, 0, 0, 0]], "int32")
    x[0, 2:] = 100  # of padding, which must not count
    found = MeanPooling(dtype=dtype)(keras.ops.convert_to_tensor(x, "float32"), mask)
    expected = np.stack([x[0, :2].mean(axis=0), x[1].mean(axis=0), np.zeros(4)])
    np.testing.assert_allclose(np.asarray(keras.ops.cast(found, "float32")), expected, atol=tolerance)


def test_a_long_row_does_not_overflow_in_float16():
    x = keras.ops.full((1, 512, 2), 200.0, "float16")
    assert np.asarray(MeanPooling(dtype="float16")(x, np.ones((1, 512), "int32"))).tolist() == [[200, 200]]


def test_the_head_reads_the_mean_of_the_last_layer(classifier, rows):
    inputs = rows.batch(np.arange(40), LENGTH)
    sequence = np.array(classifier.get_layer("encoder")(inputs)["sequence_output"])
    mask = np.array(inputs["input_mask"], float)[..., None]
    kernel, bias = (np.array(v) for v in classifier.get_layer("head").weights)
    mean = (sequence * mask).sum(axis=1) / mask.sum(axis=1)
    np.testing.assert_allclose(classifier(inputs, training=False), mean @ kernel + bias, atol=1e-5)


def test_the_logits_do_not_depend_on_padding(classifier, rows):
    short, long = (classifier.predict(rows.batch(np.arange(1), n), verbose=0) for n in (8, LENGTH))
    np.testing.assert_allclose(short, long, atol=1e-5)


def test_no_weight_is_without_gradient(classifier, tiny_config):
    assert "pooler_transform" not in parameter_counts(classifier)
    assert pooling_of(classifier) == "mean"
    encoder = build_encoder(tiny_config)
    build_classifier(encoder, 2, pooling="mean")
    assert pooling_of(whole := build_classifier(encoder, 2)) == "cls"  # the encoder has its pooler still
    assert "pooler_transform" in parameter_counts(whole)


def test_another_pooling_is_refused(tiny_config):
    with pytest.raises(InputError, match="pooling is 'max'; give cls or mean"):
        build_classifier(build_encoder(tiny_config), 2, pooling="max")


@pytest.mark.filterwarnings("error:Gradients do not exist")
def test_it_trains_resumes_and_learns(tiny_config, tmp_path, capsys):
    config = replace(tiny_config, heads=(2,))
    run = Run(tmp_path, config, pooling="mean", epochs=8, bucketing=False)
    assert pooling_of(run.classifier) == "mean"
    training = run.train()
    assert training.history[-1]["train"]["loss"] < 0.8 * training.history[0]["train"]["loss"]
    again = Run(tmp_path, config, pooling="mean", epochs=8, bucketing=False)
    assert again.train().history == training.history
    assert "resuming after epoch 8" in capsys.readouterr().out
    for left, right in zip(again.classifier.get_weights(), run.classifier.get_weights(), strict=True):
        np.testing.assert_array_equal(left, right)


def test_heads_are_removed_masked_and_gated(classifier, rows):
    expected = logits_of(classifier, rows)
    np.testing.assert_allclose(logits_of(keep_heads(classifier, [[0, 1], [0, 1]]), rows), expected, atol=1e-5)
    gated = add_gates(classifier, 0.01)
    assert open_heads(gated) == [[0, 1], [0, 1]]
    for index in (0, 1):
        gated.get_layer("encoder").get_layer(f"layer_{index}_self_attention").gates.log_alpha.assign([9.0, 9.0])
    np.testing.assert_allclose(logits_of(gated, rows), expected, atol=1e-5)  # all gates are one
    masked = MaskedHeads(classifier, TASKS["mrpc"])
    masked.keep([[1], []])
    smaller = keep_heads(classifier, [[1], []])
    assert pooling_of(smaller) == "mean"
    np.testing.assert_allclose(logits_of(masked.model, rows), logits_of(smaller, rows), atol=1e-5)


def test_gates_are_trained_and_close(tiny_config, tmp_path):
    run = Run(tmp_path, tiny_config, pooling="mean", against=True, epochs=2)
    gated = GatedTraining(run.classifier, run.data, run.tokens, run.parameters)
    assert gated.train(0.0).heads > gated.train(10.0).heads == 0


@pytest.mark.parametrize("kind", [None, "float16", "int8"])
def test_it_is_saved_and_loaded(classifier, rows, tmp_path, kind):
    stored = keras_quantization.store_in_type(classifier, kind) if kind else classifier
    save_classifier(stored, Preprocessor(VOCABULARY, LENGTH), tmp_path)
    loaded, _ = load_classifier(tmp_path)
    tolerance = {None: 1e-6, "float16": 5e-3, "int8": 0.1}[kind]
    np.testing.assert_allclose(logits_of(loaded, rows), logits_of(classifier, rows), atol=tolerance)


@pytest.mark.parametrize(("kind", "tolerance"), [("float32", 1e-5), ("int8 static", 0.5)])
def test_its_litert_file_gives_its_logits(tiny_config, rows, tmp_path, kind, tolerance):
    pytest.importorskip("ai_edge_litert", reason="it runs the files; Colab's images have none")
    classifier = build_classifier(build_encoder(tiny_config), 2, pooling="mean")
    rng = np.random.default_rng(0)
    for variable in classifier.trainable_variables:
        if variable.path.endswith(("kernel", "embeddings")):
            variable.assign(rng.normal(0, 0.6, variable.shape))
    path = litert.convert_to_litert(classifier, tmp_path / "model.tflite", kind, LENGTH, rows)
    found = litert_runtime.LiteRTModel(path).predict(rows)
    expected = logits_of(classifier, rows)
    np.testing.assert_allclose(found, expected, atol=tolerance)
    assert np.abs(found - expected).mean() < 0.25 * np.ptp(expected, axis=0).mean()  # no answer for every row


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="a SavedModel is TensorFlow's")
def test_its_savedmodel_answers_texts(classifier, tmp_path):
    import tensorflow as tf
    import tensorflow_text  # noqa: F401  (the operations of the tokenizer)

    preprocessor = Preprocessor(VOCABULARY, LENGTH)
    folder = export.export_savedmodel(classifier, preprocessor, TASKS["mrpc"], tmp_path / "model")
    loaded = tf.saved_model.load(str(folder))
    answer = loaded.serve(*(tf.constant(column) for column in zip(*TEXTS, strict=True)))
    logits = predict_texts(classifier, preprocessor, TEXTS)
    np.testing.assert_allclose(answer["probabilities"], tf.nn.softmax(logits), atol=1e-5)


def test_the_other_backend_does_the_same(tmp_path):
    passes_on_the_other_backend(__file__, "the_mean or trains", tmp_path, count=5)

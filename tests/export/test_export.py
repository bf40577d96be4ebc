"""Exports for use elsewhere: what is reloaded answers as the classifier does."""

import json
import re
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_text  # noqa: F401  (the operations of the tokenizer)
from keras import ops

from bertglue import InputError
from bertglue.evaluation import metrics
from bertglue.export import export
from bertglue.export.onnx import HUGGINGFACE_INPUTS
from bertglue.models.bert import EncoderConfig, build_encoder
from bertglue.models.classifier import build_classifier
from bertglue.models.logits import pack_texts, predict_texts
from bertglue.models.preprocessor import Preprocessor
from bertglue.tasks import TASKS

WORDS = ["anna", "sold", "the", "violin", "to", "peter", "on", "monday", "##s", "don", "'", "t", ".", ","]
VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]
TEXTS = [("Anna sold the violin .", "peter sold the violins"), ("", "don't"), ("ÂNNA, to Peter", "x" * 300)]


@pytest.fixture
def preprocessor():
    return Preprocessor(VOCABULARY, 16)


def made_classifier(outputs):
    config = EncoderConfig(len(VOCABULARY), 16, 32, (2, 1), 8, 16)
    classifier = build_classifier(build_encoder(config), outputs)
    rng = np.random.default_rng(0)
    for variable in classifier.trainable_variables:
        variable.assign(rng.normal(0, 0.3, variable.shape))
    return classifier


@pytest.mark.parametrize(
    ("columns", "names"),
    [(("sentence1", "sentence2"), ["sentence1", "sentence2"]), (("Review Text",), ["text1"]),
     (("catégorie",), ["text1"]), (("text2", ""), ["text1", "text2"]), (("Text", "text"), ["text1", "text2"])],
)  # fmt: skip
def test_inputs_are_named_as_tensorflow_allows(columns, names):
    assert export.input_names(replace(TASKS["rte"], columns=columns)) == names


def test_a_savedmodel_of_a_column_of_any_name(preprocessor, tmp_path):
    task = replace(TASKS["cola"], columns=("Review Text",))
    loaded = tf.saved_model.load(str(export.export_savedmodel(made_classifier(2), preprocessor, task, tmp_path / "m")))
    assert loaded.serve(tf.constant(["anna"]))["probabilities"].shape == (1, 2)


@pytest.mark.parametrize("name", ["mrpc", "cola", "stsb", "mnli"])
def test_a_savedmodel_answers_texts_as_the_classifier_does(preprocessor, tmp_path, name):
    task = TASKS[name]
    classifier = made_classifier(task.outputs)
    texts = [pair[: len(task.columns)] for pair in TEXTS]
    logits = predict_texts(classifier, preprocessor, texts)
    loaded = tf.saved_model.load(str(export.export_savedmodel(classifier, preprocessor, task, tmp_path / "model")))
    found = loaded.serve(*(tf.constant(column) for column in zip(*texts, strict=True)))
    if task.regression:
        np.testing.assert_allclose(found["score"], logits[:, 0], atol=1e-5)
    else:
        np.testing.assert_allclose(found["probabilities"], metrics.probabilities(logits), atol=1e-5)
        labels = [label.decode() for label in found["label"].numpy()]
        assert labels == [task.labels[index] for index in logits.argmax(1)]


def test_a_litert_file_brings_all_that_its_example_needs(preprocessor, tmp_path):
    pytest.importorskip("ai_edge_litert", reason="it runs the files; Colab's images have none")
    task = TASKS["mrpc"]
    classifier = made_classifier(2)
    folder = export.export_litert(classifier, preprocessor, task, tmp_path / "phone", "float32")
    assert {file.name for file in folder.iterdir()} == {"model.tflite", "model.json", "vocab.txt", "example.py"}
    assert json.loads((folder / "model.json").read_text())["labels"] == list(task.labels)
    options = {"lowercase": True, "strip_accents": None, "handle_chinese_chars": True}
    assert json.loads((folder / "model.json").read_text())["tokenizer"] == options
    example = (folder / "example.py").read_text()
    assert not re.search("tensorflow|keras|bertglue", example)
    for texts in (TEXTS[0], ("peter sold the violin", "on monday")):
        said = subprocess.run(
            [sys.executable, "example.py", *texts], cwd=folder, capture_output=True, text=True, check=True
        )
        expected = task.labels[predict_texts(classifier, preprocessor, [texts]).argmax()]
        assert said.stdout.strip() == expected


@pytest.mark.parametrize("kind", ["onnx", "onnx-int8"])
def test_an_onnx_file_answers_as_the_classifier_does_at_any_length(preprocessor, tmp_path, kind):
    onnxruntime = pytest.importorskip("onnxruntime", reason="it runs the files; Colab's images have none")
    task = TASKS["mrpc"]
    classifier = made_classifier(2)
    folder = export.export_onnx(classifier, preprocessor, task, tmp_path / "served", kind)
    assert {file.name for file in folder.iterdir()} == {"model.onnx", "model.json", "vocab.txt", "example.py"}
    session = onnxruntime.InferenceSession(folder / "model.onnx", providers=["CPUExecutionProvider"])
    assert [place.name for place in session.get_inputs()] == ["input_ids", "attention_mask", "token_type_ids"]
    tokens = pack_texts(preprocessor, list(zip(*TEXTS, strict=True)))
    for length in (tokens.seq_length, int(tokens.lengths[:2].max())):
        rows = tokens.batch(np.arange(len(tokens) if length == tokens.seq_length else 2), length)
        named = {name: rows[ours].astype("int64") for ours, name in HUGGINGFACE_INPUTS.items()}
        expected = ops.convert_to_numpy(classifier(rows, training=False))
        (found,) = session.run(["logits"], named)
        np.testing.assert_allclose(found, expected, atol=1e-5 if kind == "onnx" else 0.2 * np.abs(expected).max())
    said = subprocess.run(
        [sys.executable, "example.py", *TEXTS[0]], cwd=folder, capture_output=True, text=True, check=True
    )
    example = (folder / "example.py").read_text()
    assert said.stdout.strip() in task.labels
    assert not re.search("tensorflow|keras|bertglue", example)
    if kind == "onnx":
        assert said.stdout.strip() == task.labels[predict_texts(classifier, preprocessor, [TEXTS[0]]).argmax()]


def test_nothing_is_written_over_and_nothing_half_written(preprocessor, tmp_path):
    classifier, task = made_classifier(2), TASKS["mrpc"]
    (tmp_path / "there").mkdir()
    for write in (export.export_savedmodel, export.export_litert, export.export_onnx):
        with pytest.raises(InputError, match="there is there already; name another folder"):
            write(classifier, preprocessor, task, tmp_path / "there")
    with pytest.raises(InputError, match="kind is 'int4'"):
        export.export_litert(classifier, preprocessor, task, tmp_path / "new", "int4")
    with pytest.raises(InputError, match="kind is 'onnx-int4'; choose from onnx, onnx-int8"):
        export.export_onnx(classifier, preprocessor, task, tmp_path / "new", "onnx-int4")
    assert [path.name for path in tmp_path.iterdir()] == ["there"]

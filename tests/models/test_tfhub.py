"""TF Hub's encoders: the native one equals the SavedModel, and what is no BERT is named."""

import os
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_hub as hub
from native_step import native_step
from other_backend import quick_jax
from paths import TESTS
from savedmodels import VOCABULARY, export_encoder, export_preprocessor, export_variables, shapes

from bertglue import InputError, load_encoder, load_preprocessor
from bertglue.models.bert import check_fit
from bertglue.models.bert_names import rename
from bertglue.models.tfhub import WEIGHT_RENAMES

SENTENCES = ["a b c.", "a", "bb cc, d? " * 6, ""]


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    return export_encoder(tmp_path_factory.mktemp("hub") / "bert")


@pytest.fixture(scope="module", params=["made here", "official"])
def model(request, small):
    """A SavedModel and ragged text for it: the tests' own, and the official exporter's with real text."""
    if request.param == "made here":
        return small, SENTENCES
    folder = request.getfixturevalue("hub_dir") / "bert_en_uncased_L-2_H-64_A-2"
    lines = (request.getfixturevalue("glue_dir") / "MRPC" / "dev.tsv").read_text(encoding="utf-8-sig").splitlines()
    return folder, [line.split("\t")[3] for line in lines[1:13]]


def reference_step(folder, inputs, targets):
    """The SavedModel's own outputs and gradients for the loss of `native_step`."""
    module = hub.load(str(folder))
    with tf.GradientTape() as tape:
        tape.watch(module.variables)
        outputs = module(inputs)
        loss = sum(tf.reduce_mean((outputs[name] - target) ** 2) for name, target in targets.items())
    variables = [variable for variable in module.variables if variable.shape.rank]
    gradients = tape.gradient(loss, variables)
    names = [f"gradient {rename(variable.name.removesuffix(':0'), WEIGHT_RENAMES)}" for variable in variables]
    return outputs, dict(zip(names, map(tf.convert_to_tensor, gradients), strict=True))


@pytest.mark.parametrize("backend", ["tensorflow", "jax"])
def test_outputs_and_gradients_equal_the_savedmodels(model, backend, tmp_path):
    folder, sentences = model
    inputs = {name: ids.numpy() for name, ids in load_preprocessor(str(folder), 24)([sentences]).items()}
    hidden = hub.load(str(folder))(inputs)["pooled_output"].shape[1]
    rng = np.random.default_rng(0)
    rows, length = inputs["input_mask"].shape
    targets = {
        "pooled_output": rng.normal(size=(rows, hidden)).astype("float32"),
        "sequence_output": rng.normal(size=(rows, length, hidden)).astype("float32"),
    }
    assert len(set(inputs["input_mask"].sum(1))) > 2, "the text must be ragged"
    outputs, gradients = reference_step(folder, inputs, targets)
    if backend == "tensorflow":
        native = native_step(folder, inputs | targets)
    else:
        np.savez(tmp_path / "inputs.npz", **inputs, **targets)
        script = TESTS / "native_step.py"
        command = [sys.executable, str(script), str(folder), str(tmp_path / "inputs.npz"), str(tmp_path / "result.npz")]
        subprocess.run(command, check=True, env={**os.environ, "KERAS_BACKEND": "jax", **quick_jax()})
        native = np.load(tmp_path / "result.npz")
    for name in targets:
        np.testing.assert_allclose(native[name], outputs[name], atol=1e-5)
        np.testing.assert_allclose(native[f"loaded {name}"], outputs[name], atol=1e-5)
    assert len(gradients) == sum(name.startswith("gradient ") for name in native)
    for name, gradient in gradients.items():
        np.testing.assert_allclose(native[name], gradient, atol=1e-4, err_msg=name)


def test_every_rename_is_used():
    names = [name for name, _ in shapes(9, 8, 1, 2, 16, 8)]
    assert all(any(re.search(pattern, name) for name in names) for pattern, _ in WEIGHT_RENAMES)
    assert len({rename(name, WEIGHT_RENAMES) for name in names}) == len(names)


NARROW = [("embedding_projection/kernel", (4, 8)), ("word_embeddings/embeddings", (9, 4))]
BERT = list(shapes(9, 8, 2, 2, 16, 8))
SHARED = [(name.replace("layer_0/", ""), shape) for name, shape in shapes(9, 8, 1, 2, 16, 8)]


@pytest.mark.parametrize(
    ("named", "message"),
    [
        ([*NARROW, *SHARED[1:]], "ALBERT shares one layer's weights"),
        ([*NARROW, *BERT[1:]], "ELECTRA's small models have embeddings narrower"),
        ([pair for pair in BERT if "pooler" not in pair[0]], r"it has no pooler \(ELECTRA has none\)"),
        (
            [*BERT, ("transformer/layer_0/self_attention/talking/kernel", (2, 2))],
            "weights that BERT lacks, layer_0_self",
        ),
        ([("bert_model/word_embeddings/embeddings_table", (9, 8))], "an older version of a TF Hub BERT"),
        ([("conv1/kernel", (3, 3)), ("conv1/bias", (3,))], "another model than BERT, with weights such as conv1/bias"),
        ([*BERT[:-1], ("pooler_transform/bias", (9,))], "weight pooler_transform/bias is missing or has another shape"),
    ],
    ids=["albert", "electra small", "electra", "talking heads", "version 1", "not a text model", "one shape"],
)
def test_what_is_not_supported_is_named(tmp_path, named, message):
    folder = export_variables(tmp_path / "model", named)
    with pytest.raises(InputError, match=message) as error:
        load_encoder(str(folder))
    assert "BERT experts of TF Hub" in str(error.value)
    assert "\n" not in str(error.value)


def test_a_preprocessing_model_is_no_encoder(tmp_path):
    with pytest.raises(InputError, match="a preprocessing model"):
        load_encoder(str(export_preprocessor(tmp_path / "preprocess")))


@pytest.mark.parametrize("name", ["variables.data-00000-of-00001", "variables.index"])
def test_a_truncated_savedmodel(small, tmp_path, name):
    folder = shutil.copytree(small, tmp_path / "bert")
    path = folder / "variables" / name
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(InputError, match=r"bert/variables is cut short or damaged \(.*fetch it again"):
        load_encoder(str(folder))


@pytest.mark.parametrize(
    ("handle", "message"),
    [
        ("bert-base", "'bert-base' is no encoder that is known"),
        ("{tmp}", "holds none of encoder.json, model.keras, saved_model.pb"),
    ],
)
def test_what_is_not_there(tmp_path, handle, message):
    with pytest.raises(InputError, match=message):
        load_encoder(handle.format(tmp=tmp_path))


def test_a_preprocessor_that_does_not_fit(small, tmp_path):
    encoder = load_encoder(str(small))
    check_fit(encoder, load_preprocessor(str(small), 32))
    with pytest.raises(InputError, match="max_length is 33, and the encoder has 32 positions; give 32 or less"):
        check_fit(encoder, load_preprocessor(str(small), 33))
    with pytest.raises(InputError, match="max_length is 40"):
        encoder(load_preprocessor(str(small), 40)([["a"]]))
    path = tmp_path / "vocab.txt"
    path.write_text("\n".join([*VOCABULARY, "more"]))
    with pytest.raises(InputError, match=f"has {len(VOCABULARY) + 1} entries and the encoder {len(VOCABULARY)} word"):
        check_fit(encoder, load_preprocessor(str(path), 32))


@pytest.mark.parametrize("lower_case", [True, False])
def test_the_encoder_says_whether_text_is_lower_cased(tmp_path, lower_case):
    folder = export_encoder(tmp_path / "bert", vocabulary=[*VOCABULARY, "A"], lower_case=lower_case)
    preprocessor = load_preprocessor(str(folder), 8)
    assert preprocessor.tokens("A") == ["a" if lower_case else "A"]

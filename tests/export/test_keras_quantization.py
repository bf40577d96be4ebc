"""Quantized classifiers, as Keras files: the same answers, less room, and what cannot be done is said."""

import keras
import numpy as np
import pytest

from bertglue import InputError
from bertglue.data.token_ids import Tokens
from bertglue.export import keras_quantization
from bertglue.models.bert import EncoderConfig, build_encoder
from bertglue.models.classifier import build_classifier
from bertglue.models.heads import keep_heads
from bertglue.models.preprocessor import Preprocessor
from bertglue.models.saved_classifier import load_classifier, save_classifier

LENGTH = 16
VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *(f"w{i}" for i in range(395))]


@pytest.fixture(scope="module")
def packed():
    lengths = np.arange(40) % 9 + 6
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    return Tokens(np.arange(offsets[-1], dtype="int32") % 395 + 4, offsets, lengths // 2, LENGTH)


@pytest.fixture(scope="module")
def classifier():
    classifier = build_classifier(build_encoder(EncoderConfig(400, 64, 256, (2, 2), 32, LENGTH)), 2)
    rng = np.random.default_rng(0)
    for variable in classifier.trainable_variables:
        if variable.path.endswith(("kernel", "embeddings")):
            variable.assign(rng.normal(0, 0.12, variable.shape))
    return classifier


@pytest.mark.parametrize(("kind", "tolerance"), [("float16", 5e-3), ("bfloat16", 0.05), ("int8", 0.2)])
@pytest.mark.parametrize("heads", [[[0, 1], [0, 1]], [[1], []]])
def test_a_stored_classifier_answers_as_before(classifier, packed, tmp_path, kind, tolerance, heads):
    classifier = keep_heads(classifier, heads)
    expected = classifier.predict(packed.batch(np.arange(40), LENGTH), verbose=0)
    path, whole = tmp_path / "stored.keras", tmp_path / "whole.keras"
    keras_quantization.store_in_type(classifier, kind).save(path)
    classifier.save(whole)
    facts, logits = keras_quantization.measure(path, packed)
    np.testing.assert_allclose(logits, expected, atol=tolerance)
    assert facts["bytes"] == path.stat().st_size < (0.75 if kind == "int8" else 0.65) * whole.stat().st_size
    assert 0 < facts["latency"]["1"] < 10
    np.testing.assert_array_equal(classifier.predict(packed.batch(np.arange(40), LENGTH), verbose=0), expected)


@pytest.mark.parametrize("kind", keras_quantization.STORED_TYPES)
def test_a_folder_with_a_stored_classifier_is_read_like_a_runs(classifier, packed, tmp_path, kind):
    save_classifier(keras_quantization.store_in_type(classifier, kind), Preprocessor(VOCABULARY, LENGTH), tmp_path)
    loaded, preprocessor = load_classifier(tmp_path)
    inputs = packed.batch(np.arange(40), LENGTH)
    np.testing.assert_allclose(
        loaded.predict(inputs, verbose=0), classifier.predict(inputs, verbose=0), atol=0.2, rtol=0
    )
    assert loaded.get_layer("encoder").get_layer("layer_0_intermediate").compute_dtype == "float32"
    assert preprocessor.seq_length == LENGTH


def test_the_policy_of_the_process_is_left_alone(classifier):
    before = keras.config.dtype_policy().name
    keras_quantization.store_in_type(classifier, "bfloat16")
    assert keras.config.dtype_policy().name == before


def test_what_cannot_be_stored_is_refused(classifier):
    with pytest.raises(InputError, match="kind is 'int3'; choose from float16, bfloat16, int8"):
        keras_quantization.store_in_type(classifier, "int3")
    quantized = keras_quantization.store_in_type(classifier, "int8")
    for again in (
        lambda: keras_quantization.store_in_type(quantized, "int8"),
        lambda: keep_heads(quantized, [[0], [0]]),
    ):
        with pytest.raises(InputError, match="weights are 8-bit integers already; take the one that was trained"):
            again()


def test_eight_bits_are_in_embeddings_and_dense_layers_and_nowhere_else(classifier):
    quantized = keras_quantization.store_in_type(classifier, "int8")
    encoder = quantized.get_layer("encoder")
    for name in ("word_embeddings", "type_embeddings"):
        assert encoder.get_layer(name)._embeddings.dtype == "int8"
    for layer in (*(encoder.get_layer(f"layer_{i}_{part}") for i in (0, 1) for part in ("intermediate", "output")),
                  encoder.get_layer("pooler_transform"), quantized.get_layer("head")):  # fmt: skip
        assert layer._kernel.dtype == "int8", layer.name
    attention = {str(v.dtype) for v in encoder.get_layer("layer_0_self_attention").weights}
    assert "int8" not in attention
    assert {str(v.dtype) for v in classifier.trainable_variables} == {"float32"}  # the given one stays as it is


@pytest.mark.parametrize("kind", ["float16", "bfloat16"])
def test_sixteen_bits_are_in_every_weight(classifier, kind):
    stored = keras_quantization.store_in_type(classifier, kind)
    assert {str(v.dtype) for v in stored.get_layer("encoder").trainable_variables} == {kind}
    for before, after in zip(classifier.get_weights(), stored.get_weights(), strict=False):
        np.testing.assert_allclose(np.asarray(after, "float32"), before, rtol=1e-2, atol=1e-3)

"""LiteRT files: the same logits as the classifier, smaller where they promise to be, whatever the batch."""

import functools
import tempfile
from pathlib import Path

import keras
import numpy as np
import pytest

from bertglue import InputError
from bertglue.data.token_ids import Tokens
from bertglue.export import litert, litert_runtime
from bertglue.models import attention
from bertglue.models.bert import EncoderConfig, build_encoder, compute_dtype
from bertglue.models.classifier import build_classifier
from bertglue.models.fast_layers import ACTIVATIONS, GELU
from bertglue.models.heads import in_type, keep_heads

pytest.importorskip("ai_edge_litert", reason="it runs the files; Colab's images have none")

LENGTH = 16


@pytest.fixture(scope="module")
def packed():
    lengths = np.arange(40) % 9 + 6
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    return Tokens(np.arange(offsets[-1], dtype="int32") % 45 + 4, offsets, lengths // 2, LENGTH)


@functools.cache
def classifier_with(activation):
    config = EncoderConfig(
        vocabulary_size=400, hidden_size=64, intermediate_size=256, heads=(2, 2), head_size=32, max_positions=LENGTH,
        hidden_act=activation,
    )  # fmt: skip
    classifier = build_classifier(build_encoder(config), 2)
    rng = np.random.default_rng(0)
    for variable in classifier.trainable_variables:
        if variable.path.endswith(("kernel", "embeddings")):
            variable.assign(rng.normal(0, 0.12, variable.shape))
    return classifier


@pytest.fixture
def classifier():
    """The classifier of most tests, with the activation of MiniLM and of Hugging Face's BERT."""
    return classifier_with(GELU)


@pytest.fixture(scope="module")
def file_of(packed, tmp_path_factory):
    """Convert a classifier, each kind once; give the file."""
    folder = tmp_path_factory.mktemp("files")

    @functools.cache
    def convert(kind, activation=GELU):
        path = folder / f"{activation}-{kind}.tflite"
        return litert.convert_to_litert(classifier_with(activation), path, kind, LENGTH, packed)

    return convert


@pytest.mark.parametrize(
    ("kind", "tolerance"), [("float32", 1e-5), ("float16", 5e-3), ("int8 dynamic", 0.2), ("int8 static", 0.5)]
)
@pytest.mark.parametrize("batch_size", [1, 7, 40])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_a_file_gives_the_classifiers_logits(packed, file_of, kind, tolerance, batch_size, activation):
    expected = classifier_with(activation).predict(packed.batch(np.arange(40), LENGTH), verbose=0)
    assert np.ptp(expected, axis=0).min() > 0.5  # there is something to tell apart
    found = litert_runtime.LiteRTModel(file_of(kind, activation)).predict(packed, batch_size)
    tolerance = 0.6 if activation == GELU and kind == "int8 static" else tolerance  # by LiteRT's own operation
    np.testing.assert_allclose(found, expected, atol=tolerance)
    assert np.abs(found - expected).mean() < 0.25 * np.ptp(expected, axis=0).mean()  # no answer for every row


@pytest.mark.parametrize("precision", ["mixed_float16", "mixed_bfloat16"])
def test_a_classifier_in_mixed_precision_is_written_as_one_in_float32(classifier, packed, tmp_path, precision):
    short = in_type(classifier, precision)
    path = litert.convert_to_litert(short, tmp_path / "model.tflite", "float32", LENGTH)
    expected = classifier.predict(packed.batch(np.arange(40), LENGTH), verbose=0)
    np.testing.assert_allclose(litert_runtime.LiteRTModel(path).predict(packed), expected, atol=1e-5)
    assert compute_dtype(short) == precision.removeprefix("mixed_")


def test_padding_does_not_use_up_the_range_of_eight_bits():
    """Attention that finds one word among others and padding; before, every row had the answer of no attention."""
    config = EncoderConfig(60, 32, 64, (2,), 16, LENGTH, dropout=0.0)
    classifier = build_classifier(build_encoder(config), 2)
    rng = np.random.default_rng(1)
    for variable in classifier.trainable_variables:
        if variable.path.endswith(("kernel", "embeddings")):
            variable.assign(rng.normal(0, 0.5 if "attention" in variable.path else 0.25, variable.shape))
    lengths = np.arange(200) % 4 + 3  # most of each row is padding
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    rows = Tokens(rng.integers(4, 60, offsets[-1]).astype("int32"), offsets, lengths, LENGTH)
    expected = classifier.predict(rows.batch(np.arange(200), LENGTH), verbose=0)
    content = {}
    for score in (attention.PADDING_SCORE_8_BIT, attention.PADDING_SCORE):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(litert, "PADDING_SCORE_8_BIT", score)
            content[score] = quantized(classifier, rows, expected)
    assert content[attention.PADDING_SCORE_8_BIT] < 0.5 * content[attention.PADDING_SCORE]


def quantized(classifier, rows, expected):
    """Give the mean error of a static file's logits."""
    with tempfile.TemporaryDirectory() as folder:
        path = litert.convert_to_litert(classifier, Path(folder) / "static.tflite", "int8 static", LENGTH, rows)
        return np.abs(litert_runtime.LiteRTModel(path).predict(rows) - expected).mean()


def test_fewer_bits_take_less_room(file_of):
    size = {kind: file_of(kind).stat().st_size for kind in litert.LITERT_KINDS}
    assert size["float16"] < 0.6 * size["float32"]
    assert size["int8 dynamic"] < 0.4 * size["float32"]
    assert size["int8 static"] < 0.4 * size["float32"]


def test_a_file_is_measured_in_a_process_of_its_own(packed, file_of):
    path = file_of("int8 dynamic")
    beside = set(path.parent.iterdir())
    facts, logits = litert_runtime.measure(path, packed)
    np.testing.assert_allclose(logits, litert_runtime.LiteRTModel(path).predict(packed), atol=1e-6)
    assert facts["bytes"] == path.stat().st_size
    assert set(facts["latency"]) == {"1", "32"}
    assert 0 < facts["latency"]["1"] < facts["latency"]["32"] < 10
    assert 20 < facts["peak_memory_mb"] < 2000
    assert set(path.parent.iterdir()) == beside


def test_a_file_that_is_none_is_named(packed, tmp_path):
    (tmp_path / "model.tflite").write_bytes(b"nonsense")
    with pytest.raises(InputError, match="model.tflite does not run .*convert it again"):
        litert_runtime.measure(tmp_path / "model.tflite", packed)
    assert [file.name for file in tmp_path.iterdir()] == ["model.tflite"]


def test_a_smaller_classifier_becomes_a_smaller_file(classifier, packed, file_of, tmp_path):
    smaller = keep_heads(classifier, [[1], []])
    path = litert.convert_to_litert(smaller, tmp_path / "smaller.tflite", "int8 dynamic", LENGTH)
    assert path.stat().st_size < file_of("int8 dynamic").stat().st_size
    expected = smaller.predict(packed.batch(np.arange(40), LENGTH), verbose=0)
    np.testing.assert_allclose(litert_runtime.LiteRTModel(path).predict(packed), expected, atol=0.2)


def test_what_cannot_be_converted_is_refused(classifier, packed, tmp_path):
    with pytest.raises(InputError, match="calibration has 5 rows; give 32 or more"):
        litert.convert_to_litert(classifier, tmp_path / "a.tflite", "int8 static", LENGTH, packed.take(np.arange(5)))
    with pytest.raises(InputError, match="kind is 'int4'; choose from float32"):
        litert.convert_to_litert(classifier, tmp_path / "a.tflite", "int4", LENGTH)
    assert not list(tmp_path.iterdir())


def test_on_another_backend_a_process_with_tensorflow_converts(classifier, packed, file_of, tmp_path, monkeypatch):
    tolerances = {"float32": 0, "int8 static": 0.1}
    here = {kind: file_of(kind) for kind in tolerances}
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    rows = packed.take(np.arange(40))
    for kind, tolerance in tolerances.items():
        path = litert.convert_to_litert(classifier, tmp_path / "there.tflite", kind, LENGTH, rows)
        expected, found = (litert_runtime.LiteRTModel(file).predict(packed) for file in (here[kind], path))
        np.testing.assert_allclose(found, expected, atol=tolerance)
    with pytest.raises(InputError, match=r"there.tflite could not be converted \(.*"):
        litert.convert_to_litert(keras.Sequential([keras.layers.Dense(2)]), path, "float32", LENGTH)

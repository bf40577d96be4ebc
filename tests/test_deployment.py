"""LiteRT files: the same logits as the classifier, smaller where they promise to be, whatever the batch."""

import keras
import numpy as np
import pytest
from bertglue import InputError, deployment, pruning
from bertglue.classifier import build_classifier
from bertglue.encoder import EncoderConfig, build_encoder
from bertglue.tokens import Tokens

LENGTH = 16


@pytest.fixture(scope="module")
def packed():
    lengths = np.arange(40) % 9 + 6
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    return Tokens(np.arange(offsets[-1], dtype="int32") % 45 + 4, offsets, lengths // 2, LENGTH)


@pytest.fixture(scope="module")
def classifier():
    config = EncoderConfig(
        vocabulary_size=400, hidden_size=64, intermediate_size=256, heads=(2, 2), head_size=32, max_positions=LENGTH
    )
    classifier = build_classifier(build_encoder(config), 2)
    rng = np.random.default_rng(0)
    for variable in classifier.trainable_variables:
        if variable.path.endswith(("kernel", "embeddings")):
            variable.assign(rng.normal(0, 0.12, variable.shape))
    return classifier


@pytest.fixture(scope="module")
def files(classifier, packed, tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    return {
        kind: deployment.convert(classifier, folder / f"{kind}.tflite", kind, LENGTH, packed)
        for kind in deployment.KINDS
    }


@pytest.mark.parametrize(
    ("kind", "tolerance"), [("float32", 1e-5), ("float16", 5e-3), ("int8 dynamic", 0.2), ("int8 static", 0.5)]
)
@pytest.mark.parametrize("batch_size", [1, 7, 40])
def test_a_file_gives_the_classifiers_logits(classifier, packed, files, kind, tolerance, batch_size):
    expected = classifier.predict(packed.batch(np.arange(40), LENGTH), verbose=0)
    assert np.ptp(expected, axis=0).min() > 0.5  # there is something to tell apart
    found = deployment.Deployed(files[kind]).predict(packed, batch_size)
    np.testing.assert_allclose(found, expected, atol=tolerance)


def test_fewer_bits_take_less_room(files):
    size = {kind: path.stat().st_size for kind, path in files.items()}
    assert size["float16"] < 0.6 * size["float32"]
    assert size["int8 dynamic"] < 0.4 * size["float32"]
    assert size["int8 static"] < 0.4 * size["float32"]


def test_a_smaller_classifier_becomes_a_smaller_file(classifier, packed, files, tmp_path):
    smaller = pruning.keep(classifier, [[1], []])
    path = deployment.convert(smaller, tmp_path / "smaller.tflite", "int8 dynamic", LENGTH)
    assert path.stat().st_size < files["int8 dynamic"].stat().st_size
    expected = smaller.predict(packed.batch(np.arange(40), LENGTH), verbose=0)
    np.testing.assert_allclose(deployment.Deployed(path).predict(packed), expected, atol=0.2)


def test_what_cannot_be_converted_is_refused(classifier, packed, tmp_path, monkeypatch):
    with pytest.raises(InputError, match="calibration has 5 rows; give 32 or more"):
        deployment.convert(classifier, tmp_path / "a.tflite", "int8 static", LENGTH, packed.take(np.arange(5)))
    with pytest.raises(InputError, match="kind is 'int4'; choose from float32"):
        deployment.convert(classifier, tmp_path / "a.tflite", "int4", LENGTH)
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(InputError, match="Keras runs on jax, .* KERAS_BACKEND=tensorflow"):
        deployment.convert(classifier, tmp_path / "a.tflite", "float32", LENGTH)
    assert not list(tmp_path.iterdir())

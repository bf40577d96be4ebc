"""The encoder that the library brings along: complete, small, trained, and different from random initialization."""

import h5py
import numpy as np
import pytest

from bertglue import load_encoder, load_preprocessor
from bertglue.encoder_names import BUNDLED_RANDOM
from bertglue.models.bert import check_fit
from bertglue.models.bundled import BUNDLED_FOLDER, read_pretraining_record

LIKE = [("two", "three"), ("man", "woman"), ("day", "night"), ("king", "queen"), ("north", "south"), ("was", "were")]


@pytest.fixture(scope="module")
def encoder():
    return load_encoder("bundled")


def test_its_vocabulary_and_positions_fit(encoder):
    preprocessor = load_preprocessor("bundled", 128)
    check_fit(encoder, preprocessor)
    assert preprocessor.tokens("The Queen's house") == ["the", "queen", "'", "s", "house"]


def test_it_is_small_and_nothing_but_numbers_and_text():
    files = {file.name: file.stat().st_size for file in BUNDLED_FOLDER.iterdir()}
    assert sum(files.values()) < 15e6
    assert set(files) == {"encoder.json", "encoder.weights.h5", "vocab.txt", "pretraining.json", "README.md"}
    kinds = []
    with h5py.File(BUNDLED_FOLDER / "encoder.weights.h5") as weights:
        weights.visititems(lambda _, item: kinds.append(item.dtype) if isinstance(item, h5py.Dataset) else None)
    assert set(kinds) == {np.dtype("float16")}


def test_words_of_one_kind_lie_close(encoder):
    vectors = np.asarray(encoder.get_layer("word_embeddings").embeddings)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    words = {word: vectors[index] for index, word in enumerate(load_preprocessor("bundled").vocabulary)}
    any_two = vectors[::7] @ vectors[3::7].T
    for left, right in LIKE:
        assert words[left] @ words[right] > np.quantile(any_two, 0.99), (left, right)


def test_a_word_is_read_in_its_context(encoder):
    """The two meanings of `may` are told apart by the neighbours that they have."""
    preprocess = load_preprocessor("bundled", 16)
    sentences = [
        "you may go home now .",
        "she may come back again .",
        "on 12 may 1850 he died .",
        "on 3 may 1902 she died .",
    ]
    inputs = preprocess([sentences])
    at = np.asarray(inputs["input_word_ids"]) == preprocess.vocabulary.index("may")
    vectors = np.asarray(encoder(inputs)["sequence_output"])[at]
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    likeness = vectors @ vectors.T
    assert min(likeness[0, 1], likeness[2, 3]) > likeness[:2, 2:].max()


def test_fresh_weights_have_its_sizes_and_follow_the_seed(encoder):
    first, again, other = (load_encoder(BUNDLED_RANDOM, seed=seed).get_weights() for seed in (0, 0, 1))
    assert [w.shape for w in first] == [w.shape for w in encoder.get_weights()]
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(first[0], other[0])
    assert not np.array_equal(first[0], encoder.get_weights()[0])
    assert load_preprocessor(BUNDLED_RANDOM).vocabulary == load_preprocessor("bundled").vocabulary


def test_its_story_ends_where_its_stages_do():
    story = read_pretraining_record()
    assert story["history"][-1]["step"] == sum(steps for _, steps in story["parameters"]["stages"])
    assert story["text"]["train"]["documents"] > 90 * story["text"]["held_out"]["documents"]

"""Attention maps and token attributions."""

import numpy as np
import pytest
from keras import ops

from bertglue import load_encoder, load_preprocessor
from bertglue.models.classifier import build_classifier
from bertglue.models.interpretation import attention_maps, packed, token_attributions, whole_encoder
from bertglue.models.logits import predict_texts

PAIR = ["anna found the violin .", "the violin was lost ."]


@pytest.fixture(scope="module", params=["cls", "mean"])
def model(request):
    return build_classifier(load_encoder("bundled", dropout=0.0), 2, pooling=request.param), load_preprocessor(
        "bundled"
    )


def test_each_query_spreads_a_whole_over_the_tokens(model):
    tokens, maps = attention_maps(*model, PAIR)
    assert (tokens[0], tokens[-1], tokens.count("[SEP]")) == ("[CLS]", "[SEP]", 2)
    assert [layer.shape for layer in maps] == [(4, len(tokens), len(tokens))] * 2
    for layer in maps:
        assert np.allclose(layer.sum(axis=-1), 1, atol=1e-5)
        assert layer.std() > 0


def test_the_maps_are_those_that_the_layer_sums_with(model):
    """By hand from the weights of the first layer, head by head."""
    classifier, preprocessor = model
    _, maps = attention_maps(classifier, preprocessor, PAIR[0])
    _, inputs = packed(preprocessor, PAIR[0])
    encoder = whole_encoder(classifier)
    layer = encoder.get_layer("layer_0_self_attention")
    embedded = {name: np.array(encoder.get_layer(name).weights[0]) for name in ("word_embeddings", "type_embeddings")}
    length = inputs["input_word_ids"].shape[1]
    x = embedded["word_embeddings"][inputs["input_word_ids"][0]] + embedded["type_embeddings"][0]
    x = x + np.array(encoder.get_layer("position_embedding").weights[0])[:length]
    x = ops.convert_to_numpy(encoder.get_layer("embeddings_layer_norm")(x))
    query, key = (
        np.einsum("lc,chd->hld", x, np.array(part.kernel)) + np.array(part.bias)[:, None]
        for part in (layer._query_dense, layer._key_dense)
    )
    scores = np.exp(np.einsum("hqd,hkd->hqk", query, key) / layer.key_dim**0.5)
    assert np.allclose(maps[0], scores / scores.sum(-1, keepdims=True), atol=1e-5)


def test_attributions_are_what_a_masked_token_takes_away(model):
    classifier, preprocessor = model
    text = "the film is charming ."
    tokens, logits, attributions = token_attributions(classifier, preprocessor, text)
    assert np.allclose(logits, predict_texts(classifier, preprocessor, [text])[0], atol=1e-5)
    _, inputs = packed(preprocessor, text)
    inputs["input_word_ids"][0, tokens.index("charming")] = preprocessor.vocabulary.index("[MASK]")
    masked = ops.convert_to_numpy(classifier(inputs, training=False))[0]
    assert np.allclose(attributions[tokens.index("charming")], logits - masked, atol=1e-5)
    assert not attributions[[0, -1]].any()
    assert attributions.shape == (len(tokens), 2)

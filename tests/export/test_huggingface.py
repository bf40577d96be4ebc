"""A Hugging Face folder of a classifier: read back, it is the same encoder; what is pruned computes the same."""

import json
from dataclasses import replace

import numpy as np
import pytest
from safetensors.numpy import load_file

from bertglue import InputError, load_encoder, load_preprocessor
from bertglue.export.export import export_huggingface
from bertglue.export.keras_quantization import store_in_type
from bertglue.models.bert import EncoderConfig, build_encoder, encoder_config
from bertglue.models.classifier import build_classifier
from bertglue.models.heads import keep_heads
from bertglue.models.preprocessor import Preprocessor
from bertglue.tasks import TASKS

VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcdefgh", "##b", "."]
CONFIG = EncoderConfig(len(VOCABULARY), 24, 40, (3, 3), 8, 32, hidden_act="gelu", layer_norm_eps=1e-5)


def made_classifier(outputs=2, pooling="cls", kept=None):
    classifier = build_classifier(build_encoder(CONFIG), outputs, pooling=pooling)
    rng = np.random.default_rng(0)
    for variable in classifier.trainable_variables:
        variable.assign(rng.normal(0, 0.3, variable.shape))
    return keep_heads(classifier, kept) if kept else classifier


@pytest.fixture
def preprocessor():
    return Preprocessor(VOCABULARY, 16, strip_accents=False)


@pytest.mark.parametrize("kept", [None, [[0, 2], []]], ids=["all heads", "pruned"])
def test_read_back_it_is_the_same_encoder(preprocessor, tmp_path, kept):
    classifier = made_classifier(kept=kept)
    folder = export_huggingface(classifier, preprocessor, TASKS["rte"], tmp_path / "out", card="# a card\n")
    inputs = preprocessor([["a b c. abb", "h", ""]])
    encoder = classifier.get_layer("encoder")
    whole = build_encoder(encoder_config(encoder))  # with the last layer of all tokens
    whole.set_weights(encoder.get_weights())
    found, wanted = load_encoder(str(folder), dropout=0.0)(inputs), whole(inputs)
    for name, values in wanted.items():
        np.testing.assert_allclose(found[name], values, atol=1e-6)
    np.testing.assert_allclose(encoder(inputs)["pooled_output"], wanted["pooled_output"], atol=1e-6)
    assert load_preprocessor(str(folder), 16).tokenization == preprocessor.tokenization
    assert (folder / "README.md").read_text() == "# a card\n"
    tensors = load_file(folder / "model.safetensors")
    np.testing.assert_array_equal(tensors["classifier.weight"].T, classifier.get_layer("head").kernel)
    config = json.loads((folder / "config.json").read_text())
    assert config["id2label"] == {"0": "entailment", "1": "not_entailment"}
    assert (config["num_attention_heads"], config["num_hidden_layers"]) == (3, 2)
    assert (config["hidden_act"], config["layer_norm_eps"]) == ("gelu", 1e-5)


def test_a_score_is_a_regression(preprocessor, tmp_path):
    folder = export_huggingface(made_classifier(1), preprocessor, TASKS["stsb"], tmp_path / "out")
    config = json.loads((folder / "config.json").read_text())
    assert (config["problem_type"], config["id2label"]) == ("regression", {"0": "score"})


def test_a_mean_over_the_tokens_is_refused_in_one_line_and_leaves_nothing(preprocessor, tmp_path):
    with pytest.raises(InputError, match="reads the mean over the tokens.*train with pooling: cls"):
        export_huggingface(made_classifier(pooling="mean"), preprocessor, TASKS["rte"], tmp_path / "out")
    assert not list(tmp_path.iterdir())


def test_a_layer_of_more_heads_than_the_width_has_is_refused(preprocessor, tmp_path):
    classifier = build_classifier(build_encoder(replace(CONFIG, heads=(3, 4))), 2)
    with pytest.raises(
        InputError, match="a layer has 4 heads of 8, more than 24 holds, which transformers' BERT cannot"
    ):
        export_huggingface(classifier, preprocessor, TASKS["rte"], tmp_path / "out")


def test_weights_of_8_bits_are_refused(preprocessor, tmp_path):
    with pytest.raises(InputError, match="the classifier is stored in 8 bits; export the run that it was made from"):
        export_huggingface(store_in_type(made_classifier(), "int8"), preprocessor, TASKS["rte"], tmp_path / "out")
    assert not list(tmp_path.iterdir())

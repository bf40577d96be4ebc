"""BERT as Hugging Face's folders: every form that they have had, and what is no BERT, named in one line."""

import json
import re

import ml_dtypes
import numpy as np
import pytest
from published_encoders import random_weights, write_huggingface, write_json
from safetensors.numpy import save_file
from savedmodels import VOCABULARY

from bertglue import InputError, load_encoder, load_preprocessor
from bertglue.models.bert import check_fit, encoder_config

ROWS = [["a b c.", "a", "bb cc, d? " * 3, ""]]


def outputs(folder, **options):
    encoder = load_encoder(str(folder), dropout=0.0, **options)
    return {name: np.array(value) for name, value in encoder(load_preprocessor(str(folder), 16)(ROWS)).items()}


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    return write_huggingface(tmp_path_factory.mktemp("hf") / "plain", random_weights(), hidden_act="gelu")


def same(left, right, tolerance=0):
    for name in ("pooled_output", "sequence_output"):
        np.testing.assert_allclose(left[name], right[name], atol=tolerance)


def old_norms(weights):
    return {
        name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): value
        for name, value in weights.items()
    }


@pytest.mark.parametrize(
    "form",
    [{"prefix": "bert."}, {"shards": 3}, {"shards": 2, "prefix": "bert."}, {"norms": old_norms}],
    ids=["prefix", "shards", "shards and prefix", "gamma and beta"],
)
def test_every_form_is_the_same_encoder(plain, tmp_path, form):
    weights = form.pop("norms", dict)(random_weights())
    folder = write_huggingface(tmp_path / "bert", weights, hidden_act="gelu", **form)
    same(outputs(folder), outputs(plain))
    assert load_encoder(str(folder)).origin.sha256 == load_encoder(str(plain)).origin.sha256


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
def test_weights_of_another_type(plain, tmp_path, dtype):
    kind = getattr(ml_dtypes, dtype, dtype)
    stored = {name: value.astype(kind) for name, value in random_weights().items()}
    folder = write_huggingface(tmp_path / "bert", stored, hidden_act="gelu")
    same(outputs(folder), outputs(plain), 0.2 if dtype == "bfloat16" else 0.02)
    kernel = load_encoder(str(folder)).get_layer("layer_0_intermediate").kernel
    wanted = stored["encoder.layer.0.intermediate.dense.weight"].astype("float32")
    np.testing.assert_array_equal(np.array(kernel).T, wanted)


def test_activation_and_epsilon_are_part_of_the_encoder(tmp_path):
    folders = {
        (act, eps): write_huggingface(
            tmp_path / act / str(eps), random_weights(), hidden_act=act, **({"layer_norm_eps": eps} if eps else {})
        )
        for act in ("gelu", "gelu_new", "gelu_pytorch_tanh")
        for eps in (None, 1e-5, 0.1)
    }
    found = {key: load_encoder(str(folder)) for key, folder in folders.items()}
    for (act, eps), encoder in found.items():
        config = encoder_config(encoder)
        assert config.hidden_act == ("gelu" if act == "gelu" else "gelu_pytorch_tanh")
        assert config.layer_norm_eps == (eps or 1e-12)
    assert len({encoder.origin.sha256 for encoder in found.values()}) == 6  # two activations, three epsilons
    exact, tanh, wide = (outputs(folders[key]) for key in (("gelu", None), ("gelu_new", None), ("gelu", 0.1)))
    assert 1e-6 < np.abs(exact["sequence_output"] - tanh["sequence_output"]).max() < 1e-2
    assert np.abs(exact["sequence_output"] - wide["sequence_output"]).max() > 1e-2


def test_a_missing_pooler_is_said_and_random(plain, tmp_path, capsys):
    weights = {name: value for name, value in random_weights().items() if not name.startswith("pooler.")}
    folder = write_huggingface(tmp_path / "bert", weights, hidden_act="gelu")
    first, again, other = (outputs(folder, seed=seed) for seed in (0, 0, 1))
    assert "it has no pooler; the pooler is randomly initialized from seed 1" in capsys.readouterr().out
    same(first, again)
    np.testing.assert_array_equal(first["sequence_output"], other["sequence_output"])
    assert np.abs(first["pooled_output"] - other["pooled_output"]).max() > 1e-3
    np.testing.assert_array_equal(first["sequence_output"], outputs(plain)["sequence_output"])


def test_other_weights_are_named_and_left(plain, tmp_path, capsys):
    left = {"cls.predictions.bias": np.zeros(3, "float32"), "classifier.weight": np.zeros((2, 24), "float32")}
    buffer = {"bert.embeddings.position_ids": np.arange(33)[None]}
    named = {f"bert.{name}": value for name, value in random_weights().items()}
    folder = write_huggingface(tmp_path / "bert", named | left | buffer, hidden_act="gelu")
    same(outputs(folder), outputs(plain))
    said = capsys.readouterr().out
    assert "its other weights are left out: classifier.weight, cls.predictions.bias\n" in said


def test_the_seed_is_that_of_what_is_built_after(plain):
    """The head on an encoder depends on the seed, and not on the files that the encoder was read from."""
    from bertglue.models.classifier import build_classifier

    def head(source, seed):
        return np.array(build_classifier(load_encoder(str(source), seed=seed), 2).get_layer("head").kernel)

    assert np.abs(head(plain, 0) - head(plain, 1)).max() > 0.1
    np.testing.assert_array_equal(head(plain, 1), head(plain, 1))


# ---------------------------------------------------------------- the tokenizer


def test_rows_beyond_the_vocabulary_are_padding_that_no_text_meets(tmp_path):
    weights = random_weights(vocab_size=len(VOCABULARY) + 5)
    folder = write_huggingface(tmp_path / "bert", weights, vocab_size=len(VOCABULARY) + 5)
    preprocess = load_preprocessor(str(folder), 16)
    check_fit(load_encoder(str(folder)), preprocess)
    assert preprocess.vocabulary[-1] == f"[padding{len(VOCABULARY) + 4}]"
    assert preprocess.tokens(preprocess.vocabulary[-1]) != [preprocess.vocabulary[-1]]


def fast_tokenizer(vocabulary, **normalizer):
    model = {"type": "WordPiece", "vocab": {entry: i for i, entry in enumerate(vocabulary)}}
    return {"model": model, "normalizer": {"type": "BertNormalizer", **normalizer}, "added_tokens": []}


@pytest.mark.parametrize("lower_case", [True, False])
def test_a_vocabulary_in_tokenizer_json_alone(plain, tmp_path, lower_case):
    vocabulary = [*VOCABULARY, "A", "中", "é"]
    weights = random_weights(vocab_size=len(vocabulary))
    folder = write_huggingface(tmp_path / "bert", weights, vocab_size=len(vocabulary))
    for name in ("vocab.txt", "tokenizer_config.json"):
        (folder / name).unlink()
    options = {"lowercase": lower_case, "strip_accents": None, "handle_chinese_chars": True}
    write_json(folder / "tokenizer.json", fast_tokenizer(vocabulary, **options))
    preprocess = load_preprocessor(str(folder), 16)
    assert preprocess.vocabulary == vocabulary
    assert preprocess.tokens("A中a") == ["a" if lower_case else "A", "中", "a"]


def test_tokens_that_were_added(tmp_path):
    folder = write_huggingface(tmp_path / "bert", random_weights(vocab_size=37), vocab_size=37)
    (folder / "vocab.txt").unlink()
    found = fast_tokenizer(VOCABULARY) | {"added_tokens": [{"id": len(VOCABULARY), "content": "[E1]"}]}
    write_json(folder / "tokenizer.json", found)
    assert load_preprocessor(str(folder), 16).vocabulary == [*VOCABULARY, "[E1]"]


@pytest.mark.parametrize(
    ("said", "lower_case", "strip_accents", "split_chinese"),
    [
        ({"do_lower_case": True, "strip_accents": None}, True, None, True),
        ({"do_lower_case": False}, False, None, True),
        ({"do_lower_case": True, "strip_accents": False}, True, False, True),
        ({"do_lower_case": False, "strip_accents": True, "tokenize_chinese_chars": False}, False, True, False),
        ({}, True, None, True),
    ],
)
def test_how_text_is_normalized_is_read_from_the_files(tmp_path, said, lower_case, strip_accents, split_chinese):
    folder = write_huggingface(tmp_path / "bert", random_weights(), tokenizer={"model_max_length": 512, **said})
    options = load_preprocessor(str(folder), 16).tokenization.options
    assert options == {"lower_case": lower_case, "strip_accents": strip_accents, "split_chinese": split_chinese}


def test_a_vocabulary_with_capitals_is_cased_where_nothing_says_otherwise(tmp_path):
    vocabulary = [*VOCABULARY, "The"]
    folder = write_huggingface(
        tmp_path / "bert", random_weights(vocab_size=37), vocabulary=vocabulary, tokenizer={"a": 1}, vocab_size=37
    )
    assert load_preprocessor(str(folder), 16).tokens("The") == ["The"]


# ---------------------------------------------------------------- bad input


def edit(folder, name="config.json", **values):
    write_json(folder / name, json.loads((folder / name).read_text()) | values)


def without(folder, *names):
    for name in names:
        (folder / name).unlink()


BROKEN = {
    "roberta": (lambda f: edit(f, model_type="roberta"), r"config.json is of a model of type 'roberta'.*type 'bert'"),
    "distilbert": (lambda f: edit(f, model_type="distilbert"), "type 'distilbert'"),
    "albert": (lambda f: edit(f, model_type="albert"), "type 'albert'"),
    "electra": (lambda f: edit(f, model_type="electra"), "type 'electra'"),
    "modernbert": (lambda f: edit(f, model_type="modernbert"), "type 'modernbert'"),
    "relu": (lambda f: edit(f, hidden_act="relu"), "hidden_act is 'relu'; gelu, gelu_new, gelu_pytorch_tanh are supp"),
    "relative": (
        lambda f: edit(f, position_embedding_type="relative_key"),
        "position_embedding_type is 'relative_key'",
    ),
    "decoder": (lambda f: edit(f, is_decoder=True), "is_decoder is True; False is supported"),
    "heads": (lambda f: edit(f, num_attention_heads=5), "hidden_size is no multiple of num_attention_heads"),
    "other sizes": (lambda f: edit(f, intermediate_size=41), r"intermediate.dense.\w+ is \[.*config.json says \[.*41"),
    "more layers": (lambda f: edit(f, num_hidden_layers=3), "its weight encoder.layer.2.* is missing"),
    "fewer layers": (lambda f: edit(f, num_hidden_layers=1), "weights that BERT lacks, encoder.layer.1"),
    "a text as a size": (lambda f: edit(f, hidden_size="24"), "config.json is no configuration of BERT .hidden_size"),
    "far more positions": (lambda f: edit(f, max_position_embeddings=10**6), r"position_embeddings.*is \[33, 24\]"),
    "far more layers": (lambda f: edit(f, num_hidden_layers=1000), "its weight encoder.layer.999.* is missing"),
    "far wider": (lambda f: edit(f, intermediate_size=10**6), r"is \[24, 40\], and config.json says \[24, 1000000\]"),
    "a size too large": (lambda f: edit(f, vocab_size=10**12), "config.json is no configuration of BERT .vocab_size"),
    "no object": (lambda f: write_json(f / "config.json", []), "config.json is no configuration of BERT"),
    "no json": (lambda f: (f / "config.json").write_text("{"), "config.json is no configuration of BERT"),
    "no weights": (lambda f: without(f, "model.safetensors"), "holds no model.safetensors; fetch it again, with its w"),
    "cut": (lambda f: cut(f / "model.safetensors"), "model.safetensors is cut short or damaged"),
    "empty": (lambda f: (f / "model.safetensors").write_bytes(b""), "model.safetensors is cut short or damaged"),
    "not a number": (lambda f: spoil(f), "its weight .* is not all finite numbers"),
    "no tokenizer": (lambda f: without(f, "vocab.txt"), "holds no vocab.txt and no tokenizer.json"),
    "bpe": (
        lambda f: (without(f, "vocab.txt"), write_json(f / "tokenizer.json", {"model": {"type": "BPE", "vocab": {}}})),
        "tokenizer.json is a tokenizer of type BPE; BERT's is WordPiece",
    ),
    "japanese": (
        lambda f: edit(f, "tokenizer_config.json", word_tokenizer_type="mecab"),
        "tokenizer_config.json has word_tokenizer_type 'mecab', which is no tokenizer of BERT; take another encoder",
    ),
    "characters": (
        lambda f: edit(f, "tokenizer_config.json", subword_tokenizer_type="character"),
        "has subword_tokenizer_type 'character'",
    ),
    "another class": (
        lambda f: edit(f, "tokenizer_config.json", tokenizer_class="BertJapaneseTokenizer"),
        "has tokenizer_class 'BertJapaneseTokenizer'",
    ),
    "sentencepiece": (
        lambda f: (f / "vocab.txt").write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "▁a", "b"])),
        "has a vocabulary of SentencePiece; BERT's is WordPiece; take another encoder",
    ),
    "ids with a gap": (
        lambda f: (without(f, "vocab.txt"), write_json(f / "tokenizer.json", {"model": {"vocab": {"a": 0, "b": 2}}})),
        "the ids of its vocabulary are not 0, 1, 2",
    ),
    "longer vocabulary": (
        lambda f: (f / "vocab.txt").write_text("\n".join([*VOCABULARY, "more"])),
        "the vocabulary has 37 entries and the encoder 36 word embeddings",
    ),
}


def cut(path):
    path.write_bytes(path.read_bytes()[:-100])


def spoil(folder):
    weights = random_weights()
    weights["encoder.layer.1.output.dense.bias"][3] = np.nan
    save_file(weights, folder / "model.safetensors")


def test_a_pair_needs_two_token_types(tmp_path):
    folder = write_huggingface(tmp_path / "bert", random_weights(type_vocab_size=1), type_vocab_size=1)
    encoder, preprocess = load_encoder(str(folder)), load_preprocessor(str(folder), 16)
    check_fit(encoder, preprocess, segments=1)
    with pytest.raises(
        InputError, match="the task has 2 texts a row, and the encoder knows 1 token type; take another"
    ):
        check_fit(encoder, preprocess, segments=2)


@pytest.mark.parametrize("kind", ["BertTokenizer", "BertTokenizerFast", "PreTrainedTokenizerFast", None])
def test_the_tokenizers_of_bert_are_taken(tmp_path, kind):
    told = {"do_lower_case": True, "tokenizer_class": kind, "word_tokenizer_type": "basic"}
    folder = write_huggingface(tmp_path / "bert", random_weights(), tokenizer=told)
    assert load_preprocessor(str(folder), 16).tokens("a")


@pytest.mark.parametrize("name", BROKEN)
def test_what_cannot_be_read_is_one_line_with_what_to_do(tmp_path, name):
    damage, said = BROKEN[name]
    folder = write_huggingface(tmp_path / "bert", random_weights())
    damage(folder)
    with pytest.raises(InputError) as error:
        check_fit(load_encoder(str(folder)), load_preprocessor(str(folder), 16))
    assert re.search(said, str(error.value)), error.value
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 500


def test_a_pickle_is_not_opened_and_the_line_says_how_to_convert_it(tmp_path):
    folder = write_huggingface(tmp_path / "bert", random_weights())
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(b"cos\nsystem\n(S'touch /tmp/evil'\ntR.")
    with pytest.raises(InputError, match=r"pytorch_model.bin is a pickle, which can run code.*save_pretrained"):
        load_encoder(str(folder))


@pytest.mark.parametrize(
    "name", ["../evil.safetensors", "/etc/passwd", "a/../../evil.safetensors", "missing.safetensors"]
)
def test_an_index_leads_nowhere_else(tmp_path, name):
    folder = write_huggingface(tmp_path / "bert", random_weights(), shards=2)
    save_file(random_weights(), tmp_path / "evil.safetensors")
    found = json.loads((folder / "model.safetensors.index.json").read_text())["weight_map"]
    write_json(folder / "model.safetensors.index.json", {"weight_map": found | {"pooler.dense.bias": name}})
    with pytest.raises(InputError, match="index.json lists .* which is not beside it"):
        load_encoder(str(folder))

"""The native encoder against transformers' BertModel: outputs within 1e-5, in each format, activation and epsilon."""

import numpy as np
import pytest
import torch
import transformers
from published_encoders import OF_GOOGLE

import bertglue
from bertglue.models.encoder_source import weights_of
from bertglue.models.find_encoder import find_encoder

# ragged text; what the two tokenizers are known to take otherwise has tests of its own (tests/models)
TEXTS = [
    "The movie was a charming, old-fashioned delight -- and it's only 87 minutes long!",
    "No.",
    "",
    "Researchers (at the university's Institute for Advanced Study) said on Tuesday, May 3rd, that 12.5% of samples "
    "were contaminated; nobody knows why, and the committee's report, which was due in March, has been delayed again.",
    "Zurich and Munchen are cities.",
    "a " * 60,
]
PAIRS = [TEXTS, [*reversed(TEXTS)]]
TOLERANCE = 1e-5


@pytest.fixture(scope="module")
def vocabulary(hub_dir):
    return (hub_dir / "bert_en_uncased_preprocess/assets/vocab.txt").read_text(encoding="utf-8").splitlines()


def bert(vocabulary, kind=transformers.BertModel, seed=0, **options):
    """A BERT of odd sizes with random weights, none of them near zero."""
    torch.manual_seed(seed)
    sizes = {"hidden_size": 36, "num_hidden_layers": 3, "num_attention_heads": 3, "intermediate_size": 100}
    config = transformers.BertConfig(
        vocab_size=len(vocabulary), max_position_embeddings=130, **sizes | options.pop("config", {})
    )
    model = kind(config, **options).eval()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            scale = 1.0 if "LayerNorm.weight" in name else 0.0
            weight.copy_(scale + torch.randn_like(weight) * (0.2 if weight.ndim > 1 else 0.3))
    return model


def save(model, folder, vocabulary, **options):
    model.save_pretrained(folder, **options)
    (folder / "vocab.txt").write_text("\n".join(vocabulary) + "\n", encoding="utf-8")
    return folder


def compare(model, folder, segments=PAIRS, length=64, pooled=True):
    """Hold ids and outputs of the folder's encoder to transformers'; padded positions have no meaning."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    theirs = tokenizer(
        *map(list, segments), padding="max_length", truncation="longest_first", max_length=length, return_tensors="pt"
    )
    ours = {name: ids.numpy() for name, ids in bertglue.load_preprocessor(str(folder), length)(segments).items()}
    for name, named in (
        ("input_word_ids", "input_ids"),
        ("input_mask", "attention_mask"),
        ("input_type_ids", "token_type_ids"),
    ):
        np.testing.assert_array_equal(ours[name], theirs[named].numpy(), err_msg=name)
    with torch.no_grad():
        wanted = getattr(model, "bert", model)(**theirs)
    found = bertglue.load_encoder(str(folder), dropout=0.0)(ours)
    kept = theirs["attention_mask"].numpy()[..., None]
    differences = {"sequence": np.array(found["sequence_output"]) * kept - wanted.last_hidden_state.numpy() * kept}
    if pooled:
        differences["pooled"] = np.array(found["pooled_output"]) - wanted.pooler_output.numpy()
    largest = {name: float(np.abs(value).max()) for name, value in differences.items()}
    assert max(largest.values()) < TOLERANCE, largest
    return largest


@pytest.mark.parametrize("epsilon", [1e-12, 1e-5])
@pytest.mark.parametrize("activation", ["gelu", "gelu_new", "gelu_pytorch_tanh"])
def test_each_activation_and_epsilon(vocabulary, tmp_path, activation, epsilon):
    model = bert(vocabulary, config={"hidden_act": activation, "layer_norm_eps": epsilon})
    compare(model, save(model, tmp_path, vocabulary))


@pytest.mark.parametrize(
    ("kind", "pooled"),
    [
        (transformers.BertForSequenceClassification, True),
        (transformers.BertForPreTraining, True),
        (transformers.BertForMaskedLM, False),
        (transformers.BertForTokenClassification, False),
    ],
)
def test_models_with_heads_of_their_own(vocabulary, tmp_path, kind, pooled, capsys):
    model = bert(vocabulary, kind)
    compare(model, save(model, tmp_path, vocabulary), pooled=pooled)
    said = capsys.readouterr().out
    assert "its other weights are left out: c" in said
    assert ("it has no pooler" in said) is not pooled


def test_a_sharded_model(vocabulary, tmp_path):
    model = bert(vocabulary)
    folder = save(model, tmp_path, vocabulary, max_shard_size="300KB")
    assert len(list(folder.glob("model-*.safetensors"))) > 1
    compare(model, folder)


def test_one_segment_and_rows_that_are_cut(vocabulary, tmp_path):
    model = bert(vocabulary)
    folder = save(model, tmp_path, vocabulary)
    compare(model, folder, segments=[TEXTS], length=130)
    compare(model, folder, segments=[TEXTS], length=16)


def test_googles_checkpoint(vocabulary, tmp_path):
    """Written by the table of names with which transformers wrote Google's checkpoints."""
    tensorflow = pytest.importorskip("tensorflow")
    model = bert(vocabulary)
    folder = save(model, tmp_path / "hf", vocabulary)
    google = tmp_path / "google"
    google.mkdir()
    named = {}
    for name, value in model.state_dict().items():
        theirs = name
        for ours, googles in OF_GOOGLE:
            theirs = theirs.replace(ours, googles)
        named[f"bert/{theirs}"] = value.numpy().T if theirs.endswith("kernel") else value.numpy()
    tensorflow.raw_ops.SaveV2(
        prefix=str(google / "bert_model.ckpt"), tensor_names=list(named), shape_and_slices=[""] * len(named),
        tensors=list(named.values()),
    )  # fmt: skip
    (google / "bert_config.json").write_text((folder / "config.json").read_text())
    (google / "vocab.txt").write_text((folder / "vocab.txt").read_text(encoding="utf-8"), encoding="utf-8")
    left, right = (bertglue.load_encoder(str(place)) for place in (folder, google))
    assert left.origin.sha256 == right.origin.sha256
    compare(model, folder)


def test_minilm():
    """The published encoder, of 6 layers of 384: from the one place that answers where only package indexes do."""
    folder = find_encoder("minilm").folder
    model = transformers.AutoModel.from_pretrained(folder).eval()
    largest = compare(model, folder, length=128)
    print(largest)


@pytest.mark.parametrize(("layers", "hidden"), [(6, 384), (12, 768)])
def test_at_the_sizes_of_published_models(vocabulary, tmp_path, layers, hidden):
    """Up to BERT-base, with random weights of BERT's own scale."""
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=len(vocabulary), hidden_size=hidden, num_hidden_layers=layers, num_attention_heads=12,
        intermediate_size=4 * hidden,
    )  # fmt: skip
    model = transformers.BertModel(config).eval()
    print(compare(model, save(model, tmp_path, vocabulary), length=128))


def test_the_names_cover_every_weight(vocabulary, tmp_path):
    model = bert(vocabulary)
    encoder = bertglue.load_encoder(str(save(model, tmp_path, vocabulary)))
    assert sum(value.size for value in weights_of(encoder).values()) == sum(p.numel() for p in model.parameters())

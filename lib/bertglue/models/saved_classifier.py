"""Save a fine-tuned classifier with its vocabulary, and load it in another process."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import keras
import numpy as np
from pydantic import Field

from bertglue.atomic_files import write_atomically, write_json, write_text
from bertglue.checked_files import FileSchema, file_digest, parse_json, read_object
from bertglue.data.token_ids import read_vocabulary
from bertglue.errors import InputError, one_line
from bertglue.models.bert import (
    EncoderConfig,
    encoder_config,
)  # its module registers the layers that a saved model names
from bertglue.models.bert_names import POOLER
from bertglue.models.encoder_files import VOCABULARY_FILE
from bertglue.models.encoder_source import EncoderSource, Tokenization, weights_of
from bertglue.models.heads import has_8_bits, widen

if TYPE_CHECKING:  # it needs TensorFlow, which reads the text
    from bertglue.models.preprocessor import Preprocessor

MODEL_FILE, PREPROCESSING_FILE = "model.keras", "preprocessing.json"
DIGESTS_FILE = "digests.json"  # of the files of a saved classifier
SAVE_AGAIN = "run its notebook again"


class Preprocessing(FileSchema):
    """`preprocessing.json`."""

    seq_length: Annotated[int, Field(ge=5, le=10**6)]
    lower_case: bool
    strip_accents: bool | None = None
    split_chinese: bool = True


def save_classifier(classifier: keras.Model, preprocessor: Preprocessor, run_dir: str | Path) -> Path:
    """Write `model.keras` with the vocabulary and the length that belong to it; their digests appear last.

    Of a preprocessing SavedModel too only vocabulary and casing are kept: no graph is run when the run is read back.
    """
    folder = Path(run_dir)
    config = {"seq_length": preprocessor.seq_length, **preprocessor.tokenization.options}
    write_text(folder / VOCABULARY_FILE, "\n".join(preprocessor.vocabulary) + "\n")
    write_text(folder / PREPROCESSING_FILE, json.dumps(config) + "\n")
    with write_atomically(folder / MODEL_FILE) as partial:
        classifier.save(partial)
    names = (MODEL_FILE, VOCABULARY_FILE, PREPROCESSING_FILE)
    write_json(folder / DIGESTS_FILE, {name: file_digest(folder / name) for name in names})
    return folder / MODEL_FILE


def load_classifier(run_dir: str | Path) -> tuple[keras.Model, Preprocessor]:
    """Load what `save_classifier` wrote, weights of 16 bits widened. Runs no code from the file.

    A file that was cut short or changed is an InputError that names it. A folder of an older version, without digests,
    is read as far as its files fit together.
    """
    folder = Path(run_dir)
    if (folder / DIGESTS_FILE).exists():
        check_digests(folder)
    preprocessor, classifier = read_preprocessor(folder), read_model(folder / MODEL_FILE)
    check_sizes(folder, classifier, preprocessor.tokenization, preprocessor.seq_length)
    return classifier, preprocessor


class RunEncoder(EncoderSource):
    """The encoder of a finished run, without its head: what was learned on one task serves to begin another with."""

    @functools.cached_property
    def encoder(self) -> keras.Model:
        if (self.folder / DIGESTS_FILE).exists():
            check_digests(self.folder)
        classifier = read_model(self.folder / MODEL_FILE)
        check_sizes(self.folder, classifier, *self.preprocessing)
        if has_8_bits(classifier):
            raise InputError(f"{self.place}: its weights are 8-bit integers; give the run that they were made from")
        return classifier.get_layer("encoder")

    @functools.cached_property
    def preprocessing(self) -> tuple[Tokenization, int]:
        return read_preprocessing(self.folder)

    @property
    def config(self) -> EncoderConfig:
        return encoder_config(self.encoder)

    @property
    def tokenization(self) -> Tokenization:
        return self.preprocessing[0]

    @functools.cached_property
    def weights(self) -> dict[str, np.ndarray]:
        return weights_of(self.encoder)

    def read(self, name: str, shape: tuple[int, ...]) -> np.ndarray | None:
        return None if name.startswith(POOLER) and name not in self.weights else self.weights[name]

    def remarks(self, names: set[str]) -> list[str]:
        return ["the encoder of a finished run is taken, without its head"]


def check_digests(folder: Path) -> None:
    """Check that each file of a saved classifier is as it was written."""
    known = parse_json(folder / DIGESTS_FILE, "file of digests", SAVE_AGAIN)
    for name in (MODEL_FILE, VOCABULARY_FILE, PREPROCESSING_FILE):
        try:
            found = file_digest(folder / name)
        except OSError as error:
            raise no_classifier(folder / name, error) from None
        wanted = known.get(name) if isinstance(known, dict) else None
        if found != wanted:
            raise InputError(f"{folder / name} is not what {folder / DIGESTS_FILE} says; {SAVE_AGAIN}")


def read_preprocessor(folder: Path) -> Preprocessor:
    from bertglue.models.preprocessor import Preprocessor

    tokenization, seq_length = read_preprocessing(folder)
    try:
        return Preprocessor(tokenization.vocabulary, seq_length, **tokenization.options)
    except Exception as error:  # the tokenizer raises errors of TensorFlow's of entries that it cannot take
        raise no_classifier(folder / VOCABULARY_FILE, error) from None


def read_preprocessing(folder: Path) -> tuple[Tokenization, int]:
    """Read the tokenization of a saved classifier, and the length that rows were truncated to."""
    config = read_object(folder / PREPROCESSING_FILE, Preprocessing, "preprocessing of a classifier", SAVE_AGAIN)
    found = Preprocessing.model_validate(config).model_dump()
    length = found.pop("seq_length")
    return Tokenization(read_vocabulary(folder / VOCABULARY_FILE), **found), length


def read_model(path: Path) -> keras.Model:
    try:
        return widen(keras.saving.load_model(path, safe_mode=True))
    except Exception as error:  # Keras raises whatever its layers raise of a file that was cut or changed
        raise no_classifier(path, error) from None


def check_sizes(folder: Path, classifier: keras.Model, tokenization: Tokenization, seq_length: int) -> None:
    """Check that every id and every row that the preprocessing makes has a place in the model."""
    try:
        sizes = encoder_config(classifier.get_layer("encoder"))
    except (AttributeError, KeyError, ValueError) as error:
        raise no_classifier(folder / MODEL_FILE, error) from None
    if len(tokenization.vocabulary) > sizes.vocabulary_size:
        raise no_classifier(folder / VOCABULARY_FILE, f"the model has {sizes.vocabulary_size:,} entries")
    if seq_length > sizes.max_positions:
        raise no_classifier(folder / PREPROCESSING_FILE, f"the model has {sizes.max_positions:,} positions")


def no_classifier(path: Path, why: object) -> InputError:
    return InputError(f"{path} is of no saved classifier ({one_line(why)}); {SAVE_AGAIN}")

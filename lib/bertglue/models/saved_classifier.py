"""Save a fine-tuned classifier with its vocabulary, and load it in another process."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import keras
from pydantic import Field

from bertglue.atomic_files import write_atomically, write_json, write_text
from bertglue.checked_files import FileSchema, file_digest, parse_json, read_object
from bertglue.data.token_ids import read_vocabulary
from bertglue.errors import InputError, one_line
from bertglue.models.bert import encoder_config  # its module registers the layers that a saved model names
from bertglue.models.encoder_files import VOCABULARY_FILE
from bertglue.models.heads import widen
from bertglue.models.preprocessor import Preprocessor

MODEL_FILE, PREPROCESSING_FILE = "model.keras", "preprocessing.json"
DIGESTS_FILE = "digests.json"  # of the files of a saved classifier
SAVE_AGAIN = "run its notebook again"


class Preprocessing(FileSchema):
    """`preprocessing.json`."""

    seq_length: Annotated[int, Field(ge=5, le=10**6)]
    lower_case: bool


def save_classifier(classifier: keras.Model, preprocessor: Preprocessor, run_dir: str | Path) -> Path:
    """Write `model.keras` with the vocabulary and the length that belong to it; their digests appear last.

    Of a preprocessing SavedModel too only vocabulary and casing are kept: no graph is run when the run is read back.
    """
    folder = Path(run_dir)
    config = {"seq_length": preprocessor.seq_length, "lower_case": preprocessor.lower_case}
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
    check_sizes(folder, classifier, preprocessor)
    return classifier, preprocessor


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
    config = read_object(folder / PREPROCESSING_FILE, Preprocessing, "preprocessing of a classifier", SAVE_AGAIN)
    options = {name: config[name] for name in Preprocessing.model_fields}
    try:
        return Preprocessor(read_vocabulary(folder / VOCABULARY_FILE), **options)
    except Exception as error:  # the tokenizer raises errors of TensorFlow's of entries that it cannot take
        raise no_classifier(folder / VOCABULARY_FILE, error) from None


def read_model(path: Path) -> keras.Model:
    try:
        return widen(keras.saving.load_model(path, safe_mode=True))
    except Exception as error:  # Keras raises whatever its layers raise of a file that was cut or changed
        raise no_classifier(path, error) from None


def check_sizes(folder: Path, classifier: keras.Model, preprocessor: Preprocessor) -> None:
    """Check that every id and every row that the preprocessing makes has a place in the model."""
    try:
        sizes = encoder_config(classifier.get_layer("encoder"))
    except (AttributeError, KeyError, ValueError) as error:
        raise no_classifier(folder / MODEL_FILE, error) from None
    if len(preprocessor.vocabulary) > sizes.vocabulary_size:
        raise no_classifier(folder / VOCABULARY_FILE, f"the model has {sizes.vocabulary_size:,} entries")
    if preprocessor.seq_length > sizes.max_positions:
        raise no_classifier(folder / PREPROCESSING_FILE, f"the model has {sizes.max_positions:,} positions")


def no_classifier(path: Path, why: object) -> InputError:
    return InputError(f"{path} is of no saved classifier ({one_line(why)}); {SAVE_AGAIN}")

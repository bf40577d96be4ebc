"""Save a fine-tuned classifier with its vocabulary, and load it in another process."""

from __future__ import annotations

import json
from pathlib import Path

import keras

import bertglue.models.bert  # noqa: F401  (registers the layers that a saved model names)
from bertglue.atomic_files import write_atomically, write_text
from bertglue.data.token_ids import read_vocabulary
from bertglue.errors import InputError
from bertglue.models.encoder_files import VOCABULARY_FILE
from bertglue.models.heads import widen
from bertglue.models.preprocessor import Preprocessor

MODEL_FILE, PREPROCESSING_FILE = "model.keras", "preprocessing.json"


def save_classifier(classifier: keras.Model, preprocessor: Preprocessor, run_dir: str | Path) -> Path:
    """Write `model.keras` with the vocabulary and the length that belong to it; the model appears last.

    Of a preprocessing SavedModel too only vocabulary and casing are kept: no graph is run when the run is read back.
    """
    folder = Path(run_dir)
    config = {"seq_length": preprocessor.seq_length, "lower_case": preprocessor.lower_case}
    write_text(folder / VOCABULARY_FILE, "\n".join(preprocessor.vocabulary) + "\n")
    write_text(folder / PREPROCESSING_FILE, json.dumps(config) + "\n")
    with write_atomically(folder / MODEL_FILE) as partial:
        classifier.save(partial)
    return folder / MODEL_FILE


def load_classifier(run_dir: str | Path) -> tuple[keras.Model, Preprocessor]:
    """Load what `save_classifier` wrote, weights of 16 bits widened. Runs no code from the file."""
    folder = Path(run_dir)
    try:
        config = json.loads((folder / PREPROCESSING_FILE).read_text())
        preprocessor = Preprocessor(read_vocabulary(folder / VOCABULARY_FILE), **config)
        return widen(keras.saving.load_model(folder / MODEL_FILE, safe_mode=True)), preprocessor
    except (OSError, ValueError, TypeError) as error:
        raise InputError(f"{folder} holds no saved classifier ({error}); run its notebook again") from None

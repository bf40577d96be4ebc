"""The encoder that the library brings along: its folder, and how it was made."""

from __future__ import annotations

import json
from pathlib import Path

from bertglue.errors import InputError, one_line

BUNDLED_FOLDER = Path(__file__).with_name("bundled_encoder")
PRETRAINING_RECORD = "pretraining.json"


def read_pretraining_record(folder: Path = BUNDLED_FOLDER) -> dict:
    """Read how an encoder was pre-trained: parameters, history, counts of its text, environment."""
    try:
        return json.loads((folder / PRETRAINING_RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise incomplete_encoder(folder, error) from None


def incomplete_encoder(folder: Path, error: Exception) -> InputError:
    return InputError(f"{folder} holds no whole encoder ({one_line(error)}); write it again")

"""The encoder that the library brings along: its names, its folder, and how it was made."""

from __future__ import annotations

import json
from pathlib import Path

from bertglue.errors import InputError, reason

EMBEDDED = Path(__file__).with_name("bundled_encoder")
FRESH = "embedded-fresh"  # the same sizes, with fresh weights
BUNDLED = (EMBEDDED.name, FRESH)
STORY = "pretraining.json"


def read_story(folder: Path = EMBEDDED) -> dict:
    """Read how an encoder was pre-trained: parameters, history, counts of its text, environment."""
    try:
        return json.loads((folder / STORY).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise not_whole(folder, error) from None


def not_whole(folder: Path, error: Exception) -> InputError:
    return InputError(f"{folder} holds no whole encoder ({reason(error)}); write it again")

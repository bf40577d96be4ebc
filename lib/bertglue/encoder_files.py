"""A native encoder as files: sizes, weights in half precision, and the vocabulary that belongs to it."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, replace
from pathlib import Path

import keras

from bertglue.encoder import EncoderConfig, build_encoder
from bertglue.errors import InputError, reason
from bertglue.tokens import read_vocabulary

SIZES, WEIGHTS, VOCABULARY = "encoder.json", "encoder.weights.h5", "vocab.txt"


def save_encoder(encoder: keras.Model, config: EncoderConfig, entries: list[str], folder: str | Path) -> Path:
    """Write an encoder as `encoder.json`, `encoder.weights.h5` (float16) and `vocab.txt`; all of it or nothing."""
    folder = Path(folder)
    partial = folder.with_name(folder.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    policy = keras.config.dtype_policy()
    try:
        keras.config.set_dtype_policy("float16")
        half = build_encoder(config)
    finally:
        keras.config.set_dtype_policy(policy)
    half.set_weights([weight.astype("float16") for weight in encoder.get_weights()])
    half.save_weights(partial / WEIGHTS)
    (partial / SIZES).write_text(json.dumps(asdict(config), indent=1) + "\n")
    (partial / VOCABULARY).write_text("\n".join(entries) + "\n", encoding="utf-8")
    shutil.rmtree(folder, ignore_errors=True)
    return partial.rename(folder)


def is_saved_encoder(source: str) -> bool:
    return (Path(source).expanduser() / SIZES).is_file()


def load_saved_encoder(source: str, dropout: float) -> keras.Model:
    """Read what `save_encoder` wrote, in the precision of this process. Runs no code from the files."""
    folder = Path(source).expanduser()
    try:
        sizes = json.loads((folder / SIZES).read_text(encoding="utf-8"))
        config = EncoderConfig(**{**sizes, "heads": tuple(sizes["heads"])})
        encoder = build_encoder(replace(config, dropout=dropout))
        encoder.load_weights(folder / WEIGHTS)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise InputError(f"{folder} holds no whole encoder ({reason(error)}); write it again") from None
    return encoder


def saved_vocabulary(source: str) -> list[str]:
    return read_vocabulary(Path(source).expanduser() / VOCABULARY)

"""A native encoder as files: sizes, weights in half precision, and the vocabulary that belongs to it."""

from __future__ import annotations

import functools
import json
import tempfile
from dataclasses import asdict
from pathlib import Path

import keras
import numpy as np

from bertglue.atomic_files import write_folder
from bertglue.data.token_ids import read_vocabulary
from bertglue.encoder_names import PRETRAINED_HERE
from bertglue.models.bert import EncoderConfig, build_encoder
from bertglue.models.bundled import PRETRAINING_RECORD, incomplete_encoder
from bertglue.models.encoder_source import EncoderSource, Tokenization, weights_of

CONFIG_FILE, WEIGHTS_FILE, VOCABULARY_FILE = PRETRAINED_HERE, "encoder.weights.h5", "vocab.txt"
HDF5_OVERHEAD = 2**20  # bytes, beside the weights
BLOCK = 2**20  # bytes written at a time


def save_encoder(
    encoder: keras.Model, config: EncoderConfig, entries: list[str], folder: str | Path, story: dict
) -> Path:
    """Write an encoder as `encoder.json`, `encoder.weights.h5` (float16) and `vocab.txt`; all of it or nothing.

    `story` says where it comes from; it is kept beside it as `pretraining.json`.
    """
    folder = Path(folder)
    with write_folder(folder) as partial:
        check_space(partial, 2 * encoder.count_params() + HDF5_OVERHEAD)
        halved(encoder, config).save_weights(partial / WEIGHTS_FILE)
        (partial / CONFIG_FILE).write_text(json.dumps(asdict(config), indent=1) + "\n")
        (partial / PRETRAINING_RECORD).write_text(json.dumps(story, indent=1) + "\n")
        (partial / VOCABULARY_FILE).write_text("\n".join(entries) + "\n", encoding="utf-8")
    return folder


def check_space(folder: Path, size: int) -> None:
    """Check that so many bytes fit into a folder; on a full disk HDF5 would print at length, or end the process."""
    with tempfile.TemporaryFile(dir=folder) as file:
        for start in range(0, size, BLOCK):
            file.write(bytes(min(BLOCK, size - start)))


def halved(encoder: keras.Model, config: EncoderConfig) -> keras.Model:
    """Return the same encoder in half precision."""
    policy = keras.config.dtype_policy()
    try:
        keras.config.set_dtype_policy("float16")
        half = build_encoder(config)
    finally:
        keras.config.set_dtype_policy(policy)
    half.set_weights([weight.astype("float16") for weight in encoder.get_weights()])
    return half


class NativeEncoder(EncoderSource):
    """A folder that `save_encoder` wrote, such as the bundled encoder."""

    @functools.cached_property
    def config(self) -> EncoderConfig:
        return read_encoder_config(self.folder)

    @property
    def tokenization(self) -> Tokenization:
        return Tokenization(read_vocabulary(self.folder / VOCABULARY_FILE))

    @functools.cached_property
    def weights(self) -> dict[str, np.ndarray]:
        return weights_of(load_saved_encoder(self.folder))

    def read(self, name: str, shape: tuple[int, ...]) -> np.ndarray:
        return self.weights[name]


def read_encoder_config(folder: Path) -> EncoderConfig:
    try:
        sizes = json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8"))
        return EncoderConfig(**{**sizes, "heads": tuple(sizes["heads"])})
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise incomplete_encoder(folder, error) from None


def load_saved_encoder(folder: Path) -> keras.Model:
    """Read what `save_encoder` wrote, in the precision of this process. Runs no code from the files."""
    encoder = build_encoder(read_encoder_config(folder))
    try:
        encoder.load_weights(folder / WEIGHTS_FILE)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise incomplete_encoder(folder, error) from None
    return encoder

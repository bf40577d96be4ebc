"""BERT as Google published it in 2018: `bert_config.json`, the checkpoint `bert_model.ckpt.*` and `vocab.txt`."""

from __future__ import annotations

import functools
import re
from pathlib import Path

import numpy as np
import tensorflow as tf

from bertglue.checked_files import read_object
from bertglue.data.token_ids import read_vocabulary
from bertglue.errors import InputError, one_line
from bertglue.models.bert import EncoderConfig
from bertglue.models.bert_names import flat_shape, google_name
from bertglue.models.encoder_files import VOCABULARY_FILE
from bertglue.models.encoder_source import EncoderSource, Tokenization, is_cased, pad_vocabulary, some
from bertglue.models.huggingface import FETCH_AGAIN, BertConfigFile, sizes_of

GOOGLE_CONFIG_FILE = "bert_config.json"
OF_TRAINING = re.compile(r"(adam_[mv]|global_step)$")  # the optimizer's state, which is nothing to speak of
PREFIX = "bert/"


class GoogleEncoder(EncoderSource):
    """A folder of Google's."""

    @functools.cached_property
    def config(self) -> EncoderConfig:
        path = self.folder / GOOGLE_CONFIG_FILE
        found = read_object(path, BertConfigFile, "configuration of Google's BERT", FETCH_AGAIN)
        return sizes_of(BertConfigFile.model_validate(found), path)

    @functools.cached_property
    def tokenization(self) -> Tokenization:
        entries = read_vocabulary(self.folder / VOCABULARY_FILE)
        return pad_vocabulary(Tokenization(entries, lower_case=not is_cased(entries)), self.config.vocabulary_size)

    @functools.cached_property
    def checkpoint(self):
        try:
            return tf.train.load_checkpoint(str(find_checkpoint(self.folder)))
        except (tf.errors.OpError, ValueError, RuntimeError) as error:
            raise self.broken(error) from None

    @functools.cached_property
    def shapes(self) -> dict[str, list[int]]:
        return self.checkpoint.get_variable_to_shape_map()

    def read(self, name: str, shape: tuple[int, ...]) -> np.ndarray | None:
        theirs = PREFIX + google_name(name)
        if theirs not in self.shapes:
            if not any(other.startswith(f"{PREFIX}pooler/") for other in self.shapes) and "pooler/" in theirs:
                return None
            raise self.unlike(f"its weight {theirs} is missing")
        flat = flat_shape(name, shape)
        if tuple(self.shapes[theirs]) != flat:
            raise self.unlike(
                f"its weight {theirs} is {self.shapes[theirs]}, and {GOOGLE_CONFIG_FILE} says {list(flat)}"
            )
        try:
            return self.checkpoint.get_tensor(theirs).reshape(shape)
        except (tf.errors.OpError, ValueError, RuntimeError) as error:
            raise self.broken(error) from None

    def remarks(self, names: set[str]) -> list[str]:
        known = {PREFIX + google_name(name) for name in names}
        left = sorted(name for name in self.shapes.keys() - known if not OF_TRAINING.search(name))
        deeper = [name for name in left if name.startswith((f"{PREFIX}embeddings/", f"{PREFIX}encoder/"))]
        if deeper:
            raise self.unlike(f"it has weights that BERT lacks, {some(deeper)}")
        return [f"its other weights are left out: {some(left, 4)}"] if left else []

    def unlike(self, why: str) -> InputError:
        return InputError(f"{self.place} is not supported: {why}; Google's BERTs of 2018 to 2020 are supported")

    def broken(self, error: Exception) -> InputError:
        return InputError(f"{self.folder}: its checkpoint is cut short or damaged ({one_line(error)}); {FETCH_AGAIN}")


def find_checkpoint(folder: Path) -> Path:
    """Find the one checkpoint of a folder."""
    found = sorted(folder.glob("*.ckpt*.index"))
    if len(found) != 1:
        there = "no checkpoint" if not found else f"{len(found)} checkpoints"
        raise InputError(
            f"{folder} holds {there}; give a folder with {GOOGLE_CONFIG_FILE}, bert_model.ckpt.* and vocab.txt"
        )
    return found[0].with_suffix("")

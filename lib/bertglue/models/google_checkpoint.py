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
from bertglue.models.bert_names import google_name
from bertglue.models.encoder_files import VOCABULARY_FILE
from bertglue.models.encoder_source import PublishedEncoder, Tokenization, is_cased, pad_vocabulary
from bertglue.models.huggingface import FETCH_AGAIN, BertConfigFile, sizes_of

GOOGLE_CONFIG_FILE = "bert_config.json"
OF_TRAINING = re.compile(r"(adam_[mv]|global_step)$")  # the optimizer's state, which is nothing to speak of
PREFIX = "bert/"


class GoogleEncoder(PublishedEncoder):
    """A folder of Google's."""

    config_file, supported = GOOGLE_CONFIG_FILE, "Google's BERTs of 2018 to 2020 are supported"
    pooler, deeper = (f"{PREFIX}pooler/",), (f"{PREFIX}embeddings/", f"{PREFIX}encoder/")

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

    def names(self) -> set[str]:
        return {name for name in self.shapes if not OF_TRAINING.search(name)}

    def their_name(self, name: str) -> str:
        return PREFIX + google_name(name)

    def stored_shape(self, name: str) -> tuple[int, ...]:
        return tuple(self.shapes[self.their_name(name)])

    def load(self, name: str) -> np.ndarray:
        try:
            return self.checkpoint.get_tensor(self.their_name(name))
        except (tf.errors.OpError, ValueError, RuntimeError) as error:
            raise self.broken(error) from None

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

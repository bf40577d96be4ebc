"""Preprocessing by a SavedModel's own graph: the one place where code that came as a file is run, and only on demand.

TensorFlow's graphs can read and write files; nothing that was given as an encoder comes here.
"""

from __future__ import annotations

import functools
import hashlib
import warnings
from pathlib import Path

import tensorflow as tf

from bertglue.data.token_ids import read_vocabulary
from bertglue.errors import InputError, one_line
from bertglue.models.encoder_places import find_folder
from bertglue.models.preprocessor import Preprocessor
from bertglue.models.tfhub import SAVEDMODEL_FILE, Checkpoint


class SavedModelPreprocessor(Preprocessor):
    """Preprocess with the published functions of a SavedModel: its `tokenize` and its `bert_pack_inputs`."""

    def __init__(self, folder: Path, vocabulary: list[str], seq_length: int):
        self.model, lower_case = run_graph(folder)
        self.graph = hashlib.sha256((folder / SAVEDMODEL_FILE).read_bytes()).hexdigest()
        super().__init__(vocabulary, seq_length, lower_case=lower_case)

    def tokenize(self, texts) -> tf.RaggedTensor:
        return self.model.tokenize(tf.convert_to_tensor(texts)).merge_dims(1, -1)

    def pack(self, segments) -> tuple[tf.RaggedTensor, tf.RaggedTensor]:
        tokens = [self.model.tokenize(tf.convert_to_tensor(segment)) for segment in segments]
        inputs = self.model.bert_pack_inputs(tokens, tf.constant(self.seq_length))
        lengths = tf.reduce_sum(inputs["input_mask"], axis=1)
        return tuple(tf.RaggedTensor.from_tensor(inputs[key], lengths) for key in ("input_word_ids", "input_type_ids"))

    @functools.cached_property
    def fingerprint(self) -> str:
        """Identify the graph too: another one may make other ids of the same vocabulary."""
        return hashlib.sha256(f"{super().fingerprint} {self.graph}".encode()).hexdigest()


def load_trusted_preprocessor(source: str, seq_length: int) -> SavedModelPreprocessor:
    """Load a preprocessing SavedModel (folder, `.tar.gz` or address) and print that its graph is trusted and run."""
    checkpoint = Checkpoint(find_folder(source).folder)
    if not checkpoint.preprocessing:
        raise InputError(
            f"preprocessor is {source}, which has no tokenize and bert_pack_inputs; give a preprocessing SavedModel of "
            "TF Hub, or None to take the vocabulary of the encoder"
        )
    vocabulary = read_vocabulary(checkpoint.vocabulary)
    print(f"preprocessor is {source}: its graph is trusted, and run; it can read and write files", flush=True)
    return SavedModelPreprocessor(checkpoint.folder, vocabulary, seq_length)


def run_graph(folder: Path) -> tuple:
    """Load a SavedModel with its functions, on the host, and ask whether it lower-cases."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # tensorflow-hub 0.16 still asks setuptools for a version, which warns
        import tensorflow_hub as hub
    with tf.device("/CPU:0"):
        try:
            model = hub.load(str(folder))
            upper, lower = model.tokenize(tf.constant(["A", "a"])).merge_dims(1, -1).to_list()
        except Exception as error:  # whatever the graph raised
            raise InputError(f"{folder} cannot be loaded ({one_line(error)}); fetch it again") from None
    return model, upper == lower

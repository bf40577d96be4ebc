"""Published BERT SavedModels of TF Hub: their weights copied by name into the native encoder.

The weights are read from the SavedModel's checkpoint, tensor by tensor; its graph is not loaded and nothing in it runs.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2, trackable_object_graph_pb2

from bertglue.data.token_ids import read_vocabulary
from bertglue.errors import InputError, one_line
from bertglue.models.bert import EncoderConfig
from bertglue.models.bert_names import rename
from bertglue.models.encoder_source import EncoderSource, Tokenization, some

SAVEDMODEL_FILE = "saved_model.pb"
# names in TF Hub's BERT SavedModels -> names of the native encoder's weights
WEIGHT_RENAMES = (
    (r"^transformer/layer_(\d+)/", r"layer_\1_"),
    (r"^embeddings/layer_norm/", "embeddings_layer_norm/"),
)
SUPPORTED_ENCODERS = (
    "BERT-base, BERT-large, the small BERTs and the BERT experts of TF Hub (version 3 or later) are supported"
)


class SavedModelEncoder(EncoderSource):
    """A SavedModel of TF Hub; of a preprocessing model it gives the vocabulary alone."""

    def __init__(self, folder: Path, place: str, revision: str | None = None):
        super().__init__(folder, place, revision)
        self.checkpoint = Checkpoint(folder)

    @functools.cached_property
    def keys(self) -> dict[str, str]:
        """The keys in the checkpoint of the encoder's weights, by the native encoder's names."""
        # `variables/N` are the encoder's own; `mlm/...`, the head it was pre-trained with, is not copied
        return {
            rename(attribute.full_name, WEIGHT_RENAMES): attribute.checkpoint_key
            for attribute in self.checkpoint.attributes
            if re.match(r"variables/\d+/", attribute.checkpoint_key)
            and self.checkpoint.shapes[attribute.checkpoint_key]  # scalars count steps
        }

    @functools.cached_property
    def config(self) -> EncoderConfig:
        return read_config(self)

    @property
    def tokenization(self) -> Tokenization:
        return Tokenization(read_vocabulary(self.checkpoint.vocabulary), lower_case=self.checkpoint.lower_case)

    def shape(self, name: str) -> tuple[int, ...] | None:
        return tuple(self.checkpoint.shapes[self.keys[name]]) if name in self.keys else None

    def read(self, name: str, shape: tuple[int, ...]) -> np.ndarray:
        if self.shape(name) != shape:
            raise self.unlike(difference(self.keys, name))
        return self.checkpoint.read(self.keys[name])

    def remarks(self, names: set[str]) -> list[str]:
        if missing := sorted(names - self.keys.keys()):
            raise self.unlike(difference(self.keys, missing[0]))
        if left := sorted(self.keys.keys() - names):
            raise self.unlike(f"it has weights that BERT lacks, {some(left)}")
        return []

    def unlike(self, why: str) -> InputError:
        return InputError(f"{self.place} is not supported: {why}; {SUPPORTED_ENCODERS}")


class Checkpoint:
    """What a SavedModel says of itself: variables, names of what hangs on its root, and operations; nothing is run."""

    def __init__(self, folder: Path):
        self.folder = folder
        if not (folder / SAVEDMODEL_FILE).is_file():
            raise InputError(f"{folder} is no SavedModel: it holds no {SAVEDMODEL_FILE}; give the folder that does")
        try:
            self.reader = tf.train.load_checkpoint(str(folder / "variables" / "variables"))
            self.shapes = self.reader.get_variable_to_shape_map()
            graph = trackable_object_graph_pb2.TrackableObjectGraph.FromString(
                self.reader.get_tensor("_CHECKPOINTABLE_OBJECT_GRAPH")
            )
            self.children = {child.local_name for child in graph.nodes[0].children}
        except Exception as error:  # TensorFlow and protobuf raise many kinds for a broken file
            raise self.broken("variables", error) from None
        self.attributes = [
            attribute
            for node in graph.nodes
            for attribute in node.attributes
            if attribute.checkpoint_key in self.shapes
        ]

    @property
    def preprocessing(self) -> bool:
        """Whether this is a preprocessing model, not an encoder."""
        return {"tokenize", "bert_pack_inputs"} <= self.children

    @property
    def vocabulary(self) -> Path:
        return self.folder / "assets" / "vocab.txt"

    @property
    def lower_case(self) -> bool:
        """Whether text is lower-cased: an encoder states it, of a preprocessing model the operations tell."""
        if key := next((key for key in self.shapes if key.startswith("do_lower_case/")), None):
            return bool(np.all(self.read(key)))
        return not self.preprocessing or "CaseFoldUTF8" in self.operations()

    def operations(self) -> set[str]:
        """Return the operations that its graph and its functions are made of, read as data."""
        try:
            model = saved_model_pb2.SavedModel.FromString((self.folder / SAVEDMODEL_FILE).read_bytes())
            if not model.meta_graphs:
                raise ValueError("it holds no graph")
        except Exception as error:  # protobuf's own kinds, or the disk's
            raise self.broken(SAVEDMODEL_FILE, error) from None
        graphs = [graph.graph_def for graph in model.meta_graphs]
        functions = [function for graph in graphs for function in graph.library.function]
        parts = [*(graph.node for graph in graphs), *(function.node_def for function in functions)]
        return {node.op for nodes in parts for node in nodes}

    def read(self, key: str) -> np.ndarray:
        try:
            return self.reader.get_tensor(key)
        except Exception as error:
            raise self.broken("variables", error) from None

    def broken(self, part: str, error: Exception) -> InputError:
        return InputError(f"{self.folder}/{part} is cut short or damaged ({one_line(error)}); fetch it again")


def read_config(weights: SavedModelEncoder) -> EncoderConfig:
    """Read the sizes of an encoder off the shapes of its weights."""
    needed = {
        "word": "word_embeddings/embeddings",
        "position": "position_embedding/embeddings",
        "type": "type_embeddings/embeddings",
        "query": "layer_0_self_attention/query/kernel",
        "inner": "layer_0_intermediate/kernel",
    }
    shapes = {key: weights.shape(name) for key, name in needed.items()}
    for key, name in needed.items():
        if shapes[key] is None or len(shapes[key]) != (3 if key == "query" else 2):
            raise weights.unlike(difference(weights.keys, name))
    queries = []
    while shape := weights.shape(f"layer_{len(queries)}_self_attention/query/kernel"):
        queries.append(shape[1])
    return EncoderConfig(
        vocabulary_size=shapes["word"][0],
        hidden_size=shapes["query"][0],
        intermediate_size=shapes["inner"][1],
        heads=tuple(queries),
        head_size=shapes["query"][2],
        max_positions=shapes["position"][0],
        type_vocabulary_size=shapes["type"][0],
    )


def difference(names: Iterable[str], missing: str) -> str:
    """Describe how an encoder differs from BERT, given its weights and one that BERT needs."""
    names = set(names)

    def has(part: str) -> bool:
        return any(part in name for name in names)

    if not names:
        return "it has no weights (a preprocessing model?)"
    if has("embedding_projection"):
        return (
            "ELECTRA's small models have embeddings narrower than their layers"
            if has("layer_1_")
            else "ALBERT shares one layer's weights among all and has narrow embeddings"
        )
    if has("bert_model/"):
        return "it is an older version of a TF Hub BERT, with other names"
    if has("word_embeddings/embeddings") and not has("pooler"):
        return "it has no pooler (ELECTRA has none)"
    if has("word_embeddings/embeddings"):
        return f"its weight {missing} is missing or has another shape"
    return f"it is another model than BERT, with weights such as {some(sorted(names))}"

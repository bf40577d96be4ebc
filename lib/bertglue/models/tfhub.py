"""Published BERT SavedModels of TF Hub: found, unpacked, and their weights copied by name into the native encoder.

The weights are read from the SavedModel's checkpoint, tensor by tensor; its graph is not loaded and nothing in it runs.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import tarfile
import tempfile
import warnings
from collections.abc import Iterable
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import trackable_object_graph_pb2

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # tensorflow-hub 0.16 still asks setuptools for a version, which warns
    import tensorflow_hub as hub
    from tensorflow_hub import resolver

from bertglue.errors import InputError, one_line
from bertglue.models.bert import EncoderConfig, build_encoder

HUB_SITES = ("tfhub.dev/", "kaggle.com/models/", "www.kaggle.com/models/")
ARCHIVE_SUFFIXES = (".tar", ".tar.gz", ".tgz")

# names in TF Hub's BERT SavedModels -> names of the native encoder's weights
WEIGHT_RENAMES = (
    (r"^transformer/layer_(\d+)/", r"layer_\1_"),
    (r"^embeddings/layer_norm/", "embeddings_layer_norm/"),
)
SUPPORTED_ENCODERS = (
    "BERT-base, BERT-large, the small BERTs and the BERT experts of TF Hub (version 3 or later) are supported"
)


def resolve(handle: str) -> Path:
    """Find the folder of a SavedModel: a folder as it is, a tar unpacked, an address through TF Hub's resolver.

    What is unpacked or downloaded is kept under `TFHUB_CACHE_DIR`.
    """
    path = Path(handle).expanduser()
    if path.is_dir():
        return path
    if path.is_file() and path.name.endswith(ARCHIVE_SUFFIXES):
        return unpack(path)
    if handle.startswith(HUB_SITES):
        handle = f"https://{handle}"
    if "://" not in handle:
        raise InputError(
            f"{handle!r} is no SavedModel folder, no .tar.gz of one, and no address; give one of these, or `bundled`"
        )
    try:
        return Path(hub.resolve(handle))
    except Exception as error:  # whatever the network raised
        raise InputError(
            f"{handle} could not be fetched ({type(error).__name__}: {one_line(error)}); "
            "go online once, or fetch its tar.gz elsewhere and give that file"
        ) from error


def unpack(path: Path) -> Path:
    """Unpack a tar into TF Hub's cache, once; the folder appears whole or not at all."""
    state = path.stat()
    key = hashlib.sha1(f"{path.resolve()} {state.st_size} {state.st_mtime_ns}".encode()).hexdigest()
    folder = Path(resolver.tfhub_cache_dir(use_temp=True)) / key
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=key, suffix=".partial", dir=folder.parent))
        try:
            with tarfile.open(path) as archive:
                archive.extractall(partial, filter="data")  # nothing lands outside, no links out, no devices
            partial.rename(folder)
        except (tarfile.TarError, EOFError, OSError, ValueError) as error:
            if not folder.exists():  # another run may have been faster
                raise InputError(f"{path} could not be unpacked ({one_line(error)}); fetch it again") from None
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    inside = [found.parent for found in folder.glob("*/saved_model.pb")]
    return inside[0] if len(inside) == 1 else folder  # some archives hold the folder itself


def load_savedmodel_encoder(handle: str, dropout: float = 0.1) -> keras.Model:
    """Build the native encoder with the weights of a TF Hub BERT SavedModel."""
    weights = Weights(resolve(handle))
    config = read_config(weights, dropout)
    encoder = build_encoder(config)
    left = set(weights.keys)
    for variable in encoder.trainable_variables:
        name = variable.path.removeprefix("encoder/")
        if weights.shape(name) != tuple(variable.shape):
            raise InputError(f"{handle} is not supported: {difference(weights.keys, name)}; {SUPPORTED_ENCODERS}")
        variable.assign(weights.read(name))
        left.remove(name)
    if left:
        raise InputError(
            f"{handle} is not supported: it has weights that BERT lacks, {some(left)}; {SUPPORTED_ENCODERS}"
        )
    return encoder


class Checkpoint:
    """The variables of a SavedModel and the names of what hangs on its root, read without loading its graph."""

    def __init__(self, folder: Path):
        self.folder = folder
        if not (folder / "saved_model.pb").is_file():
            raise InputError(f"{folder} is no SavedModel: it holds no saved_model.pb; give the folder that does")
        try:
            self.reader = tf.train.load_checkpoint(str(folder / "variables" / "variables"))
            self.shapes = self.reader.get_variable_to_shape_map()
            graph = trackable_object_graph_pb2.TrackableObjectGraph.FromString(
                self.reader.get_tensor("_CHECKPOINTABLE_OBJECT_GRAPH")
            )
        except Exception as error:  # TensorFlow and protobuf raise many kinds for a broken file
            raise self.broken(error) from None
        self.children = {child.local_name for child in graph.nodes[0].children}
        self.attributes = [attribute for node in graph.nodes for attribute in node.attributes]

    @property
    def preprocessing(self) -> bool:
        """Whether this is a preprocessing model, not an encoder."""
        return {"tokenize", "bert_pack_inputs"} <= self.children

    @property
    def vocabulary(self) -> Path:
        return self.folder / "assets" / "vocab.txt"

    @property
    def lower_case(self) -> bool:
        """Whether the encoder reads lower-cased text, as its SavedModel states."""
        key = next((key for key in self.shapes if key.startswith("do_lower_case/")), None)
        return bool(self.read(key)) if key else True

    def read(self, key: str) -> np.ndarray:
        try:
            return self.reader.get_tensor(key)
        except Exception as error:
            raise self.broken(error) from None

    def broken(self, error: Exception) -> InputError:
        return InputError(f"{self.folder}/variables is cut short or damaged ({one_line(error)}); fetch it again")


class Weights:
    """The weights of an encoder under the native encoder's names, read one at a time."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.checkpoint = Checkpoint(folder)
        # `variables/N` are the encoder's own; `mlm/...`, the head it was pre-trained with, is not copied
        self.keys = {
            rename(attribute.full_name): attribute.checkpoint_key
            for attribute in self.checkpoint.attributes
            if re.match(r"variables/\d+/", attribute.checkpoint_key)
            and self.checkpoint.shapes[attribute.checkpoint_key]  # scalars count steps
        }

    def shape(self, name: str) -> tuple[int, ...] | None:
        return tuple(self.checkpoint.shapes[self.keys[name]]) if name in self.keys else None

    def read(self, name: str) -> np.ndarray:
        return self.checkpoint.read(self.keys[name])


def rename(name: str) -> str:
    for pattern, replacement in WEIGHT_RENAMES:
        name = re.sub(pattern, replacement, name)
    return name


def read_config(weights: Weights, dropout: float) -> EncoderConfig:
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
            raise InputError(
                f"{weights.folder} is not supported: {difference(weights.keys, name)}; {SUPPORTED_ENCODERS}"
            )
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
        dropout=dropout,
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
    return f"it is another model than BERT, with weights such as {some(names)}"


def some(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)[:3])


def load_model(folder: Path):
    """Load a SavedModel with its functions, on the host."""
    with tf.device("/CPU:0"):
        try:
            return hub.load(str(folder))
        except Exception as error:
            raise InputError(f"{folder} cannot be loaded ({one_line(error)}); fetch it again") from None

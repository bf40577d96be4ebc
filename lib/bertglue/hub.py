"""Published BERT SavedModels of TF Hub, their weights copied by name into the native encoder."""

from __future__ import annotations

import re
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
import tensorflow_hub as hub

from bertglue.encoder import EncoderConfig, build_encoder
from bertglue.errors import InputError

# names in TF Hub's BERT SavedModels -> names of the native encoder's weights
RENAMES = (
    (r"^transformer/layer_(\d+)/", r"layer_\1_"),
    (r"^embeddings/layer_norm/", "embeddings_layer_norm/"),
)


def resolve(handle: str) -> Path:
    """Find the folder of a SavedModel: a folder as it is, an address through TF Hub's cache."""
    path = Path(handle).expanduser()
    if path.is_dir():
        return path
    if "://" not in handle:
        raise InputError(f"encoder is {handle!r}; give `embedded`, a SavedModel folder or a TF Hub address")
    try:
        return Path(hub.resolve(handle))
    except Exception as error:  # whatever the network raised
        raise InputError(
            f"encoder {handle} could not be fetched ({type(error).__name__}); go online once, or fetch it "
            "elsewhere and give its folder"
        ) from error


def load_savedmodel_encoder(handle: str, dropout: float = 0.1) -> keras.Model:
    """Build the native encoder with the weights of a TF Hub BERT SavedModel."""
    weights = read_weights(resolve(handle))
    encoder = build_encoder(read_config(weights, handle, dropout))
    for variable in encoder.trainable_variables:
        name = variable.path.removeprefix("encoder/")
        if name not in weights or weights[name].shape != tuple(variable.shape):
            raise InputError(f"{handle} has no weight {name} of shape {tuple(variable.shape)}; not a BERT")
        variable.assign(weights.pop(name))
    if weights:
        raise InputError(f"{handle} has weights that BERT lacks: {', '.join(sorted(weights)[:3])}; not a BERT")
    return encoder


def read_weights(folder: Path) -> dict[str, np.ndarray]:
    """Read the variables of a SavedModel under the native encoder's names."""
    with tf.device("/CPU:0"):
        try:
            model = hub.load(str(folder))
        except (OSError, ValueError, RuntimeError, tf.errors.OpError) as error:
            reason = str(error).splitlines()[0]
            raise InputError(f"{folder} is not a readable SavedModel: {reason}") from None
        weights = {rename(variable.name): variable.numpy() for variable in model.variables}
    return {name: value for name, value in weights.items() if value.ndim}  # scalars count steps


def rename(name: str) -> str:
    name = name.removesuffix(":0")
    for pattern, replacement in RENAMES:
        name = re.sub(pattern, replacement, name)
    return name


def read_config(weights: dict[str, np.ndarray], handle: str, dropout: float) -> EncoderConfig:
    """Read the sizes of an encoder off the shapes of its weights."""
    try:
        vocabulary_size, hidden_size = weights["word_embeddings/embeddings"].shape
        queries = []
        while (name := f"layer_{len(queries)}_self_attention/query/kernel") in weights:
            queries.append(weights[name].shape)
        return EncoderConfig(
            vocabulary_size=vocabulary_size,
            hidden_size=hidden_size,
            intermediate_size=weights["layer_0_intermediate/kernel"].shape[1],
            heads=tuple(shape[1] for shape in queries),
            head_size=queries[0][2],
            max_positions=weights["position_embedding/embeddings"].shape[0],
            type_vocabulary_size=weights["type_embeddings/embeddings"].shape[0],
            dropout=dropout,
        )
    except (KeyError, IndexError, ValueError):
        raise InputError(f"{handle} is not a BERT encoder; BERT-base, the small BERTs and experts are") from None

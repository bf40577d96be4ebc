"""The names of BERT's weights: the native encoder's, Google's and Hugging Face's, which was derived from Google's."""

from __future__ import annotations

import re

POOLER = "pooler_transform/"  # which some encoders were published without

# names of the native encoder's weights -> those of Google's checkpoints
GOOGLE_RENAMES = (
    (r"^(word|position)_embeddings?/embeddings$", r"embeddings/\1_embeddings"),
    (r"^type_embeddings/embeddings$", "embeddings/token_type_embeddings"),
    (r"^embeddings_layer_norm/", "embeddings/LayerNorm/"),
    (r"^layer_(\d+)_self_attention/(query|key|value)/", r"encoder/layer_\1/attention/self/\2/"),
    (r"^layer_(\d+)_self_attention/attention_output/", r"encoder/layer_\1/attention/output/dense/"),
    (r"^layer_(\d+)_self_attention_layer_norm/", r"encoder/layer_\1/attention/output/LayerNorm/"),
    (r"^layer_(\d+)_intermediate/", r"encoder/layer_\1/intermediate/dense/"),
    (r"^layer_(\d+)_output/", r"encoder/layer_\1/output/dense/"),
    (r"^layer_(\d+)_output_layer_norm/", r"encoder/layer_\1/output/LayerNorm/"),
    (rf"^{POOLER}", "pooler/dense/"),
)
# Google's -> Hugging Face's
HUGGINGFACE_RENAMES = (
    (r"/layer_(\d+)/", r"/layer/\1/"),
    (r"_embeddings$", "_embeddings/weight"),
    (r"/(kernel|gamma)$", "/weight"),
    (r"/beta$", "/bias"),
    (r"/", "."),
)


def rename(name: str, renames: tuple[tuple[str, str], ...]) -> str:
    for pattern, replacement in renames:
        name = re.sub(pattern, replacement, name)
    return name


def google_name(native: str) -> str:
    """Return the name that a weight has in Google's checkpoints, below `bert/`.

    Example:
        >>> google_name("layer_3_self_attention/query/kernel")
        'encoder/layer_3/attention/self/query/kernel'
    """
    return rename(native, GOOGLE_RENAMES)


def huggingface_name(native: str) -> str:
    """Return the name that a weight has in Hugging Face's files, below `bert.`.

    Example:
        >>> huggingface_name("layer_3_self_attention/query/kernel")
        'encoder.layer.3.attention.self.query.weight'
    """
    return rename(google_name(native), HUGGINGFACE_RENAMES)


def flat_shape(name: str, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape of a weight where the heads of an attention are not an axis of their own."""
    if "_self_attention/" not in name or len(shape) == 1:
        return shape
    if name.endswith("attention_output/kernel"):
        return (shape[0] * shape[1], shape[2])
    return (*shape[:-2], shape[-2] * shape[-1])

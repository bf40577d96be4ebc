"""What a classifier looks at: attention maps of its heads, and what each token adds to a prediction."""

from __future__ import annotations

import keras
import numpy as np
from keras import ops

from bertglue.models.attention import MultiHeadAttention
from bertglue.models.bert import build_encoder, encoder_config

MASK_TOKEN = "[MASK]"
SPECIAL = ("[CLS]", "[SEP]", "[PAD]")


class AttentionWeights(keras.layers.Layer):
    """The weights [batch, heads, queries, keys] with which a self-attention sums its values."""

    def __init__(self, attention: MultiHeadAttention, **kwargs):
        super().__init__(name=f"{attention.name}_weights", dtype=attention.dtype_policy, **kwargs)
        self.attention = attention

    def call(self, query, attention_mask):
        queries, keys, _ = self.attention.project(query, query)
        return self.attention.weigh(self.attention.score(queries, keys), attention_mask, training=False)


def attention_maps(classifier: keras.Model, preprocessor, text: str | list[str]) -> tuple[list[str], list[np.ndarray]]:
    """Compute with what weights each head attends from each token of a text to each other one.

    Args:
        classifier: of a finished run, or as `build_classifier` returns it.
        preprocessor: as `load_preprocessor` returns it.
        text: a sentence, or a pair of them.

    Returns:
        The tokens, and of each layer that has heads left the weights, float [heads, tokens, tokens]; those of a query
        (the second axis) add up to 1.

    Source:
        Clark et al., 2019, arXiv:1906.04341. Attention is not explanation (Jain and Wallace, 2019, arXiv:1902.10186):
        `token_attributions` asks the prediction itself.
    """
    tokens, inputs = packed(preprocessor, text)
    encoder = whole_encoder(classifier)
    weights = []

    def call(layer, *given, **options):
        if isinstance(layer, MultiHeadAttention):
            weights.append(AttentionWeights(layer)(given[0], options["attention_mask"]))
        return layer(*given, **options)

    copy = keras.models.clone_model(encoder, clone_function=lambda layer: layer, call_function=call)
    found = keras.Model(copy.input, weights)(inputs, training=False)
    return tokens, [ops.convert_to_numpy(ops.cast(layer[0], "float32")) for layer in found]


def whole_encoder(classifier: keras.Model) -> keras.Model:
    """Return a classifier's encoder with all of its outputs; the classifier's own stops where its head reads."""
    encoder = classifier.get_layer("encoder")
    whole = build_encoder(encoder_config(encoder))
    weights = {weight.path.removeprefix("encoder/"): weight for weight in encoder.weights}
    for weight in whole.weights:  # a head that reads a mean leaves the pooler out
        if (path := weight.path.removeprefix("encoder/")) in weights:
            weight.assign(weights[path])
    return whole


def token_attributions(
    classifier: keras.Model, preprocessor, text: str | list[str]
) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Compute by how much each token raises the logits, measured by putting [MASK] in its place.

    Args:
        classifier: of a finished run, or as `build_classifier` returns it.
        preprocessor: as `load_preprocessor` returns it.
        text: a sentence, or a pair of them.

    Returns:
        The tokens, the logits [outputs], and the attributions [tokens, outputs]: the logit with the token less the one
        without it; 0 for [CLS] and [SEP], which stay.

    Source:
        Erasure (Li et al., 2016, arXiv:1612.08220), with BERT's own [MASK] for what is erased.
    """
    tokens, inputs = packed(preprocessor, text)
    at = [index for index, token in enumerate(tokens) if token not in SPECIAL]
    rows = {name: np.repeat(ids, len(at) + 1, axis=0) for name, ids in inputs.items()}
    rows["input_word_ids"][np.arange(1, len(at) + 1), at] = preprocessor.vocabulary.index(MASK_TOKEN)
    logits = ops.convert_to_numpy(classifier(rows, training=False))
    attributions = np.zeros((len(tokens), logits.shape[1]), "float32")
    attributions[at] = logits[0] - logits[1:]
    return tokens, logits[0], attributions


def packed(preprocessor, text: str | list[str]) -> tuple[list[str], dict[str, np.ndarray]]:
    """Pack a text without padding: its tokens, and the encoder's inputs [1, tokens]."""
    segments = [[part] for part in ([text] if isinstance(text, str) else text)]
    inputs = {name: np.asarray(ids) for name, ids in preprocessor(segments).items()}
    used = int(inputs["input_mask"].sum())
    inputs = {name: ids[:, :used].copy() for name, ids in inputs.items()}
    return [preprocessor.vocabulary[i] for i in inputs["input_word_ids"][0]], inputs

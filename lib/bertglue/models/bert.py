"""The BERT encoder (Devlin et al., 2019, arXiv:1810.04805) on Keras layers, for TensorFlow and JAX."""

from __future__ import annotations

from dataclasses import dataclass

import keras
from keras import layers, ops

from bertglue.data.token_ids import ENCODER_INPUTS
from bertglue.errors import InputError
from bertglue.models.attention import MultiHeadAttention
from bertglue.models.fast_layers import ACTIVATIONS, GELU_TANH, Dense, Dropout, LayerNormalization, activation_name


@dataclass(frozen=True)
class EncoderConfig:
    """Sizes of an encoder; `heads` holds one entry a layer, so that single heads can be removed.

    `hidden_act` is the activation of the feed-forward network, one of `fast_layers.ACTIVATIONS`; `layer_norm_eps` the
    epsilon of every layer norm.
    """

    vocabulary_size: int
    hidden_size: int = 768
    intermediate_size: int = 3072
    heads: tuple[int, ...] = (12,) * 12
    head_size: int = 64
    max_positions: int = 512
    type_vocabulary_size: int = 2
    dropout: float = 0.1
    hidden_act: str = GELU_TANH
    layer_norm_eps: float = 1e-12

    def __post_init__(self):
        if self.hidden_act not in ACTIVATIONS:
            raise InputError(f"hidden_act is {self.hidden_act!r}; the activations are {', '.join(ACTIVATIONS)}")
        if not self.heads or min(self.heads) < 0:
            raise InputError(f"heads is {list(self.heads)}; give a count of zero or more for each layer")


@keras.saving.register_keras_serializable("bertglue")
class PositionEmbedding(layers.Layer):
    """Look up the learned vector of each position of [batch, length, hidden]: [1, length, hidden]."""

    def __init__(self, max_positions, embeddings_initializer="uniform", **kwargs):
        super().__init__(**kwargs)
        self.max_positions = max_positions
        self.embeddings_initializer = keras.initializers.get(embeddings_initializer)

    def build(self, shape):
        self.embeddings = self.add_weight(
            shape=(self.max_positions, shape[-1]), initializer=self.embeddings_initializer, name="embeddings"
        )

    def call(self, inputs):
        length = inputs.shape[1] or ops.shape(inputs)[1]
        if isinstance(length, int) and length > self.max_positions:
            raise too_long(length, self.max_positions)
        return self.embeddings[None, :length]

    def compute_output_shape(self, shape):
        return (1, *shape[1:])

    def get_config(self):
        initializer = keras.initializers.serialize(self.embeddings_initializer)
        config = {"max_positions": self.max_positions, "embeddings_initializer": initializer}
        return {**super().get_config(), **config}


@keras.saving.register_keras_serializable("bertglue")
class OutputBias(layers.Layer):
    """Replace a self-attention all of whose heads are pruned; the bias of its output is left."""

    def build(self, shape):
        self.bias = self.add_weight(shape=(shape[-1],), initializer="zeros", name="bias")

    def call(self, inputs):
        return ops.broadcast_to(self.bias, ops.shape(inputs))


def build_encoder(config: EncoderConfig, seed: int = 0) -> keras.Model:
    """Build an encoder with randomly initialized weights.

    Takes a dict of int32 `input_word_ids`, `input_mask`, `input_type_ids` [batch, length] and gives a dict
    `pooled_output` [batch, hidden] and `sequence_output` [batch, length, hidden].
    """
    keras.utils.set_random_seed(seed)
    inputs = {name: keras.Input((None,), dtype="int32", name=name) for name in ENCODER_INPUTS}
    x = embed(config, inputs["input_word_ids"], inputs["input_type_ids"])
    mask = ops.expand_dims(inputs["input_mask"], 1)  # [batch, 1, length]: no query sees a padded key
    for index, heads in enumerate(config.heads):
        x = transformer_layer(config, heads, x, mask, f"layer_{index}")
    pooled = dense(config.hidden_size, "tanh", "pooler_transform")(x[:, 0])
    return keras.Model(inputs, {"pooled_output": pooled, "sequence_output": x}, name="encoder")


def encoder_config(encoder: keras.Model) -> EncoderConfig:
    """Read the sizes of an encoder off its layers; a layer whose heads are all gone has none."""
    named = {layer.name: layer for layer in encoder.layers}
    words, attentions = named["word_embeddings"], [v for k, v in named.items() if k.endswith("_self_attention")]
    sizes = [layer.key_dim for layer in attentions if isinstance(layer, MultiHeadAttention)]
    return EncoderConfig(
        vocabulary_size=words.input_dim,
        hidden_size=words.output_dim,
        intermediate_size=named["layer_0_intermediate"].units,
        heads=tuple(getattr(layer, "num_heads", 0) for layer in attentions),
        head_size=sizes[0] if sizes else EncoderConfig.head_size,
        max_positions=named["position_embedding"].max_positions,
        type_vocabulary_size=named["type_embeddings"].input_dim,
        dropout=next((layer.rate for layer in encoder.layers if isinstance(layer, Dropout)), 0.0),
        hidden_act=activation_name(named["layer_0_intermediate"].activation),
        layer_norm_eps=named["embeddings_layer_norm"].epsilon,
    )


def compute_dtype(model: keras.Model) -> str:
    """Return the type in which the encoder of a model computes; its weights may be of another one."""
    return model.get_layer("encoder").get_layer("word_embeddings").compute_dtype


def check_fit(encoder: keras.Model, preprocessor, segments: int = 1) -> None:
    """Check that a preprocessor and rows of so many segments fit an encoder: vocabulary, positions and token types."""
    rows = encoder.get_layer("word_embeddings").input_dim
    entries = len(preprocessor.vocabulary)
    if entries != rows:
        raise InputError(
            f"the vocabulary has {entries:,} entries and the encoder {rows:,} word embeddings; "
            "take the vocabulary that was published with the encoder"
        )
    positions = encoder.get_layer("position_embedding").max_positions
    if preprocessor.seq_length > positions:
        raise too_long(preprocessor.seq_length, positions)
    types = encoder.get_layer("type_embeddings").input_dim
    if segments > types:
        raise InputError(f"the task has {segments} texts a row, and the encoder knows {types} token type; take another")


def too_long(length: int, positions: int) -> InputError:
    return InputError(f"max_length is {length}, and the encoder has {positions} positions; give {positions} or less")


def embed(config, word_ids, type_ids):
    """Add word, position and type embeddings, normalise and apply dropout: [batch, length, hidden]."""
    word = embedding(config, config.vocabulary_size, "word_embeddings")(word_ids)
    type_ = embedding(config, config.type_vocabulary_size, "type_embeddings")(type_ids)
    position = PositionEmbedding(config.max_positions, initializer(), name="position_embedding")(word)
    x = layers.Add(name="embeddings")([word, position, type_])
    return drop(config.dropout, layer_norm("embeddings_layer_norm", config.layer_norm_eps)(x))


def transformer_layer(config, heads, x, mask, name):
    """Apply self-attention and the feed-forward network, each followed by its residual and layer norm."""
    y = drop(config.dropout, self_attention(config, heads, x, mask, f"{name}_self_attention"))
    x = layer_norm(f"{name}_self_attention_layer_norm", config.layer_norm_eps)(layers.Add()([x, y]))
    y = dense(config.intermediate_size, ACTIVATIONS[config.hidden_act], f"{name}_intermediate")(x)
    y = drop(config.dropout, dense(config.hidden_size, None, f"{name}_output")(y))
    return layer_norm(f"{name}_output_layer_norm", config.layer_norm_eps)(layers.Add()([x, y]))


def self_attention(config, heads, x, mask, name):
    if not heads:
        return OutputBias(name=name)(x)
    return MultiHeadAttention(
        num_heads=heads,
        key_dim=config.head_size,
        output_shape=config.hidden_size,
        dropout=config.dropout,
        kernel_initializer=initializer(),
        name=name,
    )(x, x, attention_mask=mask)


def embedding(config, rows, name):
    return layers.Embedding(rows, config.hidden_size, embeddings_initializer=initializer(), name=name)


def dense(units, activation, name):
    return Dense(units, activation=activation, kernel_initializer=initializer(), name=name)


def layer_norm(name, epsilon=1e-12):
    return LayerNormalization(epsilon=epsilon, name=name)


def drop(rate, x):
    return Dropout(rate)(x) if rate else x


def initializer():
    return keras.initializers.TruncatedNormal(stddev=0.02)

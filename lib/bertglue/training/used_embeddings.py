"""Train without the word embeddings that no training row uses.

Their gradient is zero in every step, so that AdamW only decays them; that is done in one multiplication when the
weights are asked for. A step then moves a fraction of the memory: a task uses a few thousand of 30,522 embeddings.
"""

from __future__ import annotations

import keras
import numpy as np
from keras import layers, ops

from bertglue.data.token_ids import Tokens
from bertglue.training.optimizer import unwrapped

WORD_EMBEDDINGS = "word_embeddings"


class UsedEmbedding(layers.Layer):
    """Look up tokens [batch, length] of a vocabulary in the rows of its embeddings that are in use."""

    def __init__(self, rows: np.ndarray, vocabulary_size: int, size: int, **kwargs):
        super().__init__(**kwargs)
        self.rows, self.vocabulary_size, self.size = rows, vocabulary_size, size

    def build(self, shape):
        self.embeddings = self.add_weight(shape=(len(self.rows), self.size), name="embeddings")
        self.place = self.add_weight(
            shape=(self.vocabulary_size,), initializer="zeros", dtype="int32", trainable=False, name="place"
        )
        place = np.zeros(self.vocabulary_size, "int32")
        place[self.rows] = np.arange(len(self.rows))
        self.place.assign(place)

    def call(self, inputs):
        return ops.cast(ops.take(self.embeddings, ops.take(self.place, inputs), axis=0), self.compute_dtype)


class UsedEmbeddingsModel:
    """A classifier to train, all of its layers shared with the given one but the word embeddings."""

    def __init__(self, classifier: keras.Model, tokens: Tokens):
        self.words = classifier.get_layer("encoder").get_layer(WORD_EMBEDDINGS)
        self.rows = np.unique(np.append(tokens.ids, 0))  # [PAD] is 0
        self.start = ops.convert_to_numpy(self.words.embeddings)
        self.model = keras.models.clone_model(classifier, clone_function=self.share, recursive=True)
        self.used.embeddings.assign(self.start[self.rows])

    def share(self, layer):
        if layer is not self.words:
            return layer
        size = (layer.input_dim, layer.output_dim)
        self.used = UsedEmbedding(self.rows, *size, name=WORD_EMBEDDINGS, dtype=layer.dtype_policy)
        return self.used

    def publish(self) -> None:
        """Bring the classifier's word embeddings to where the training is."""
        optimizer = unwrapped(self.model.optimizer)
        steps = int(ops.convert_to_numpy(optimizer.iterations))
        embeddings = self.start * np.float32(optimizer.decay(steps, self.used.embeddings))
        embeddings[self.rows] = ops.convert_to_numpy(self.used.embeddings)
        self.words.embeddings.assign(embeddings)

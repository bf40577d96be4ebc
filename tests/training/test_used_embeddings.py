"""Training without the word embeddings that no row uses: the same weights as training with all of them."""

import numpy as np
import pytest

from bertglue.data.batches import Batches
from bertglue.data.token_ids import Tokens
from bertglue.models.bert import build_encoder
from bertglue.models.classifier import build_classifier
from bertglue.parameters import Parameters
from bertglue.tasks import TASKS
from bertglue.training.finetune import compile_for_training, fit
from bertglue.training.used_embeddings import WORD_EMBEDDINGS, UsedEmbeddingsModel


@pytest.mark.parametrize("layer_decay", [1.0, 0.5])
def test_all_weights_come_out_as_without_narrowing(tiny_config, layer_decay):
    ids = np.random.default_rng(0).choice([5, 7, 11, 30], 60).astype("int32")
    packed = Tokens(ids, np.arange(13) * 5, np.full(12, 3), 16)
    parameters = Parameters(learning_rate=0.05, weight_decay=0.5, layer_decay=layer_decay)
    weights = []
    for narrow in (False, True):
        classifier = build_classifier(build_encoder(tiny_config, seed=1), 2, dropout=0)
        reduced = UsedEmbeddingsModel(classifier, packed)
        model = reduced.model if narrow else classifier
        compile_for_training(model, TASKS["sst2"], parameters, steps=9)
        fit(model, Batches(packed, ids[::5] % 2, batch_size=4, seed=0), epochs=2)
        if narrow:
            assert reduced.used.embeddings.shape[0] == 5
            reduced.publish()
        weights.append({v.path: v.numpy() for v in classifier.trainable_variables})
    for path, value in weights[0].items():
        np.testing.assert_allclose(weights[1][path], value, rtol=1e-3, atol=1e-5, err_msg=path)
    unused = (
        weights[1][f"{WORD_EMBEDDINGS}/embeddings"][8]
        / build_encoder(tiny_config, seed=1).get_layer(WORD_EMBEDDINGS).embeddings[8]
    )
    rates = np.array([1, 8 / 9, 7 / 9, 6 / 9, 5 / 9, 4 / 9]) * 0.05  # after a warm-up of one step
    factor = layer_decay ** (len(tiny_config.heads) + 1)  # below all layers
    np.testing.assert_allclose(unused, np.prod(1 - 0.5 * factor * rates), rtol=1e-5)

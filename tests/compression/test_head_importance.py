"""Heads removed for good: the outputs of silencing them, smaller arrays, and scores that are true gradients."""

import keras
import numpy as np
import pytest

from bertglue import InputError
from bertglue.compression import head_gates, head_importance
from bertglue.data.batches import Batches
from bertglue.data.dataset import Data, Split
from bertglue.data.token_ids import Tokens
from bertglue.models.bert import encoder_config
from bertglue.models.heads import count_heads, keep_heads, rebuild
from bertglue.parameters import Parameters
from bertglue.tasks import TASKS
from bertglue.training import optimizer
from bertglue.training.finetune import train

LABELS = np.array([0, 1, 1, 0, 1, 0])


@pytest.fixture
def packed():
    lengths = np.array([5, 9, 3, 12, 7, 4])
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    return Tokens(np.arange(offsets[-1], dtype="int32") % 45 + 4, offsets, lengths // 2, 16)


def outputs(classifier, packed):
    return classifier.predict(packed.batch(np.arange(len(packed))), verbose=0)


def silence(classifier, layer, head, scale=0.0):
    kernel = classifier.get_layer("encoder").get_layer(f"layer_{layer}_self_attention")._output_dense.kernel
    value = kernel.numpy().copy()
    value[head] *= scale
    kernel.assign(value)


@pytest.mark.parametrize("kept", [[[0, 1], [1]], [[1], [0]], [[], [0, 1]], [[], []], [[1, 0], [0, 1]]])
def test_without_heads_as_with_their_output_at_zero(classifier, packed, kept):
    smaller = keep_heads(classifier, kept)
    assert count_heads(smaller) == [len(heads) for heads in kept]
    each = 4 * 8 * 4 + 3 * 4  # query, key, value and output of 8 x 4, three biases of 4
    gone = sum(2 - len(heads) for heads in kept)
    assert smaller.count_params() == classifier.count_params() - gone * each
    for layer, heads in enumerate(kept):
        for head in {0, 1} - set(heads):
            silence(classifier, layer, head)
    np.testing.assert_allclose(outputs(smaller, packed), outputs(classifier, packed), atol=1e-6)


def test_a_smaller_one_is_saved_loaded_and_made_smaller_again(classifier, packed, tmp_path):
    smaller = keep_heads(classifier, [[1], [0, 1]])
    smaller.save(tmp_path / "smaller.keras")
    loaded = keras.saving.load_model(tmp_path / "smaller.keras", safe_mode=True)
    np.testing.assert_allclose(outputs(loaded, packed), outputs(smaller, packed), atol=1e-6)
    again = keep_heads(loaded, [[], [1]])
    assert encoder_config(again.get_layer("encoder")).heads == (0, 1)
    direct = keep_heads(classifier, [[], [1]])
    np.testing.assert_allclose(outputs(again, packed), outputs(direct, packed), atol=1e-6)


def test_importance_is_the_gradient_of_a_gate(classifier, packed):
    before = [w.copy() for w in classifier.get_weights()]
    scores = head_importance.MaskedHeads(classifier, TASKS["mrpc"]).importance(Batches(packed, LABELS, batch_size=6))
    for weight, value in zip(classifier.get_weights(), before, strict=True):
        assert np.array_equal(weight, value)

    def loss_with_gate(layer, head, gate):
        classifier.set_weights(before)
        silence(classifier, layer, head, gate)
        logits = outputs(classifier, packed).astype("float64")
        return np.mean(np.log(np.exp(logits).sum(1)) - logits[np.arange(6), LABELS])

    for layer in range(2):
        change = [loss_with_gate(layer, head, 1.01) - loss_with_gate(layer, head, 0.99) for head in range(2)]
        gradient = np.abs(change) / 0.02
        np.testing.assert_allclose(scores[layer], gradient / np.linalg.norm(gradient), rtol=0.02)


def test_magnitude_is_the_norm_of_a_heads_weights(classifier):
    scores = head_importance.head_magnitude(classifier)
    parts = classifier.get_layer("encoder").get_layer("layer_1_self_attention")
    kernels = [part.kernel.numpy()[:, 1] for part in (parts._query_dense, parts._key_dense, parts._value_dense)]
    squares = sum(np.square(kernel).sum() for kernel in [*kernels, parts._output_dense.kernel.numpy()[1]])
    assert scores[1][1] == pytest.approx(squares**0.5)


def test_the_weakest_go_first_wherever_they_are():
    scores = [np.array([0.3, 0.9]), np.array([0.1, 0.2])]
    assert head_importance.drop_lowest(scores, 0) == [[0, 1], [0, 1]]
    assert head_importance.drop_lowest(scores, 3) == [[1], []]
    with pytest.raises(InputError, match="5 heads cannot be removed; the encoder has 4"):
        head_importance.drop_lowest(scores, 5)


@pytest.mark.parametrize(
    ("kept", "message"),
    [
        ([[0]], "heads are given for 1 layers, and the encoder has 2"),
        ([[0, 2], [1]], r"layer 0 has 2, counted from 0; heads \[0, 2\] cannot be kept"),
        ([[0], [1, 1]], r"layer 1 has 2"),
    ],
)
def test_heads_that_are_not_there_are_named(classifier, kept, message):
    with pytest.raises(InputError, match=message):
        keep_heads(classifier, kept)


def test_a_layer_without_heads_has_none_to_keep(classifier):
    with pytest.raises(InputError, match="layer 0 has none left"):
        keep_heads(keep_heads(classifier, [[], [0]]), [[0], [0]])


def test_closed_gates_are_heads_that_are_gone(classifier, packed):
    gated = head_gates.add_gates(classifier, strength=0.1)
    np.testing.assert_allclose(head_gates.settled_gates(gated)[0], 0.957, atol=1e-3)
    for layer, alphas in enumerate(([-9.0, 9.0], [0.3, -9.0])):
        gated.get_layer("encoder").get_layer(f"layer_{layer}_self_attention").gates.log_alpha.assign(alphas)
    assert head_gates.open_heads(gated) == [[1], [0]]
    smaller = rebuild(gated, [range(2), range(2)])
    for layer, gate in enumerate(head_gates.settled_gates(gated)):
        output = smaller.get_layer("encoder").get_layer(f"layer_{layer}_self_attention")._output_dense.kernel
        output.assign(np.array(output) * gate[:, None, None])  # half-open gates scale what is left
    smaller = keep_heads(smaller, head_gates.open_heads(gated))
    assert count_heads(smaller) == [1, 1]
    np.testing.assert_allclose(outputs(smaller, packed), outputs(gated, packed), atol=1e-6)


def test_a_strong_penalty_closes_gates_and_none_leaves_them(classifier, packed, tmp_path, monkeypatch):
    def factors(paths, layer_decay):  # a selection sets those of its gates by the length of its trials
        return np.where([optimizer.GATE_WEIGHT in path for path in paths], 60.0, 1.0)

    monkeypatch.setattr(optimizer, "layer_factors", factors)
    task = TASKS["mrpc"]
    split = Split(dict.fromkeys(task.columns, [""] * 6), LABELS)
    data = Data(task, "toy", {"train": split, "validation": split})
    recipe = {"task": "mrpc", "epochs": 30, "batch_size": 6, "learning_rate": 6e-3}
    opened = {}
    for strength in (0.0, 10.0):
        gated = head_gates.add_gates(classifier, strength)
        parameters = Parameters(**recipe, run_dir=str(tmp_path / f"{strength}"))
        train(gated, data, dict.fromkeys(("train", "validation"), packed), parameters)
        opened[strength] = sum(map(len, head_gates.open_heads(gated)))
    assert opened == {0.0: 4, 10.0: 0}

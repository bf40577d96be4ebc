"""The schedule and the optimizer of the report."""

import keras
import numpy as np
import pytest
from other_backend import passes_on_the_other_backend

from bertglue.training import optimizer as optimizers
from bertglue.training.optimizer import WarmupLinearDecay, build_optimizer, layer_factors


def rates(schedule, steps):
    return [float(schedule(step)) for step in range(steps)]


def test_schedule_rises_over_a_tenth_and_falls_to_zero():
    values = rates(WarmupLinearDecay(1.0, steps=100, warmup=10), 101)
    np.testing.assert_allclose(values[:10], np.arange(1, 11) / 10, rtol=1e-6)
    np.testing.assert_allclose(np.diff(values[10:]), -1 / 91, rtol=1e-3)
    assert values[100] == 0 < values[99]


def test_schedule_without_warmup_starts_at_the_peak():
    assert rates(WarmupLinearDecay(1.0, steps=4, warmup=0), 4)[0] == 1


def test_layer_norms_and_biases_are_not_decayed():
    inputs = keras.Input((4,))
    x = keras.layers.Dense(4, name="dense")(inputs)
    model = keras.Model(inputs, keras.layers.LayerNormalization(name="some_layer_norm")(x))
    for variable in model.trainable_variables:
        variable.assign(np.ones(variable.shape))
    optimizer = build_optimizer(0.1, steps=1, weight_decay=0.5)
    zeros = [np.zeros(v.shape, "float32") for v in model.trainable_variables]
    optimizer.apply(keras.tree.map_structure(keras.ops.convert_to_tensor, zeros), model.trainable_variables)
    moved = {v.path for v in model.trainable_variables if not np.allclose(v, 1)}
    assert moved == {"dense/kernel"}


def adamw(weights, gradients, rates, *, decayed, clip=1.0, corrected=True):
    """Compute AdamW over several gradients in double precision, as Loshchilov and Hutter (2019) write it.

    Without the correction of the bias, as BERT's code has it.
    """
    m, v = np.zeros_like(weights), np.zeros_like(weights)
    for step, (gradient, rate) in enumerate(zip(gradients, rates, strict=True), 1):
        gradient = gradient * min(1, clip / np.linalg.norm(gradient))
        m, v = 0.9 * m + 0.1 * gradient, 0.999 * v + 0.001 * gradient**2
        weights = weights - rate * decayed * weights
        corrected_m, corrected_v = (m / (1 - 0.9**step), v / (1 - 0.999**step)) if corrected else (m, v)
        weights = weights - rate * corrected_m / (np.sqrt(corrected_v) + 1e-6)
    return weights


@pytest.mark.parametrize("corrected", [True, False])
@pytest.mark.parametrize("scale", [0.1, 10])
def test_a_token_that_occurs_twice_has_one_gradient(scale, corrected):
    """Keras on TensorFlow squares, and clips, the gradient of each occurrence by itself."""
    layer = keras.layers.Embedding(4, 3)
    layer.build()
    start = np.random.default_rng(0).normal(size=(4, 3))
    layer.embeddings.assign(start)
    model = keras.Sequential([keras.Input((3,), dtype="int32"), layer])
    target = scale * np.arange(9.0).reshape(1, 3, 3)
    optimizer = build_optimizer(0.1, steps=4, warmup_fraction=0, weight_decay=0.5, bias_correction=corrected)
    model.compile(optimizer, lambda wanted, given: keras.ops.sum(wanted * given))
    tokens = np.array([[2, 0, 2]])
    for _ in range(2):
        model.train_on_batch(tokens, target)
    gradient = np.zeros((4, 3))
    np.add.at(gradient, tokens[0], target[0])
    expected = adamw(start, [gradient] * 2, [0.1, 0.075], decayed=0.5, corrected=corrected)
    np.testing.assert_allclose(layer.embeddings, expected, atol=1e-5 if corrected else 5e-5)  # 1 - 0.999 in float32


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="slices are TensorFlow's")
def test_slices_of_a_gradient_are_clipped_as_their_sum():
    """Two occurrences of a token whose gradients nearly cancel: their sum is not clipped, one by one they would be."""
    import tensorflow as tf

    variable = keras.Variable(np.zeros((3, 1), "float32"))
    optimizer = build_optimizer(0.1, steps=1)
    optimizer.build([variable])
    slices = tf.IndexedSlices(tf.constant([[8.0], [-7.5]]), tf.constant([1, 1]), tf.constant([3, 1]))
    optimizer.apply([slices], [variable])
    np.testing.assert_allclose(optimizer._momentums[0].numpy(), [[0], [0.05], [0]], rtol=1e-5)


FACTORS = {"word_embeddings": 1 / 8, "embeddings_layer_norm": 1 / 8, "layer_0_output": 1 / 4, "layer_1_output": 1 / 2,
           "pooler_transform": 1, "head": 1}  # fmt: skip


def layered_model():
    """A model with the names of an encoder's layers."""
    inputs = keras.Input((4,), dtype="int32")
    x = keras.layers.Embedding(6, 3, name="word_embeddings")(inputs)
    x = keras.layers.LayerNormalization(name="embeddings_layer_norm")(x)
    for name in list(FACTORS)[2:]:
        x = keras.layers.Dense(3, name=name)(x)
    return keras.Model(inputs, x)


@pytest.mark.parametrize("fast", [True, False])
@pytest.mark.parametrize("corrected", [True, False])
def test_each_layer_learns_and_decays_at_its_own_rate(monkeypatch, fast, corrected):
    if not fast:
        monkeypatch.setattr(optimizers, "on_one_cpu", lambda: False)
    rng, model = np.random.default_rng(0), layered_model()
    optimizer = build_optimizer(
        0.1, steps=4, warmup_fraction=0, weight_decay=0.5, bias_correction=corrected, layer_decay=0.5
    )
    variables = model.trainable_variables
    start = {v.path: rng.normal(size=v.shape) for v in variables}
    steps = [{path: rng.normal(scale=0.02, size=value.shape) for path, value in start.items()} for _ in range(3)]
    for variable in variables:
        variable.assign(start[variable.path])
    for gradients in steps:
        optimizer.apply([keras.ops.convert_to_tensor(gradients[v.path], "float32") for v in variables], variables)
    for variable in variables:
        path = variable.path
        rates = np.array([0.1, 0.075, 0.05]) * FACTORS[path.split("/")[0]]
        decayed = 0 if "layer_norm" in path or path.endswith("bias") else 0.5
        expected = adamw(start[path], [step[path] for step in steps], rates, decayed=decayed, corrected=corrected)
        np.testing.assert_allclose(variable, expected, atol=1e-5 if corrected else 5e-5, err_msg=path)


def test_factors_by_depth_and_by_name():
    paths = ["encoder/word_embeddings/embeddings", "encoder/layer_0_self_attention/query/kernel",
             "layer_11_output_layer_norm/gamma", "pooler_transform/kernel", "head/bias"]  # fmt: skip
    np.testing.assert_allclose(layer_factors(paths, 0.9), [0.9**13, 0.9**12, 0.9, 1, 1])
    assert layer_factors(paths, 1.0).tolist() == [1] * 5  # exactly, so that nothing is multiplied
    optimizer = build_optimizer(0.1, steps=4, layer_decay=0.5)
    variables = layered_model().trainable_variables
    optimizer.build(variables)
    optimizer.set_factor("head/", 3.0)
    assert {optimizer.factor(v) for v in variables if "head" in v.path} == {3}
    assert {optimizer.factor(v) for v in variables if "layer_1" in v.path} == {0.5}


def test_the_other_backend_does_the_same(tmp_path):
    passes_on_the_other_backend(__file__, "not backend", tmp_path, count=13)


def test_the_first_update_is_that_of_the_guide():
    """`book/guides/bert_in_sixty_lines.md` does it by hand: w = 1, g = 0.2, a = 0.1, d = 0.01."""
    weight = keras.Variable([1.0], name="kernel")
    optimizer = optimizers.AdamW(learning_rate=0.1, weight_decay=0.01, epsilon=1e-6, global_clipnorm=None)
    optimizer.build([weight])
    optimizer.apply([keras.ops.convert_to_tensor([0.2])])
    assert float(weight.value[0]) == pytest.approx(0.899, abs=1e-5)

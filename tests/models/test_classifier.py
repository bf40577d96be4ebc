"""The classifier: a linear layer on the pooled output, with dropout in training alone."""

import keras
import numpy as np
import pytest

from bertglue.errors import InputError
from bertglue.models.attention import MultiHeadAttention
from bertglue.models.bert import EncoderConfig, build_encoder
from bertglue.models.classifier import build_classifier


def inputs(rows=4, length=6, seed=0):
    rng = np.random.default_rng(seed)
    ids = rng.integers(4, 50, (rows, length)).astype("int32")
    return {"input_word_ids": ids, "input_mask": np.ones_like(ids), "input_type_ids": ids % 2}


def whole_encoder(heads=(2, 2)):
    return build_encoder(EncoderConfig(50, 8, 16, heads, 4, 16, dropout=0.0), seed=1)


def test_the_head_reads_the_pooled_output():
    encoder = whole_encoder()
    classifier, outputs = build_classifier(encoder, 3), encoder(inputs())
    kernel, bias = (np.array(v) for v in classifier.get_layer("head").weights)
    logits = np.array(classifier(inputs(), training=False))
    np.testing.assert_allclose(logits, np.array(outputs["pooled_output"]) @ kernel + bias, atol=1e-5)
    raw = np.array(outputs["sequence_output"])[:, 0] @ kernel + bias
    assert np.abs(logits - raw).max() > 0.01  # not the first vector as it is
    dense, first = encoder.get_layer("pooler_transform"), outputs["sequence_output"][:, 0]
    np.testing.assert_allclose(outputs["pooled_output"], np.tanh(first @ dense.kernel + dense.bias), atol=1e-5)


@pytest.mark.parametrize("heads", [(2, 2), (2,), (2, 0), (0, 2)], ids=str)
def test_the_last_layer_is_computed_for_cls_alone_and_nothing_learned_is_changed(heads):
    encoder = whole_encoder(heads)
    classifier = build_classifier(encoder, 3, dropout=0.0)
    head = classifier.get_layer("head")
    whole = keras.Model(encoder.input, head(encoder(encoder.input)["pooled_output"]))
    last = [layer for layer in classifier.get_layer("encoder").layers if layer.name.endswith("_output_layer_norm")][-1]
    shapes, call = [], last.call
    last.call = lambda x: (shapes.append(x.shape), call(x))[1]
    classifier(inputs())
    assert shapes == [(4, 1, 8)]
    found, wanted = classifier(inputs(), training=False), whole(inputs(), training=False)
    np.testing.assert_allclose(found, wanted, atol=1e-6)
    trained = []
    for model in (whole, classifier):
        start = model.get_weights()
        model.compile(keras.optimizers.SGD(0.1), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        model.fit(inputs(), np.array([0, 1, 2, 0]), epochs=3, verbose=0)
        trained.append([np.array(v) for v in (*encoder.trainable_variables, *head.trainable_variables)])
        model.set_weights(start)
    for one, other in zip(*trained, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="the products are those of TensorFlow's kernels")
def test_no_batch_of_matrix_products_has_a_row_or_a_column_alone():
    """Those, new with the last layer for [CLS] alone, are suspected of corrupting the heap on AVX-512 in oneDNN."""
    import tensorflow as tf

    classifier = build_classifier(whole_encoder(), 3)

    @tf.function
    def gradients():
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(classifier(inputs(), training=True) ** 2)
        return tape.gradient(loss, classifier.trainable_variables)

    operations = gradients.get_concrete_function().graph.get_operations()
    products = [op for op in operations if op.type in ("BatchMatMulV2", "Einsum")]
    assert len(products) == 6  # of the first layer: scores and contexts, with two gradients each
    assert all(1 not in operand.shape for op in products for operand in (*op.inputs, *op.outputs))


def test_an_encoder_without_the_output_that_is_pooled_is_refused():
    of_cls = build_classifier(whole_encoder(), 3).get_layer("encoder")
    with pytest.raises(InputError, match="the encoder has no sequence_output, .* give one that load_encoder returns"):
        build_classifier(of_cls, 3, pooling="mean")
    again = build_classifier(of_cls, 3)
    assert again(inputs()).shape == (4, 3)


def test_dropout_is_where_it_was_asked_for_and_in_training_alone(tiny_config):
    encoder = build_encoder(EncoderConfig(50, 8, 16, (2, 2), 4, 16, dropout=0.0))
    classifier = build_classifier(encoder, 3, dropout=0.5)
    assert classifier.get_layer("pooled_dropout").rate == 0.5
    assert np.array_equal(encoder(inputs(), training=True)["pooled_output"], encoder(inputs())["pooled_output"])
    drawn = [np.array(classifier(inputs(), training=True)) for _ in range(2)]
    assert not np.array_equal(*drawn)
    assert np.array_equal(*[np.array(classifier(inputs(), training=False)) for _ in range(2)])
    rates = {layer.rate for layer in build_encoder(EncoderConfig(50, 8, 16, (2,), 4, 16, dropout=0.25)).layers
             if isinstance(layer, keras.layers.Dropout)}  # fmt: skip
    assert rates == {0.25}


def test_attention_drops_weights_in_training_and_keeps_their_mean():
    x = np.random.default_rng(0).normal(size=(2, 5, 8)).astype("float32")
    with_dropout = MultiHeadAttention(num_heads=2, key_dim=4, output_shape=8, dropout=0.5, seed=1)
    settled = np.array(with_dropout(x, x, training=False))
    drawn = np.array([with_dropout(x, x, training=True) for _ in range(400)])
    assert not np.array_equal(drawn[0], drawn[1])
    np.testing.assert_allclose(drawn.mean(axis=0), settled, atol=0.25)
    without = MultiHeadAttention(num_heads=2, key_dim=4, output_shape=8, dropout=0.0)
    without.build(x.shape, x.shape)
    without.set_weights(with_dropout.get_weights()[: len(without.get_weights())])
    np.testing.assert_allclose(without(x, x, training=True), settled, atol=1e-6)


def test_attention_is_that_of_keras():
    x = np.random.default_rng(1).normal(size=(2, 5, 8)).astype("float32")
    mask = np.array([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]])[:, None]
    ours = MultiHeadAttention(num_heads=2, key_dim=4, output_shape=8)
    found = np.array(ours(x, x, attention_mask=mask))
    keras_own = keras.layers.MultiHeadAttention(num_heads=2, key_dim=4, output_shape=8)
    keras_own.build(x.shape, x.shape)
    keras_own.set_weights(ours.get_weights())
    np.testing.assert_allclose(found, keras_own(x, x, attention_mask=mask.astype(bool)), atol=1e-5)

"""The encoder: its contract, its masks, lost heads, and TF Hub's weights."""

from dataclasses import replace

import keras
import numpy as np
import pytest

from bertglue.data.token_ids import ENCODER_INPUTS
from bertglue.errors import InputError
from bertglue.models.bert import build_encoder


def inputs(length=6, padded=2, batch=3, seed=0):
    rng = np.random.default_rng(seed)
    ids = rng.integers(1, 50, (batch, length)).astype("int32")
    mask = np.ones((batch, length), "int32")
    if padded:
        ids[:, -padded:], mask[:, -padded:] = 0, 0
    return dict(zip(ENCODER_INPUTS, (ids, mask, np.zeros_like(ids)), strict=True))


def outputs(encoder, values):
    return {name: keras.ops.convert_to_numpy(value) for name, value in encoder(values).items()}


def test_shapes(tiny_config):
    result = outputs(build_encoder(tiny_config), inputs())
    assert {name: value.shape for name, value in result.items()} == {
        "pooled_output": (3, 8),
        "sequence_output": (3, 6, 8),
    }


def test_padding_changes_nothing(tiny_config):
    encoder = build_encoder(tiny_config)
    padded = inputs(length=9, padded=4)
    short = {name: value[:, :5] for name, value in padded.items()}
    np.testing.assert_allclose(
        outputs(encoder, padded)["pooled_output"], outputs(encoder, short)["pooled_output"], atol=1e-6
    )


def test_same_seed_same_weights(tiny_config):
    first, second, other = (build_encoder(tiny_config, seed).get_weights() for seed in (1, 1, 2))
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(first, other, strict=True))


def test_layers_may_differ_in_heads_and_have_none(tiny_config, tmp_path):
    encoder = build_encoder(replace(tiny_config, heads=(1, 0)))
    encoder.save(tmp_path / "encoder.keras")
    loaded = keras.saving.load_model(tmp_path / "encoder.keras", safe_mode=True)
    for name, value in outputs(encoder, inputs()).items():
        np.testing.assert_allclose(outputs(loaded, inputs())[name], value, atol=1e-6)


def test_a_layer_without_heads_is_one_whose_heads_give_nothing(tiny_config):
    full, bare = build_encoder(tiny_config), build_encoder(replace(tiny_config, heads=(2, 0)))
    attention = full.get_layer("layer_1_self_attention")
    attention.output_dense.kernel.assign(np.zeros((2, 4, 8)))
    attention.output_dense.bias.assign(np.arange(8.0))
    weights = {v.path: v for v in full.trainable_variables}
    for variable in bare.trainable_variables:
        source = weights.get(variable.path, attention.output_dense.bias)
        variable.assign(keras.ops.convert_to_numpy(source))
    np.testing.assert_allclose(
        outputs(bare, inputs())["sequence_output"], outputs(full, inputs())["sequence_output"], atol=1e-6
    )


def test_no_layers(tiny_config):
    with pytest.raises(InputError, match="heads is"):
        replace(tiny_config, heads=())

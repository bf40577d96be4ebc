"""Training in float16 with loss scaling, as on a T4: it learns as float32 does, and a step that overflows never was."""

import functools

import keras
import numpy as np
import pytest
from fake_gpus import report_gpu
from other_backend import passes_on_the_other_backend
from small_run import Run

from bertglue import InputError
from bertglue.compression.head_importance import MaskedHeads
from bertglue.compression.head_selection import GatedTraining
from bertglue.data.batches import Batches
from bertglue.devices import auto_precision, select_strategy
from bertglue.environment import configure
from bertglue.models.bert import build_encoder, compute_dtype, layer_norm
from bertglue.models.classifier import build_classifier
from bertglue.models.fast_layers import gelu
from bertglue.parameters import Parameters
from bertglue.runs.record import RESUME_FILE
from bertglue.tasks import TASKS
from bertglue.training import callbacks, optimizer
from bertglue.training.finetune import compile_for_training
from bertglue.training.optimizer import LossScaling, build_optimizer, loss_scale, unwrapped, with_loss_scaling
from bertglue.training.used_embeddings import UsedEmbeddingsModel


@pytest.fixture
def policy():
    before = keras.config.dtype_policy()
    yield keras.config.set_dtype_policy
    keras.config.set_dtype_policy(before)


@pytest.fixture
def float16(policy):
    policy("mixed_float16")


def one_length(folder, config, **changes):
    """A small run whose batches have one length, so that JAX compiles each step once."""
    return Run(folder, config, **{"bucketing": False, **changes})


def numpy(value):
    return np.array(keras.ops.convert_to_numpy(value))


# ---------------------------------------------------------------- chosen


@pytest.mark.parametrize(
    ("capability", "precision"),
    [((6, 1), "float32"), ((7, 0), "mixed_float16"), ((7, 5), "mixed_float16"), ((8, 0), "mixed_bfloat16"),
     ((10, 0), "mixed_bfloat16")],
)  # fmt: skip
def test_auto_takes_what_the_gpu_multiplies_in(monkeypatch, capability, precision):
    report_gpu(monkeypatch, capability)
    assert auto_precision() == precision


def test_auto_on_a_t4_trains_in_float16(tiny_config, tmp_path, monkeypatch, policy):
    with monkeypatch.context() as patch:
        report_gpu(patch if keras.backend.backend() == "jax" else monkeypatch, (7, 5))
        parameters = Parameters(precision="auto")
        configure(parameters)
        assert str(select_strategy(parameters)) == f"GPU (Tesla T4), {keras.backend.backend()} backend"
    run = one_length(tmp_path, tiny_config, precision="auto", epochs=6)
    history = run.train().history
    assert compute_dtype(run.classifier) == "float16"
    assert history[-1]["train"]["loss"] < 0.9 * history[0]["train"]["loss"]


def test_an_unknown_capability_is_float32(monkeypatch):
    monkeypatch.setattr("bertglue.devices.accelerator", lambda: ("gpu", (0, 0)))
    assert auto_precision() == "float32"
    monkeypatch.setattr("bertglue.devices.accelerator", lambda: ("tpu", (0, 0)))
    assert auto_precision() == "mixed_bfloat16"


# ---------------------------------------------------------------- trained


def test_a_run_ends_where_one_in_float32_does(tiny_config, tmp_path, policy):
    last = {}
    for precision in ("float32", "mixed_float16"):
        policy(precision)
        run = one_length(tmp_path / precision, tiny_config, precision=precision)
        last[precision] = run.train().history[-1]["validation"]
        assert {str(v.dtype) for v in run.classifier.weights} == {"float32"}
    assert last["mixed_float16"]["loss"] == pytest.approx(last["float32"]["loss"], abs=0.02)
    assert last["mixed_float16"]["accuracy"] == pytest.approx(last["float32"]["accuracy"], abs=0.05)


def one_batch(run):
    return Batches(run.tokens["train"], run.data["train"].labels, batch_size=8)[0]


def test_a_step_that_overflows_never_was(tiny_config, tmp_path, float16):
    run = one_length(tmp_path, tiny_config)
    reduced = UsedEmbeddingsModel(run.classifier, run.tokens["train"])
    compile_for_training(reduced.model, TASKS["sst2"], run.parameters, steps=9)
    optimizer = reduced.model.optimizer
    optimizer.dynamic_scale.assign(2.0**40)
    before = [numpy(v) for v in (*run.classifier.trainable_variables, *unwrapped(optimizer).variables)]
    reduced.model.train_on_batch(*one_batch(run))
    reduced.publish()
    after = [numpy(v) for v in (*run.classifier.trainable_variables, *unwrapped(optimizer).variables)]
    for left, right in zip(before, after, strict=True):
        np.testing.assert_array_equal(left, right)
    assert loss_scale(optimizer) == 2.0**39
    optimizer.dynamic_scale.assign(2.0**10)
    reduced.model.train_on_batch(*one_batch(run))
    assert (int(optimizer.iterations), loss_scale(optimizer)) == (1, 2.0**10)
    assert float(optimizer.learning_rate) == unwrapped(optimizer).rates(2)[1]


def apply(optimizer, gradients, variables):
    """Take a step as Keras's trainer does."""
    if keras.backend.backend() == "tensorflow":
        optimizer.apply(gradients, variables)
        return
    values = [[v.value for v in some] for some in (optimizer.variables, variables)]
    new, state = optimizer.stateless_apply(values[0], gradients, values[1])
    for variable, value in zip([*variables, *optimizer.variables], [*new, *state], strict=True):
        variable.assign(value)


@pytest.mark.parametrize("corrected", [True, False])
def test_gradients_are_clipped_after_they_are_unscaled(tiny_config, float16, corrected):
    rng, ends = np.random.default_rng(0), []
    classifier = build_classifier(build_encoder(tiny_config), 2)
    variables = classifier.trainable_variables
    start, gradients = ([rng.normal(size=v.shape).astype("float32") for v in variables] for _ in range(2))
    assert sum((g**2).sum() for g in gradients) > 100  # they are clipped
    for scale in (None, 2.0**15):
        for variable, value in zip(variables, start, strict=True):
            variable.assign(value)
        optimizer = build_optimizer(0.01, 3, bias_correction=corrected, layer_decay=0.5)
        optimizer = with_loss_scaling(optimizer, classifier) if scale else optimizer
        optimizer.build(variables)
        for _ in range(2):
            apply(optimizer, [keras.ops.convert_to_tensor(g * (scale or 1)) for g in gradients], variables)
        ends.append([numpy(v) for v in variables])
    for left, right in zip(*ends, strict=True):
        np.testing.assert_allclose(left, right, rtol=1e-6, atol=1e-7)


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    """Train whole, once for each `keep`: how often a run is saved changes nothing in it."""
    found = {}

    def train(config, keep):
        if keep not in found:
            folder = tmp_path_factory.mktemp("unbroken")
            found[keep] = folder, one_length(folder, config, epochs=2, keep=keep).train()
        return found[keep]

    return train


@pytest.mark.parametrize(("keep", "save_every"), [("last", None), ("best", None), ("last", 3)])
def test_a_killed_run_resumes_to_the_bit_with_the_scale_of_its_loss(
    tiny_config, tmp_path, monkeypatch, float16, unbroken, keep, save_every
):
    recipe = {"epochs": 2, "keep": keep, "save_every": save_every}
    moving = functools.partial(LossScaling, initial_scale=2.0**24, dynamic_growth_steps=4)
    monkeypatch.setattr(optimizer, "LossScaling", moving)  # it overflows, and grows again
    whole, expected = unbroken(tiny_config, keep)
    save = callbacks.EpochRecorder.save

    def save_and_die(self, *place):
        save(self, *place)
        raise KeyboardInterrupt

    broken = one_length(tmp_path / "broken", tiny_config, **recipe)
    monkeypatch.setattr(callbacks.EpochRecorder, "save", save_and_die)
    with pytest.raises(KeyboardInterrupt):
        broken.train()
    scales = []
    monkeypatch.setattr(
        callbacks.EpochRecorder,
        "save",
        lambda self, *place: scales.append(loss_scale(self.model.optimizer)) or save(self, *place),
    )
    assert one_length(tmp_path / "broken", tiny_config, **recipe).train().history == expected.history
    assert len(scales) == (3 if save_every else 1)  # after the one that it died with
    assert 2.0**24 not in scales
    left, right = (np.load(folder / RESUME_FILE) for folder in (whole, tmp_path / "broken"))
    assert left.files == right.files
    for name in set(left.files) - {"about"}:  # which has the seconds
        np.testing.assert_array_equal(left[name], right[name], err_msg=name)


def test_what_is_no_number_says_that_float16_may_be_why(tiny_config, tmp_path, float16):
    run = one_length(tmp_path, tiny_config, precision="auto")
    recorder = callbacks.EpochRecorder(run.data, run.tokens, run.parameters, [], run.classifier, lambda: None)
    compile_for_training(run.classifier, TASKS["sst2"], run.parameters, steps=9)
    recorder.set_model(run.classifier)
    recorder.on_epoch_begin(0)
    with pytest.raises(InputError, match=r"the loss is nan .*; float16 may be why: set precision to float32$"):
        recorder.on_train_batch_end(0, {"running_loss": float("nan")})
    run.classifier.optimizer.dynamic_scale.assign(2.0**-9)
    with pytest.raises(InputError, match=r"gradients overflow even with the loss scaled by 0.00195, epoch 1"):
        recorder.on_epoch_end(0, {"running_loss": 1.0})


# ---------------------------------------------------------------- layers


def with_gradient(function, x):
    if keras.backend.backend() == "jax":
        import jax

        y, back = jax.vjp(function, x)
        return y, back(keras.ops.ones_like(y))[0]
    import tensorflow as tf

    with tf.GradientTape() as tape:
        tape.watch(x)
        y = function(x)
    return y, tape.gradient(y, x)


def test_gelu_and_its_gradient_are_float32s_rounded():
    x = keras.ops.convert_to_tensor([-6e4, -60, 60, 6e4, *np.linspace(-8, 8, 201)], "float16")  # 41 cubed overflows
    for short, wide in zip(with_gradient(gelu, x), with_gradient(gelu, keras.ops.cast(x, "float32")), strict=True):
        assert keras.backend.standardize_dtype(short.dtype) == "float16"
        np.testing.assert_allclose(numpy(short), numpy(wide).astype("float16"), rtol=1e-3, atol=1e-6)


def test_a_layer_norm_keeps_its_epsilon(float16):
    x = keras.ops.convert_to_tensor([[3.0] * 4, [60000.0, 0, 0, 0]], "float16")
    found = numpy(layer_norm("norm")(x))
    np.testing.assert_allclose(found, [[0] * 4, [3**0.5, *[-(3**-0.5)] * 3]], atol=1e-3)


def test_padding_gives_no_infinite_score(tiny_config, policy):
    ids = np.random.default_rng(0).integers(4, 50, (3, 16)).astype("int32")
    mask = (np.arange(16) < np.array([[16], [3], [0]])).astype("int32")  # one row is padding alone
    inputs, outputs = {"input_word_ids": ids, "input_mask": mask, "input_type_ids": 0 * ids}, []
    for precision in ("float32", "mixed_float16"):
        policy(precision)
        encoder = build_encoder(tiny_config, seed=1)
        outputs.append({name: numpy(keras.ops.cast(v, "float32")) for name, v in encoder(inputs).items()})
    for name, wide in outputs[0].items():
        np.testing.assert_allclose(outputs[1][name], wide, atol=0.01, err_msg=name)


# ---------------------------------------------------------------- compressed


def test_heads_matter_as_in_float32(tiny_config, tmp_path, policy):
    found = []
    for precision in ("float32", "mixed_float16"):
        policy(precision)
        run = one_length(tmp_path, tiny_config)
        batches = Batches(run.tokens["train"], run.data["train"].labels, batch_size=8)
        found.append(np.concatenate(MaskedHeads(run.classifier, TASKS["sst2"]).importance(batches)))
    np.testing.assert_allclose(found[1], found[0], rtol=0.02, atol=1e-3)


def test_gates_are_trained_and_closed(tiny_config, tmp_path, float16):
    run = one_length(tmp_path, tiny_config, against=True, epochs=2)
    gated = GatedTraining(run.classifier, run.data, run.tokens, run.parameters)
    assert gated.train(0.0).heads > gated.train(10.0).heads == 0
    assert loss_scale(gated.reduced.model.optimizer) >= 2.0**13


def test_the_other_backend_does_the_same(tmp_path):
    passes_on_the_other_backend(__file__, "auto or overflows or clipped or gelu or last", tmp_path, count=12)

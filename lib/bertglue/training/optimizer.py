"""AdamW with BERT's schedule: linear warm-up, then linear decay to zero (arXiv:1810.04805, A.2 and A.3)."""

from __future__ import annotations

import re
from collections.abc import Sequence

import keras
import numpy as np
from keras import ops

from bertglue.devices import on_one_cpu, shared_by_tensorflow
from bertglue.models.bert import compute_dtype
from bertglue.training.schedule import warmup_linear_decay

GATE_WEIGHT = "log_alpha"  # gates on heads, which start far from where they end
MIN_LOSS_SCALE = 2.0**-8  # from 2^15; only gradients that are no numbers bring it lower
ADAM_EPSILON = 1e-6  # BERT's
NO_DECAY = ("bias", "layer_norm", GATE_WEIGHT)


@keras.saving.register_keras_serializable("bertglue")
class WarmupLinearDecay(keras.optimizers.schedules.LearningRateSchedule):
    """Raise the learning rate to `peak` over the first `warmup` steps, then lower it to zero at `steps`."""

    def __init__(self, peak: float, steps: int, warmup: int):
        self.peak, self.steps, self.warmup = peak, steps, warmup

    def __call__(self, step):
        return warmup_linear_decay(ops.cast(step, "float32"), self.peak, self.steps, self.warmup, ops)

    def get_config(self):
        return {"peak": self.peak, "steps": self.steps, "warmup": self.warmup}


@keras.saving.register_keras_serializable("bertglue")
class AdamW(keras.optimizers.AdamW):
    """Keras's AdamW with BERT's two rules, the same on both backends, and fast on TensorFlow's CPU.

    Layer norms and biases are not decayed; Keras can tell them by name on TensorFlow alone. The gradient of an
    embedding is the sum over all positions of a token; TensorFlow gives it as slices, which Keras squares and clips one
    by one. Epsilon stands beside the corrected moments, as in PyTorch (Kingma and Ba, 2015, arXiv:1412.6980, algorithm
    1). On TensorFlow's CPU an update is one pass over the memory instead of a dozen.

    Each weight has a factor on its learning rate, and with it on its decay, as in a parameter group of PyTorch's AdamW:
    `layer_decay` sets the factors by depth, and `set_factor` those of a name. Without `bias_correction` the first steps
    are as large as in BERT's own code, which left it out.
    """

    layer_decay, bias_correction = 1.0, True

    def build(self, variables):
        if not self.built:
            spared = [v for v in variables if any(name in v.path for name in NO_DECAY)]
            self.exclude_from_weight_decay(var_list=spared)
            self.factors = layer_factors([v.path for v in variables], self.layer_decay)
        super().build(variables)

    def _get_current_learning_rate(self):
        """Follow the schedule by the updates; Keras counts the steps that are accumulated for one."""
        if isinstance(self._learning_rate, WarmupLinearDecay):
            return self._learning_rate(self.iterations)
        return super()._get_current_learning_rate()

    def set_factor(self, name: str, factor: float) -> None:
        """Set the factor of the weights with a name in their path; call it before the first step is traced."""
        for index, variable in enumerate(self._trainable_variables):
            if name in variable.path:
                self.factors[index] = factor

    def factor(self, variable) -> float:
        return float(self.factors[self._get_variable_index(variable)])

    def rates(self, steps: int) -> np.ndarray:
        """Return the learning rate of each of the first steps [steps]."""
        return ops.convert_to_numpy(self._learning_rate(np.arange(steps))).astype("float64")

    def decay(self, steps: int, variable) -> float:
        """Return what the first `steps` steps leave of a number of a weight that has had no gradient."""
        return float(np.prod(1 - self.weight_decay * self.factor(variable) * self.rates(steps)))

    def apply(self, grads, trainable_variables=None):
        super().apply([dense(g) for g in grads], trainable_variables)

    def _clip_gradients(self, grads):
        """Clip by the global norm; TensorFlow's function sums the squares without writing them.

        Of several of TensorFlow's devices the norm is that of the sum of their gradients, which Keras adds up only
        afterwards: each gives its share of what is clipped.
        """
        shared = shared_by_tensorflow()
        if not self.global_clipnorm or not (shared or on_one_cpu()):
            return super()._clip_gradients(grads)
        import tensorflow as tf

        devices = tf.distribute.get_replica_context()
        summed = devices.all_reduce(tf.distribute.ReduceOp.SUM, grads) if shared else grads
        clipped, _ = tf.clip_by_global_norm(summed, self.global_clipnorm)
        return [gradient / devices.num_replicas_in_sync for gradient in clipped] if shared else clipped

    def _apply_weight_decay(self, variables):
        """Decay each weight at its own rate: by Keras, which has one for all, those of one factor at a time."""
        groups = self.by_factor(variables)
        if on_one_cpu():
            shrinkage = self._get_current_learning_rate() * self.weight_decay
            for factor, group in groups.items():
                rate = shrinkage * factor
                for variable in filter(self._use_weight_decay, group):
                    variable.value.assign_sub(variable.value * rate)
            return
        if shared_by_tensorflow():
            self.decay_on_all_devices(variables)
            return
        weight_decay = self.weight_decay
        try:
            for factor, group in groups.items():
                self.weight_decay = weight_decay * factor
                super()._apply_weight_decay(group)
        finally:
            self.weight_decay = weight_decay

    def decay_on_all_devices(self, variables):
        """Decay each weight at its own rate, once for all of TensorFlow's devices, whose threads take turns."""
        import tensorflow as tf

        def decay(distribution, variables):
            for variable in filter(self._use_weight_decay, variables):
                rate = self._get_current_learning_rate() * self.weight_decay * self.factor(variable)
                distribution.extended.update(
                    variable.value, lambda value, rate: value.assign_sub(value * rate), args=(rate,), group=False
                )

        tf.__internal__.distribute.interim.maybe_merge_call(decay, self._distribution_strategy, variables)

    def by_factor(self, variables) -> dict[float, list]:
        """Group weights by their factor on the learning rate."""
        groups: dict[float, list] = {}
        for variable in variables:
            groups.setdefault(self.factor(variable), []).append(variable)
        return groups

    def corrected(self, learning_rate):
        """Return the learning rate and the epsilon with which the update of Keras and TensorFlow does what is asked."""
        step = ops.cast(self.iterations + 1, "float32")
        if self.bias_correction:  # beside the corrected moments, as in the paper and in PyTorch; they have it smaller
            return learning_rate, self.epsilon * ops.sqrt(1 - self.beta_2**step)
        # take back what the update does
        return learning_rate * (1 - self.beta_1**step) / ops.sqrt(1 - self.beta_2**step), self.epsilon

    def _backend_update_step(self, grads, trainable_variables, learning_rate):
        """Update all weights; on TensorFlow's CPU what they have in common is computed once."""
        if not on_one_cpu():
            return super()._backend_update_step(grads, trainable_variables, learning_rate)
        import tensorflow as tf

        step = tf.cast(self.iterations + 1, "float32")
        powers = {"beta1_power": self.beta_1**step, "beta2_power": self.beta_2**step}
        learning_rate, epsilon = self.corrected(tf.cast(learning_rate, "float32"))
        rates = {factor: learning_rate * factor for factor in self.by_factor(trainable_variables)}
        for gradient, variable in zip(grads, trainable_variables, strict=True):
            index = self._get_variable_index(variable)
            tf.raw_ops.ResourceApplyAdam(
                var=variable.value.handle,
                m=self._momentums[index].value.handle,
                v=self._velocities[index].value.handle,
                **powers,
                lr=rates[self.factor(variable)],
                beta1=self.beta_1,
                beta2=self.beta_2,
                epsilon=epsilon,
                grad=tf.cast(gradient, "float32"),
            )

    def update_step(self, gradient, variable, learning_rate):
        """Update a weight by Keras's own operations, at its own rate and with another epsilon than the optimizer's."""
        own = self.epsilon
        learning_rate, self.epsilon = self.corrected(learning_rate * self.factor(variable))
        try:
            super().update_step(gradient, variable, learning_rate)
        finally:
            self.epsilon = own


def dense(gradient):
    """Return a gradient as one tensor; Keras's conversion leaves TensorFlow's slices as they are."""
    if not hasattr(gradient, "indices"):
        return gradient
    import tensorflow as tf

    return tf.convert_to_tensor(gradient)


def layer_factors(paths: Sequence[str], layer_decay: float) -> np.ndarray:
    """Return the factor of each weight's learning rate, by its path [weights]: layer-wise learning-rate decay.

    Pooler and head have 1, each layer of the encoder `layer_decay` times the one above it, the embeddings the last.

    Source:
        Howard and Ruder, 2018, arXiv:1801.06146, section 3.2; for a pre-trained transformer Clark et al., 2020,
        arXiv:2003.10555, appendix B.
    """
    numbers = [re.search(r"\blayer_(\d+)_", path) for path in paths]
    layers = 1 + max((int(number[1]) for number in numbers if number), default=-1)

    def below_the_head(path, number) -> int:
        if number:
            return layers - int(number[1])
        return layers + 1 if "embedding" in path else 0

    return np.array([layer_decay ** below_the_head(*each) for each in zip(paths, numbers, strict=True)], "float64")


class LossScaling(keras.optimizers.LossScaleOptimizer):
    """Keras's loss scaling, which leaves a step out where the gradients of any device overflow.

    Keras on TensorFlow looks at those of the first device alone, before they are added up.
    """

    def check_finite(self, grads):
        finite = super().check_finite(grads)
        if not shared_by_tensorflow():
            return finite
        import tensorflow as tf

        context = tf.distribute.get_replica_context()
        return context.all_reduce(tf.distribute.ReduceOp.SUM, tf.cast(~finite, "float32")) == 0


def with_loss_scaling(optimizer: keras.optimizers.Optimizer, model: keras.Model) -> keras.optimizers.Optimizer:
    """Wrap an optimizer where a model computes in float16, in which most gradients would be too small for a number.

    The loss is multiplied by a scale and the gradients are divided by it before they are clipped. Where one overflows,
    the scale is halved and the step is left out: it counts neither for the schedule nor for the decay.

    Source:
        Micikevicius et al., 2018, arXiv:1710.03740, section 3.2.
    """
    return LossScaling(optimizer) if compute_dtype(model) == "float16" else optimizer


def unwrapped(optimizer: keras.optimizers.Optimizer) -> keras.optimizers.Optimizer:
    """Return the optimizer that updates the weights, without the loss scaling around it."""
    return getattr(optimizer, "inner_optimizer", optimizer)


def loss_scale(optimizer: keras.optimizers.Optimizer) -> float | None:
    """Return the scale of the loss; None without loss scaling."""
    scale = getattr(optimizer, "dynamic_scale", None)
    return None if scale is None else float(ops.convert_to_numpy(scale))


def build_optimizer(
    learning_rate: float,
    steps: int,
    *,
    warmup_fraction: float = 0.1,
    weight_decay: float = 0.01,
    accumulate: int = 1,
    bias_correction: bool = True,
    layer_decay: float = 1.0,
) -> keras.optimizers.Optimizer:
    """Build the report's AdamW for a run of `steps` updates.

    `accumulate` is the number of batches whose gradients are accumulated for one update; `layer_decay` as in
    `layer_factors`.
    """
    schedule = WarmupLinearDecay(learning_rate, steps, round(steps * warmup_fraction))
    optimizer = AdamW(
        schedule,
        weight_decay=weight_decay,
        epsilon=ADAM_EPSILON,
        global_clipnorm=1.0,
        gradient_accumulation_steps=accumulate if accumulate > 1 else None,
    )
    optimizer.bias_correction, optimizer.layer_decay = bias_correction, layer_decay
    return optimizer

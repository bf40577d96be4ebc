"""AdamW with BERT's schedule: linear warm-up, then linear decay to zero (arXiv:1810.04805, A.2 and A.3)."""

from __future__ import annotations

import keras
import numpy as np
from keras import ops

GATE_WEIGHT = "log_alpha"  # gates on heads, which start far from where they end
NO_DECAY = ("bias", "layer_norm", GATE_WEIGHT)


@keras.saving.register_keras_serializable("bertglue")
class WarmupLinearDecay(keras.optimizers.schedules.LearningRateSchedule):
    """Raise the learning rate to `peak` over the first `warmup` steps, then lower it to zero at `steps`."""

    def __init__(self, peak: float, steps: int, warmup: int):
        self.peak, self.steps, self.warmup = peak, steps, warmup

    def __call__(self, step):
        step = ops.cast(step, "float32") + 1.0  # the first step already learns
        warmup = max(self.warmup, 1)
        rise = step / warmup
        fall = (self.steps + 1 - step) / max(self.steps + 1 - warmup, 1)
        return self.peak * ops.clip(ops.minimum(rise, fall), 0.0, 1.0)

    def get_config(self):
        return {"peak": self.peak, "steps": self.steps, "warmup": self.warmup}


@keras.saving.register_keras_serializable("bertglue")
class AdamW(keras.optimizers.AdamW):
    """Keras's AdamW with BERT's two rules, the same on both backends, and fast on TensorFlow's CPU.

    Layer norms and biases are not decayed; Keras can tell them by name on TensorFlow alone. The gradient of an
    embedding is the sum over all positions of a token; TensorFlow gives it as slices, which Keras squares and clips one
    by one. On TensorFlow's CPU an update is one pass over the memory instead of a dozen.

    Gates on heads learn `faster` times as fast as weights. Without `bias_correction` the first steps are as large as in
    BERT's own code, which left it out.
    """

    faster, bias_correction = 1.0, True

    def build(self, variables):
        if not self.built:
            spared = [v for v in variables if any(name in v.path for name in NO_DECAY)]
            self.exclude_from_weight_decay(var_list=spared)
            self.fast = {index for index, v in enumerate(variables) if GATE_WEIGHT in v.path}
        super().build(variables)

    def _get_current_learning_rate(self):
        """Follow the schedule by the updates; Keras counts the steps that are accumulated for one."""
        if isinstance(self._learning_rate, WarmupLinearDecay):
            return self._learning_rate(self.iterations)
        return super()._get_current_learning_rate()

    def rates(self, steps: int) -> np.ndarray:
        """Return the learning rate of each of the first steps [steps]."""
        return ops.convert_to_numpy(self._learning_rate(np.arange(steps))).astype("float64")

    def decay(self, steps: int) -> float:
        """Return what the first `steps` steps leave of a weight that has had no gradient."""
        return float(np.prod(1 - self.weight_decay * self.rates(steps)))

    def apply(self, grads, trainable_variables=None):
        super().apply([dense(g) for g in grads], trainable_variables)

    def update_step(self, gradient, variable, learning_rate):
        index = self._get_variable_index(variable)
        if index in self.fast:
            learning_rate = learning_rate * self.faster
        if not self.bias_correction:  # take back what the update below does
            step = ops.cast(self.iterations + 1, "float32")
            learning_rate = learning_rate * (1 - self.beta_1**step) / ops.sqrt(1 - self.beta_2**step)
        if keras.backend.backend() != "tensorflow" or not on_one_cpu():
            return super().update_step(gradient, variable, learning_rate)
        import tensorflow as tf

        step = tf.cast(self.iterations + 1, "float32")
        return tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=self._momentums[index].value.handle,
            v=self._velocities[index].value.handle,
            beta1_power=self.beta_1**step,
            beta2_power=self.beta_2**step,
            lr=tf.cast(learning_rate, "float32"),
            beta1=self.beta_1,
            beta2=self.beta_2,
            epsilon=self.epsilon,
            grad=tf.cast(gradient, "float32"),
        )


def dense(gradient):
    """Return a gradient as one tensor; Keras's conversion leaves TensorFlow's slices as they are."""
    if not hasattr(gradient, "indices"):
        return gradient
    import tensorflow as tf

    return tf.convert_to_tensor(gradient)


def on_one_cpu() -> bool:
    """Return whether TensorFlow computes on one CPU, not on GPUs or with several devices."""
    import tensorflow as tf

    return not tf.config.list_logical_devices("GPU") and not tf.distribute.has_strategy()


def build_optimizer(
    learning_rate: float,
    steps: int,
    *,
    warmup_fraction: float = 0.1,
    weight_decay: float = 0.01,
    accumulate: int = 1,
    bias_correction: bool = True,
) -> keras.optimizers.Optimizer:
    """Build the report's AdamW for a run of `steps` updates.

    `accumulate` is the number of batches whose gradients are accumulated for one update.
    """
    schedule = WarmupLinearDecay(learning_rate, steps, round(steps * warmup_fraction))
    optimizer = AdamW(
        schedule,
        weight_decay=weight_decay,
        epsilon=1e-6,
        global_clipnorm=1.0,
        gradient_accumulation_steps=accumulate if accumulate > 1 else None,
    )
    optimizer.bias_correction = bias_correction
    return optimizer

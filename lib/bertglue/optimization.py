"""AdamW with BERT's schedule: linear warm-up, then linear decay to zero (arXiv:1810.04805, A.2 and A.3)."""

from __future__ import annotations

import keras
from keras import ops

NO_DECAY = ("bias", "layer_norm")


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


def build_optimizer(
    learning_rate: float,
    steps: int,
    *,
    warmup_fraction: float = 0.1,
    weight_decay: float = 0.01,
    accumulate: int = 1,
) -> keras.optimizers.Optimizer:
    """Build the report's AdamW for a run of `steps` steps; layer norms and biases are not decayed.

    `accumulate` steps share one update.
    """
    schedule = WarmupLinearDecay(learning_rate, steps, round(steps * warmup_fraction))
    optimizer = keras.optimizers.AdamW(
        schedule,
        weight_decay=weight_decay,
        epsilon=1e-6,
        global_clipnorm=1.0,
        gradient_accumulation_steps=accumulate if accumulate > 1 else None,
    )
    optimizer.exclude_from_weight_decay(var_names=list(NO_DECAY))
    return optimizer

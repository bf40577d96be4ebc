"""The learning rate over a run: linear warm-up, then linear decay to zero (arXiv:1810.04805, A.2 and A.3)."""

from __future__ import annotations

from types import ModuleType

import numpy as np


def warmup_linear_decay(step, peak: float, steps: int, warmup: int, ops: ModuleType = np):
    """Return the learning rate of a step, or of several, which rises over `warmup` steps and is zero at `steps`.

    `ops` computes it: numpy, or `keras.ops` within a graph.
    """
    step = step + 1.0  # the first step already learns
    warmup = max(warmup, 1)
    rise = step / warmup
    fall = (steps + 1 - step) / max(steps + 1 - warmup, 1)
    return peak * ops.clip(ops.minimum(rise, fall), 0.0, 1.0)

"""Dropout: switch off a random part of the units, so that none can rely on another.

Equation    y = x ⊙ keep / (1 - rate)
            `keep` is drawn outside (True with probability 1 - rate): the op is deterministic, so
            it can be checked. The function `keep` draws it where the arrays are, from the
            generator that comes in. Dividing keeps the expected y equal to x, and nothing changes
            at evaluation: there, the op is simply left out.

Shapes      x (...), keep (...) bool  →  y (...)
Saved       keep, rate

Backward    A product with a constant: dx = dy ⊙ keep / (1 - rate). What was switched off does not
            learn in this step. keep has no gradient.

Source      Srivastava et al. 2014, section 4, in the "inverted" form
Kernels     kernels/cpu/dropout.py, kernels/cuda/dropout.py
Used by     training with little data; the residual branches of GPT
"""

import numpy as np

from nanollm.errors import InputError
from nanollm.ops.checks import expect


def check_rate(rate):
    """Raise InputError unless 0 ≤ rate < 1."""
    if not 0 <= rate < 1:
        raise InputError(f"dropout: the rate is {rate}, expected 0 ≤ rate < 1")


def check_dropout(x, keep, rate):
    """Raise InputError unless keep has x's shape and 0 ≤ rate < 1."""
    expect("dropout", "keep", keep, x.shape)
    check_rate(rate)


def keep(rng, shape, rate):
    """A mask of `shape`, each entry True with probability 1 - rate."""
    check_rate(rate)
    return rng.random(shape, np.float32) >= rate


def dropout(x, keep, *, rate):
    check_dropout(x, keep, rate)
    return x * keep / (1 - rate), (keep, rate)


def dropout_backward(dy, saved):
    keep, rate = saved
    return dy * keep / (1 - rate), None

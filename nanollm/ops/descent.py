"""Gradient descent: walk downhill; with momentum, keep some of the last step's direction.

Equation    sgd        w ← w - η g
            momentum   u ← μ u + g,      w ← w - η u
            clipping   g ← g min(1, c / ‖g‖),  ‖g‖² = Σ over all entries of all gradients
            `scale` is the clipping factor, applied as g is read, so that no gradient is rewritten.
            clip_factor makes it of ‖g‖², the sum of the gradients' squared norms, and c, its limit.

Shapes      w, dw, u, all of one shape, any, () too; squared_norm(x) → one number;
            clip_factor(number) → one number. (On a GPU these numbers stay there: nobody waits.)
Saved       nothing: a step is not differentiated. It writes into w and u, hence the names' `_`,
            leaves dw as it is, and returns nothing

Source      momentum: Polyak 1964, in the form of Sutskever et al. 2013, equations 1 and 2;
            clipping by global norm: Pascanu, Mikolov & Bengio 2013, algorithm 1
Kernels     kernels/cpu/descent.py, kernels/cuda/descent.py
Used by     optim.py
"""

import math

import numpy as np

from nanollm.ops.checks import expect


def sgd_(w, dw, *, lr, scale=1.0):
    expect("sgd_", "dw", dw, w.shape)
    w -= lr * scale * dw


def momentum_(w, dw, u, *, lr, mu=0.9, scale=1.0):
    expect("momentum_", "dw", dw, w.shape)
    expect("momentum_", "u", u, w.shape)
    u *= mu
    u += scale * dw
    w -= lr * u


def squared_norm(x):
    """Σ x², summed in float64: a sum over millions of float32 entries must not lose the small."""
    return float(np.einsum("i,i->", x.reshape(-1), x.reshape(-1), dtype=np.float64))


def clip_factor(squared, *, limit, most=1.0):
    """min(most, limit / norm), from the norm's square; no limit where it is 0 or None.

    squared  may be 0, and may be float32; the factor is computed in float64
    most     1 / n, if g is the sum of n gradients whose mean is meant
    """
    norm = math.sqrt(squared)
    return limit / norm if limit and most * norm > limit else most

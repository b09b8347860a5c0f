"""Gradient descent on the CPU: one walk over a weight and its gradient, shared among the threads.

The mathematics is in nanollm/ops/descent.py. Each number is read once and written once, in place.
"""

import numpy as np

from kernels.cpu.compile import kernel
from kernels.cpu.elementwise import flat
from kernels.cpu.threads import by_rows
from nanollm.ops.checks import expect


@kernel
def _sgd(w, dw, step):                           # (N,) twice
    step = w.dtype.type(step)
    for n in range(w.size):
        w[n] -= step * dw[n]


@kernel
def _momentum(w, dw, u, lr, mu, scale):          # (N,) ×3
    of = w.dtype.type
    lr, mu, scale = of(lr), of(mu), of(scale)
    for n in range(w.size):
        u[n] = mu * u[n] + scale * dw[n]
        w[n] -= lr * u[n]


@kernel
def _squared_norm(x, total):                     # (N,) → (1,), float64
    for n in range(x.size):
        total[0] += np.float64(x[n]) * np.float64(x[n])


def in_place(w):
    """All entries of w in one row; writing there writes into w."""
    rows = w.reshape(-1)
    assert np.shares_memory(rows, w) or w.size == 0, "a step writes into w: it must be contiguous"
    return rows


def sgd_(w, dw, *, lr, scale=1.0):
    expect("sgd_", "dw", dw, w.shape)
    by_rows(_sgd, (in_place(w), flat(dw)), float(lr * scale))


def momentum_(w, dw, u, *, lr, mu=0.9, scale=1.0):
    expect("momentum_", "dw", dw, w.shape)
    expect("momentum_", "u", u, w.shape)
    by_rows(_momentum, (in_place(w), flat(dw), in_place(u)), float(lr), float(mu), float(scale))


def squared_norm(x):
    total = np.zeros(1)
    by_rows(_squared_norm, (flat(x),), sums=(total,))
    return float(total[0])

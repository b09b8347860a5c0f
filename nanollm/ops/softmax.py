"""Softmax: turn a row of scores into a probability distribution. Log-sum-exp: its normalizer.

Equation    softmax     y_i = exp(x_i - m) / Σ_j exp(x_j - m),        m = max_j x_j
            logsumexp   y = log Σ_j exp(x_j) = m + log Σ_j exp(x_j - m)
            m cancels; it is there so that exp never overflows.

Shapes      softmax x (..., K)  →  y (..., K);    logsumexp x (..., K)  →  y (...)
            each row of the last axis alone
Saved       softmax y;    logsumexp the softmax of x

Backward    Every score moves every probability of its row:
                ∂y_i/∂x_j = y_i (δ_ij - y_j),    so with  dy = ∂L/∂y
                dx_j = Σ_i dy_i ∂y_i/∂x_j = y_j (dy_j - Σ_i y_i dy_i).
            In words: take from dy its mean under y, then weigh by y. Hence a
            constant dy gives dx = 0, and every row of dx sums to zero.
            The derivative of log-sum-exp is the softmax itself: dx = dy softmax(x).

Source      Bridle 1990; the shift by m is in every careful implementation, see
            Goodfellow, Bengio & Courville 2016, section 4.1
Kernels     kernels/cpu/softmax.py, kernels/cuda/softmax.py
Used by     attention.py, cross_entropy.py, sampling
"""

import numpy as np

from nanollm.errors import InputError


def check_rows(op, x):
    """Raise InputError unless each row of x has at least one entry."""
    if x.ndim == 0 or x.shape[x.ndim - 1] == 0:
        raise InputError(f"{op}: x has shape {tuple(x.shape)}; a row needs at least one entry")


def softmax(x):
    check_rows("softmax", x)
    e = np.exp(x - x.max(axis=-1, keepdims=True))               # (..., K)  in (0, 1]
    y = e / e.sum(axis=-1, keepdims=True)                       # (..., K)  rows sum to 1
    return y, (y,)


def softmax_backward(dy, saved):
    (y,) = saved
    mean = (y * dy).sum(axis=-1, keepdims=True)                 # (..., 1)  E_y[dy]
    return (y * (dy - mean),)                                   # (..., K)


def logsumexp(x):
    check_rows("logsumexp", x)
    m = x.max(axis=-1, keepdims=True)                           # (..., 1)
    e = np.exp(x - m)                                           # (..., K)
    total = e.sum(axis=-1, keepdims=True)                       # (..., 1)
    return (m + np.log(total))[..., 0], (e / total,)            # (...)


def logsumexp_backward(dy, saved):
    (p,) = saved
    return (np.asarray(dy)[..., None] * p,)                     # (..., K)

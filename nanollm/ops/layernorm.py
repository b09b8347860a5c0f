"""Layer normalization: give every token the same mean and the same scale.

Equation    x̂ = (x - μ) r,   μ = mean(x),   r = 1 / sqrt(mean((x - μ)²) + ε)
            y = γ ⊙ x̂ + β
            residual_layernorm(x, h) is s = x + h, y = layernorm(s): a Transformer block's
            addition and the normalization that follows it, in one walk.

Shapes      x (..., C), γ (C,), β (C,) or None  →  y (..., C)
            x (..., C), h (..., C), γ, β        →  s (..., C), y (..., C)
Saved       x̂ (..., C), r (..., 1), γ (C,), is there a β

Backward    γ and β are shared by all rows, so their gradients sum over rows:
                dβ = Σ_rows dy,      dγ = Σ_rows dy ⊙ x̂.
            Write g = dy ⊙ γ = ∂L/∂x̂. μ and r both depend on all of x:
                dx = r (g - mean(g) - x̂ mean(g ⊙ x̂)).
            The two means take out of g what would shift the row and what would
            stretch it: normalizing undoes both, so the loss cannot see them.
            s goes two ways, on and into the layernorm: its gradient is ds plus that dx, and
            both summands of s receive it.

Source      Ba, Kiros & Hinton 2016 (arXiv 1607.06450), equations 3 and 4
Kernels     kernels/cpu/layernorm.py, kernels/cuda/layernorm.py
Used by     the Transformer block, before (GPT) or after (BERT) each sublayer
"""

import numpy as np

from nanollm.ops.checks import expect


def check_layernorm(x, gamma, beta):
    """Raise InputError unless gamma and beta are (C,) for x (..., C)."""
    expect("layernorm", "gamma", gamma, x.shape[x.ndim - 1:])
    if beta is not None:
        expect("layernorm", "beta", beta, x.shape[x.ndim - 1:])


def layernorm(x, gamma, beta=None, *, eps=1e-5):
    check_layernorm(x, gamma, beta)
    centered = x - x.mean(axis=-1, keepdims=True)               # (..., C)
    r = 1 / np.sqrt((centered ** 2).mean(axis=-1, keepdims=True) + eps)  # (..., 1)
    xhat = centered * r                                         # (..., C)
    y = gamma * xhat if beta is None else gamma * xhat + beta   # (..., C)
    return y, (xhat, r, gamma, beta is not None)


def layernorm_backward(dy, saved):
    xhat, r, gamma, has_beta = saved
    rows = tuple(range(dy.ndim - 1))                            # every axis but the last
    dbeta = dy.sum(axis=rows) if has_beta else None             # (C,)
    dgamma = (dy * xhat).sum(axis=rows)                         # (C,)
    g = dy * gamma                                              # (..., C)
    dx = r * (g - g.mean(axis=-1, keepdims=True)
              - xhat * (g * xhat).mean(axis=-1, keepdims=True))  # (..., C)
    return dx, dgamma, dbeta


def residual_layernorm(x, h, gamma, beta=None, *, eps=1e-5):
    expect("residual_layernorm", "h", h, x.shape)
    s = x + h                                                   # (..., C)
    y, saved = layernorm(s, gamma, beta, eps=eps)
    return (s, y), saved


def residual_layernorm_backward(dy, saved):
    ds, dy = dy
    dx, dgamma, dbeta = layernorm_backward(dy, saved)
    ds = ds + dx                                                # (..., C)
    return ds, ds, dgamma, dbeta

"""GELU: a ReLU with a soft corner, x times the chance that a standard normal is below x.

Equation    exact   y = x Φ(x),   Φ(x) = ½ (1 + erf(x / √2))
            tanh    y = ½ x (1 + tanh(u)),   u = √(2/π) (x + 0.044715 x³)
            The second imitates the first to about 3e-4 and is the form of GPT-2.
            bias_gelu is y = gelu(x + b): the bias of the layer before, and GELU, in one walk.

Shapes      x (..., F), b (F,)  →  y (..., F)
Saved       x, and b if there is one: y is cheap to compute again, and memory is not

Backward    Product rule, with Φ' = φ, the normal density:
                exact   y' = Φ(x) + x φ(x),   φ(x) = exp(-x²/2) / √(2π)
                tanh    y' = ½ (1 + t) + ½ x (1 - t²) u',   t = tanh(u),
                        u' = √(2/π) (1 + 3 · 0.044715 x²)
            and dx = dy ⊙ y'. The bias is shared by all rows: db = Σ_rows dx.

Source      Hendrycks & Gimpel 2016 (arXiv 1606.08415), section 2
Kernels     kernels/cpu/gelu.py, kernels/cuda/gelu.py
Used by     the feed-forward layer of GPT and BERT
"""

import math

import numpy as np

from nanollm.ops.checks import expect

ROOT_2_OVER_PI = math.sqrt(2 / math.pi)
CUBIC = 0.044715
_erf = np.frompyfunc(math.erf, 1, 1)


def erf(x):
    """erf of each entry, in x's dtype (NumPy has none: one call of math.erf a number)."""
    return _erf(x).astype(x.dtype)


def gelu(x, *, exact=False):
    if exact:
        return 0.5 * x * (1 + erf(x / math.sqrt(2))), (x, exact)
    u = ROOT_2_OVER_PI * (x + CUBIC * x * x * x)                # (..., F)
    return 0.5 * x * (1 + np.tanh(u)), (x, exact)


def gelu_backward(dy, saved):
    x, exact = saved
    if exact:
        cdf = 0.5 * (1 + erf(x / math.sqrt(2)))                 # (..., F)  Φ(x)
        pdf = np.exp(-0.5 * x * x) / math.sqrt(2 * math.pi)     # (..., F)  φ(x)
        return (dy * (cdf + x * pdf),)
    t = np.tanh(ROOT_2_OVER_PI * (x + CUBIC * x * x * x))       # (..., F)
    du = ROOT_2_OVER_PI * (1 + 3 * CUBIC * x * x)               # (..., F)  ∂u/∂x
    return (dy * (0.5 * (1 + t) + 0.5 * x * (1 - t * t) * du),)


def bias_gelu(x, b, *, exact=False):
    expect("bias_gelu", "b", b, x.shape[-1:])
    y, saved = gelu(x + b, exact=exact)
    return y, saved


def bias_gelu_backward(dy, saved):
    (dx,) = gelu_backward(dy, saved)
    return dx, dx.sum(axis=tuple(range(dx.ndim - 1)))           # (..., F), (F,)

"""Cross-entropy: how surprised the model is, on average, by the token that came.

Equation    L = -(1/n) Σ_t log p_t(target_t),    log p_t(v) = x_tv - logsumexp(x_t)
            over the n positions whose target is not `ignore`. Softmax and logarithm are one op:
            apart, a probability that rounds to 0 would give log 0.

Shapes      x (..., V) scores ("logits"), targets (...) int  →  L, one number
Saved       p (N, V), the targets, which of them count, x's shape

Backward    From log p(target) = x_target - logsumexp(x) and ∂logsumexp/∂x = p:
                dx_tv = (dL / n) (p_tv - [v = target_t]),
            what the model believed minus what happened. Ignored rows receive zero. No row left
            to count: L = 0 and dx = 0.

Source      Goodfellow, Bengio & Courville 2016, section 6.2.2; exp(L) is the perplexity
Kernels     kernels/cpu/cross_entropy.py, kernels/cuda/cross_entropy.py
Used by     every language model and classifier
"""

import numpy as np

from nanollm.ops.checks import expect, expect_ids
from nanollm.ops.softmax import logsumexp


def check_cross_entropy(x, targets, ignore):
    """Raise InputError unless there is one target in [0, V) or `ignore` for each row of x."""
    expect("cross_entropy", "targets", targets, x.shape[:x.ndim - 1])
    expect_ids("cross_entropy", targets, x.shape[x.ndim - 1], ignore)


def cross_entropy(x, targets, *, ignore=-1):
    check_cross_entropy(x, targets, ignore)
    V = x.shape[-1]
    rows, flat = x.reshape(-1, V), targets.reshape(-1)          # (N, V), (N,)
    rows = rows - rows.max(axis=-1, keepdims=True)              # p is the same, digits are kept
    counted = flat != ignore                                    # (N,)
    lse, (p,) = logsumexp(rows)                                 # (N,), (N, V)
    picked = rows[np.arange(len(rows)), np.where(counted, flat, 0)]   # (N,)  x_target
    n = max(int(counted.sum()), 1)
    loss = np.where(counted, lse - picked, 0).sum() / n         # ()
    return loss, (p, flat, counted, x.shape)


def cross_entropy_backward(dy, saved):
    p, flat, counted, shape = saved
    dx = p.copy()                                               # (N, V)
    dx[np.arange(len(p)), np.where(counted, flat, 0)] -= 1
    n = max(int(counted.sum()), 1)
    dx *= np.asarray(dy / n, p.dtype)
    dx[~counted] = 0
    return dx.reshape(shape), None

"""Attention: every token asks all others a question and takes a weighted mean of their answers.

Equation    Attention(q, k, v) = softmax(q kᵀ / √D) v,   for each of H heads alone
            A head is a slice of D = C / H columns of q, k and v; the heads' results stand side by
            side again in y. The scale keeps the scores' variance at 1 whatever D is: a sum of D
            products of independent unit numbers has variance D.
            A masked pair (t, s) has score -∞, hence weight 0. `causal` masks every key that lies
            in query t's future; with S > T the queries are the last T positions. A row that is
            masked everywhere gives zeros.
            self_attention(qkv) is attention of the three thirds of one array, cut inside.

Shapes      q (..., T, C), k, v (..., S, C), mask None or bool, True where t may look at s,
            broadcast to (..., T, S) for all heads  →  y (..., T, C)
            with weights=True also p (..., H, T, S), the picture that people look at
            qkv (..., T, 3C)  →  y (..., T, C)
Saved       q, k, v in heads (..., H, T, D), p, the settings

Backward    Let s be the scores and p their softmax; y = p v. Two products, a softmax, a product:
                dv = pᵀ dy,      dp = dy vᵀ,      ds = p ⊙ (dp - Σ_s p dp)    (softmax.py)
                dq = ds k / √D,  dk = dsᵀ q / √D.
            Where p = 0, ds = 0: nothing flows through a mask, whatever finite numbers stand behind.
            With weights=True the loss may depend on p itself: that gradient is added to dp.

Source      Vaswani et al. 2017 (arXiv 1706.03762), equation 1 and section 3.2.2
Kernels     kernels/cpu/attention.py, kernels/cuda/attention.py (and attention_backward.py there)
Used by     the Transformer block
"""

import math

import numpy as np

from nanollm.errors import InputError
from nanollm.ops.softmax import softmax_backward


def check_attention(q, k, v, mask, heads, causal):
    """Raise InputError unless the shapes fit; return T, S, D."""
    if not (q.ndim == k.ndim > 1 and k.shape == v.shape
            and q.shape[:-2] == k.shape[:-2] and q.shape[-1:] == k.shape[-1:]):
        raise InputError(f"attention: q {q.shape}, k {k.shape}, v {v.shape} do not fit; expected "
                         "(..., T, C), (..., S, C), (..., S, C)")
    (T, C), (S, _) = q.shape[-2:], k.shape[-2:]
    if heads < 1 or C < heads or C % heads:
        raise InputError(f"attention: {heads} heads do not divide the width {C}")
    if causal and T > S:
        raise InputError(f"attention: {T} causal queries on {S} keys: a query has no key")
    if mask is not None and (mask.dtype != bool or mask.ndim > q.ndim or any(
            m not in (1, n) for m, n in zip(mask.shape[::-1], (S, T, *q.shape[-3::-1])))):
        raise InputError(f"attention: the mask is {mask.dtype} {mask.shape}; expected bool, "
                         f"broadcast to {(*q.shape[:-1], S)}")
    return T, S, C // heads


def check_self_attention(qkv):
    """Raise InputError unless qkv is (..., T, 3C)."""
    if qkv.ndim < 2 or qkv.shape[qkv.ndim - 1] % 3:
        raise InputError(f"self_attention: qkv has shape {qkv.shape}, expected (..., T, 3C)")


def into_heads(x, heads):
    """(..., T, C) → (..., H, T, D), a view."""
    *lead, T, C = x.shape
    return x.reshape(*lead, T, heads, C // heads).swapaxes(-2, -3)


def out_of_heads(x):
    """(..., H, T, D) → (..., T, C)."""
    *lead, H, T, D = x.shape
    return x.swapaxes(-2, -3).reshape(*lead, T, H * D)


def visible(mask, T, S, causal):
    """Which key each query may look at: None (all), or bool that broadcasts to (..., H, T, S)."""
    allowed = None if mask is None else mask[..., None, :, :] if mask.ndim > 2 else mask
    if causal:
        past = np.tri(T, S, S - T, dtype=bool)                  # (T, S)  s ≤ t + S - T
        allowed = past if allowed is None else allowed & past
    return allowed


def attention(q, k, v, mask=None, *, heads=1, causal=False, weights=False):
    T, S, D = check_attention(q, k, v, mask, heads, causal)
    q, k, v = (into_heads(x, heads) for x in (q, k, v))         # (..., H, T or S, D)
    scores = q @ k.swapaxes(-1, -2) / math.sqrt(D)              # (..., H, T, S)
    allowed = visible(mask, T, S, causal)
    if allowed is not None:
        scores = np.where(allowed, scores, -np.inf)
    m = scores.max(axis=-1, keepdims=True, initial=-np.inf)     # (..., H, T, 1)
    e = np.exp(scores - np.where(np.isneginf(m), 0, m))         # (..., H, T, S)
    total = e.sum(axis=-1, keepdims=True)                       # (..., H, T, 1)
    p = e / np.where(total == 0, 1, total)                      # a row without keys: zeros
    y = out_of_heads(p @ v)                                     # (..., T, C)
    return ((y, p) if weights else y), (q, k, v, p, weights)


def attention_backward(dy, saved):
    q, k, v, p, weights = saved
    dy, dp = dy if weights else (dy, 0)
    dy = into_heads(dy, q.shape[-3])                            # (..., H, T, D)
    dv = p.swapaxes(-1, -2) @ dy                                # (..., H, S, D)
    dp = dp + dy @ v.swapaxes(-1, -2)                           # (..., H, T, S)
    (ds,) = softmax_backward(dp, (p,))                          # (..., H, T, S)
    ds = ds / math.sqrt(q.shape[-1])
    dq = ds @ k                                                 # (..., H, T, D)
    dk = ds.swapaxes(-1, -2) @ q                                # (..., H, S, D)
    return out_of_heads(dq), out_of_heads(dk), out_of_heads(dv), None


def self_attention(qkv, mask=None, *, heads=1, causal=False):
    check_self_attention(qkv)
    q, k, v = np.split(qkv, 3, axis=-1)                         # (..., T, C)
    return attention(q, k, v, mask, heads=heads, causal=causal)


def self_attention_backward(dy, saved):
    *dqkv, _ = attention_backward(dy, saved)
    return np.concatenate(dqkv, axis=-1), None                  # (..., T, 3C)

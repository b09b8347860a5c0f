"""Attention before the Transformer: a decoder's state asks which source tokens matter.

Equation    additive_attention         score_ts = Σ_a w_a tanh(q_ta + k_sa)
            multiplicative_attention   score_ts = q_t · k_s
            p = softmax(score) over s,      y = p v
            q and k are already projected: Bahdanau's score is w · tanh(h W_q + s W_k), a small
            network that compares the two; its projections are linears before this op, and k's is
            needed once for all t. Luong's "general" score q W k is a linear before the "dot" here.
            There is no scale: attention.py says why a Transformer has one.
            Where mask is False the weight is 0. A row that is masked everywhere gives zeros. k and
            v must be numbers there, too, as 0 · NaN is NaN: rnn.py leaves zeros in padding.

Shapes      q (B, T, A), k (B, S, A), v (B, S, C), w (A,), mask None or bool, (B, S) or (B, T, S),
            True where t may look at s  →  y (B, T, C); with weights=True also p (B, T, S)
Saved       v, p; multiplicative_attention also q, k; additive_attention also w and the tanh of each
            pair (B, T, S, A)

Backward    y = p v and the softmax are attention.py's: dv = pᵀ dy, dp = dy vᵀ, and
            ds = p ⊙ (dp - Σ_s p dp). From there
                multiplicative   dq = ds k,      dk = dsᵀ q
                additive         with e_ts = tanh(q_t + k_s):      dw = Σ_ts ds_ts e_ts,
                                 g_ts = ds_ts w ⊙ (1 - e_ts²),     dq_t = Σ_s g_ts,  dk_s = Σ_t g_ts
            q_t + k_s was broadcast over all pairs, so its gradient is summed back over them.
            With weights=True the loss may depend on p itself: that gradient is added to dp.

Source      additive: Bahdanau, Cho & Bengio 2015 (arXiv 1409.0473), section 3.1 and appendix A.1.2;
            multiplicative: Luong, Pham & Manning 2015 (arXiv 1508.04025), section 3.1
Kernels     kernels/cpu/alignment.py, kernels/cuda/alignment.py
Used by     decoders of sequence-to-sequence models
"""

import numpy as np

from nanollm.errors import InputError
from nanollm.ops.checks import expect
from nanollm.ops.softmax import softmax_backward


def check_alignment(op, q, k, v, mask):
    """Raise InputError unless the shapes fit; return B, T, S."""
    if not (q.ndim == k.ndim == v.ndim == 3 and k.shape[:2] == v.shape[:2]
            and q.shape[0] == k.shape[0] and q.shape[2] == k.shape[2]):
        raise InputError(f"{op}: q {tuple(q.shape)}, k {tuple(k.shape)}, v {tuple(v.shape)} do not "
                         "fit; expected (B, T, A), (B, S, A), (B, S, C)")
    (B, T, _), S = q.shape, k.shape[1]
    if mask is not None and (mask.dtype != bool or mask.shape not in ((B, S), (B, T, S))):
        raise InputError(f"{op}: the mask is {mask.dtype} {tuple(mask.shape)}; expected bool, "
                         f"{(B, S)} or {(B, T, S)}")
    return B, T, S


def pairs(mask):
    """A mask (B, S) or (B, T, S), to be broadcast to (B, T, S)."""
    return mask[:, None] if mask.ndim == 2 else mask


def weigh(scores, v, mask):
    """p (B, T, S) and the mean of v (B, T, C) that it weighs."""
    if mask is not None:
        scores = np.where(pairs(mask), scores, -np.inf)
    m = scores.max(axis=-1, keepdims=True, initial=-np.inf)     # (B, T, 1)
    e = np.exp(scores - np.where(np.isneginf(m), 0, m))         # (B, T, S)
    total = e.sum(axis=-1, keepdims=True)                       # (B, T, 1)
    p = e / np.where(total == 0, 1, total)                      # a row without keys: zeros
    return p, p @ v


def weigh_backward(dy, dp, p, v):
    """The gradients of the scores (B, T, S) and of v (B, S, C); dp (B, T, S) or 0 came to p."""
    dp = dp + dy @ v.swapaxes(1, 2)                             # (B, T, S)
    (ds,) = softmax_backward(dp, (p,))
    return ds, p.swapaxes(1, 2) @ dy


def additive_attention(q, k, v, w, mask=None, *, weights=False):
    check_alignment("additive_attention", q, k, v, mask)
    expect("additive_attention", "w", w, q.shape[2:])
    e = np.tanh(q[:, :, None] + k[:, None])                     # (B, T, S, A)
    p, y = weigh(e @ w, v, mask)
    return ((y, p) if weights else y), (v, w, e, p, weights)


def additive_attention_backward(dy, saved):
    v, w, e, p, weights = saved
    dy, dp = dy if weights else (dy, 0)
    ds, dv = weigh_backward(dy, dp, p, v)
    dw = np.tensordot(ds, e, axes=3)                            # (A,)
    g = ds[..., None] * w * (1 - e * e)                         # (B, T, S, A)
    return g.sum(axis=2), g.sum(axis=1), dv, dw, None


def multiplicative_attention(q, k, v, mask=None, *, weights=False):
    check_alignment("multiplicative_attention", q, k, v, mask)
    p, y = weigh(q @ k.swapaxes(1, 2), v, mask)
    return ((y, p) if weights else y), (q, k, v, p, weights)


def multiplicative_attention_backward(dy, saved):
    q, k, v, p, weights = saved
    dy, dp = dy if weights else (dy, 0)
    ds, dv = weigh_backward(dy, dp, p, v)
    return ds @ k, ds.swapaxes(1, 2) @ q, dv, None              # (B, T, A), (B, S, A), (B, S, C)

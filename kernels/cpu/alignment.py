"""Additive and multiplicative attention on the CPU: p is stored, the tanh of each pair is not.

The mathematics is in nanollm/ops/alignment.py. The page keeps tanh(q_t + k_s), an array (B, T, S,
A); here a row of it lives in cache while it is needed, and backward computes it again, but not
for pairs of weight 0, such as masked ones. Batches are shared among the threads; each adds into its
own dw. The softmax is the kernel of attention.py, with one head and no scale.
"""

import numpy as np

from kernels.cpu.attention import shared_out, softmax_rows
from kernels.cpu.compile import kernel
from kernels.cpu.memory import empty
from kernels.cpu.rows import empty_like
from kernels.cpu.softmax import softmax_backward
from kernels.cpu.threads import by_rows
from kernels.scalar import tanh
from nanollm.ops.alignment import check_alignment, pairs
from nanollm.ops.checks import expect


@kernel
def _scores(q, k, scores, w):                    # (B, T, A), (B, S, A), (B, T, S), (A,)
    B, T, S = scores.shape
    for b in range(B):
        for t in range(T):
            for s in range(S):
                total = w.dtype.type(0)
                for a in range(w.size):
                    total += w[a] * tanh(q[b, t, a] + k[b, s, a])
                scores[b, t, s] = total


@kernel
def _scores_backward(ds, q, k, dq, dk, w, dw):   # (B, T, S), then as q, k; (A,) twice
    B, T, S = ds.shape
    one, e = w.dtype.type(1), np.empty_like(w)
    dq[:], dk[:] = 0, 0
    for b in range(B):
        for t in range(T):
            for s in range(S):
                d = ds[b, t, s]
                if d == 0:
                    continue
                for a in range(w.size):
                    e[a] = tanh(q[b, t, a] + k[b, s, a])
                for a in range(w.size):
                    dw[a] += d * e[a]
                for a in range(w.size):
                    e[a] = d * w[a] * (one - e[a] * e[a])
                for a in range(w.size):
                    dq[b, t, a] += e[a]
                    dk[b, s, a] += e[a]


def weigh(p, v, mask):
    """p (B, T, S) comes with the scores in it, and leaves as their softmax; returns p v."""
    (B, T, S), C = p.shape, v.shape[2]
    y, scratch = empty((B, T, C), p.dtype), empty((2, B, 1, T), p.dtype)
    if mask is not None:
        np.copyto(p, -np.inf, where=~pairs(mask))

    def part(b):
        softmax_rows(p[b, None], scratch[0, b], scratch[1, b], S, 1.0)
        np.matmul(p[b], v[b], out=y[b])

    shared_out(part, B, p.size * C)
    return y


def weigh_backward(dy, dp, p, v):
    """The gradients of the scores (B, T, S) and of v (B, S, C)."""
    expect("attention's backward", "dy", dy, (*p.shape[:2], v.shape[2]))
    through_y, dv = empty_like(p), empty_like(v)

    def part(b):
        np.matmul(dy[b], v[b].swapaxes(1, 2), out=through_y[b])
        np.matmul(p[b].swapaxes(1, 2), dy[b], out=dv[b])

    shared_out(part, len(p), p.size * v.shape[2])
    (ds,) = softmax_backward(through_y if dp is None else through_y + dp, (p,))
    return ds, dv


def additive_attention(q, k, v, w, mask=None, *, weights=False):
    B, T, S = check_alignment("additive_attention", q, k, v, mask)
    expect("additive_attention", "w", w, q.shape[2:])
    q, k, w = map(np.ascontiguousarray, (q, k, w))
    p = empty((B, T, S), q.dtype)
    by_rows(_scores, (q, k, p), w, work=p.size * w.size)
    y = weigh(p, v, mask)
    return ((y, p) if weights else y), (q, k, v, w, p, weights)


def additive_attention_backward(dy, saved):
    q, k, v, w, p, weights = saved
    dy, dp = dy if weights else (dy, None)
    ds, dv = weigh_backward(dy, dp, p, v)
    dq, dk, dw = empty_like(q), empty_like(k), empty_like(w)
    by_rows(_scores_backward, (ds, q, k, dq, dk), w, sums=(dw,), work=p.size * w.size)
    return dq, dk, dv, dw, None


def multiplicative_attention(q, k, v, mask=None, *, weights=False):
    B, T, S = check_alignment("multiplicative_attention", q, k, v, mask)
    p = empty((B, T, S), q.dtype)
    shared_out(lambda b: np.matmul(q[b], k[b].swapaxes(1, 2), out=p[b]), B, p.size * q.shape[2])
    y = weigh(p, v, mask)
    return ((y, p) if weights else y), (q, k, v, p, weights)


def multiplicative_attention_backward(dy, saved):
    q, k, v, p, weights = saved
    dy, dp = dy if weights else (dy, None)
    ds, dv = weigh_backward(dy, dp, p, v)
    dq, dk = empty_like(q), empty_like(k)

    def part(b):
        np.matmul(ds[b], k[b], out=dq[b])
        np.matmul(ds[b].swapaxes(1, 2), q[b], out=dk[b])

    shared_out(part, len(p), p.size * q.shape[2])
    return dq, dk, dv, None

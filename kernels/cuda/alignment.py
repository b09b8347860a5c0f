"""Additive and multiplicative attention on the GPU: p is stored, the tanh of each pair is not.

The mathematics is in nanollm/ops/alignment.py. p (B, T, S) is small where these are used, a decoder
that looks at one sentence; an array of (B, T, S, A) would not be, so tanh(q_t + k_s) is computed
where it is needed: once for the scores, and going back once for dq and dw and once for dk, each by
a thread that adds up one number in a fixed order. Products are products.py's.
"""

import math

from kernels.cuda.arrays import empty
from kernels.cuda.block import SLOTS, THREADS, as_rows, by_entry, by_row
from kernels.cuda.device import cuda
from kernels.cuda.elementwise import add
from kernels.cuda.products import product
from kernels.cuda.shape import sum_axis
from kernels.cuda.softmax import max_and_total, softmax_backward
from nanollm.ops.alignment import check_alignment
from nanollm.ops.checks import expect


@cuda.jit
def _scores(q, k, w, scores):                    # (B, T, A), (B, S, A), (A,) → (B, T, S)
    i = cuda.grid(1)
    _, T, S = scores.shape
    if i < scores.size:
        b, t, s = i // (T * S), i // S % T, i % S
        total = w.dtype.type(0)
        for a in range(w.size):
            total += w[a] * math.tanh(q[b, t, a] + k[b, s, a])
        scores[b, t, s] = total


@cuda.jit
def _mask(scores, mask, rows):                   # (N, S), (N / rows, S)
    i = cuda.grid(1)
    S = scores.shape[1]
    if i < scores.size:
        n, s = i // S, i % S
        if not mask[n // rows, s]:
            scores[n, s] = scores.dtype.type(-math.inf)


@cuda.jit
def _weights(p):                                 # (N, S) in place: scores become their softmax
    scratch = cuda.shared.array(SLOTS, p.dtype)
    n, zero = cuda.blockIdx.x, p.dtype.type(0)
    m, total = max_and_total(p, n, scratch)      # a row masked everywhere has total 0
    for s in range(cuda.threadIdx.x, p.shape[1], THREADS):
        p[n, s] = math.exp(p[n, s] - m) / total if total > zero else zero


@cuda.jit
def _query_gradient(ds, q, k, w, dq, de):        # (B, T, S), ... → (B, T, A) twice
    i = cuda.grid(1)
    _, T, A = q.shape
    if i < q.size:
        b, t, a = i // (T * A), i // A % T, i % A
        zero, one = w.dtype.type(0), w.dtype.type(1)
        to_q, to_w = zero, zero
        for s in range(ds.shape[2]):
            e = math.tanh(q[b, t, a] + k[b, s, a])
            to_q += ds[b, t, s] * (one - e * e)
            to_w += ds[b, t, s] * e
        dq[b, t, a], de[b, t, a] = w[a] * to_q, to_w


@cuda.jit
def _key_gradient(ds, q, k, w, dk):              # (B, T, S), ... → (B, S, A)
    i = cuda.grid(1)
    _, S, A = k.shape
    if i < k.size:
        b, s, a = i // (S * A), i // A % S, i % A
        total, one = w.dtype.type(0), w.dtype.type(1)
        for t in range(ds.shape[1]):
            e = math.tanh(q[b, t, a] + k[b, s, a])
            total += ds[b, t, s] * (one - e * e)
        dk[b, s, a] = w[a] * total


def weigh(p, v, mask):
    """p (B, T, S) comes with the scores in it, and leaves as their softmax; returns p v."""
    B, T, S = p.shape
    if mask is not None:
        rows = mask.reshape(mask.size // max(S, 1), S)
        by_entry(_mask, p.size, as_rows(p), rows, T if mask.ndim == 2 else 1)
    by_row(_weights, B * T if S else 0, as_rows(p))
    return product(p, v)


def weigh_backward(dy, dp, p, v):
    """The gradients of the scores (B, T, S) and of v (B, S, C)."""
    through = product(dy, v, b_turned=True)
    dp = through if dp is None else add(dp, through)[0]
    return softmax_backward(dp, (p,))[0], product(p, dy, a_turned=True)


def additive_attention(q, k, v, w, mask=None, *, weights=False):
    B, T, S = check_alignment("additive_attention", q, k, v, mask)
    expect("additive_attention", "w", w, q.shape[2:])
    p = empty((B, T, S), q.dtype)
    by_entry(_scores, p.size, q, k, w, p)
    y = weigh(p, v, mask)
    return ((y, p) if weights else y), (q, k, v, w, p, weights)


def additive_attention_backward(dy, saved):
    q, k, v, w, p, weights = saved
    dy, dp = dy if weights else (dy, None)
    ds, dv = weigh_backward(dy, dp, p, v)
    dq, dk, de = (empty(x.shape, x.dtype) for x in (q, k, q))
    by_entry(_query_gradient, q.size, ds, q, k, w, dq, de)
    by_entry(_key_gradient, k.size, ds, q, k, w, dk)
    return dq, dk, dv, sum_axis(as_rows(de), 0).reshape(w.shape), None


def multiplicative_attention(q, k, v, mask=None, *, weights=False):
    check_alignment("multiplicative_attention", q, k, v, mask)
    p = product(q, k, b_turned=True)
    y = weigh(p, v, mask)
    return ((y, p) if weights else y), (q, k, v, p, weights)


def multiplicative_attention_backward(dy, saved):
    q, k, v, p, weights = saved
    dy, dp = dy if weights else (dy, None)
    ds, dv = weigh_backward(dy, dp, p, v)
    return product(ds, k), product(ds, q, a_turned=True), dv, None

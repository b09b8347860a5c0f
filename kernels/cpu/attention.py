"""Attention on the CPU: products by BLAS, the masked softmax between them in one walk.

The mathematics is in nanollm/ops/attention.py. Heads are views of q, k and v (BLAS takes a stride
between rows), so nothing is transposed or copied, and results are written where they belong.
A causal query sees no future: queries go by blocks of BLOCK rows, and each block multiplies only
the keys up to its own end. At T = 256 that leaves 10 of 16 block products. The upper corner of p
that is never computed is never read. Batches are shared among the threads.
Of p, the largest array of a layer, two numbers a row are saved: the largest score m and the sum of
exp(s - m). Backward multiplies q kᵀ once more, which takes less time than the memory would cost.
"""

import math

import numpy as np

from kernels.cpu.compile import kernel
from kernels.cpu.memory import empty
from kernels.cpu.threads import run, share_count
from kernels.scalar import exp
from nanollm.ops.attention import check_attention, check_self_attention
from nanollm.ops.checks import expect

BLOCK = 64                                       # query rows whose keys are cut at one place
ENOUGH = 2 ** 20                                 # multiplications a thread must get


@kernel
def softmax_rows(p, m, total, first, scale):     # (B, H, T, S) in place, (B, H, T) twice
    """Row t sees first + t keys."""
    B, H, T, S = p.shape
    zero, one = p.dtype.type(0), p.dtype.type(1)
    scale = p.dtype.type(scale)
    for b in range(B):
        for h in range(H):
            for t in range(T):
                seen = min(first + t, S)
                largest = p.dtype.type(-np.inf)
                for s in range(seen):
                    largest = max(largest, p[b, h, t, s])
                if largest == -np.inf:           # masked everywhere: let exp(-inf - m) be 0
                    largest = zero
                partial = zero
                for s in range(seen):
                    e = exp(scale * (p[b, h, t, s] - largest))
                    p[b, h, t, s] = e
                    partial += e
                m[b, h, t], total[b, h, t] = largest, partial if partial > zero else one
                weight = one / total[b, h, t]
                for s in range(seen):
                    p[b, h, t, s] *= weight
                for s in range(seen, S):
                    p[b, h, t, s] = zero


@kernel
def _softmax_again(p, m, total, first, scale):   # scores in, the same p out
    B, H, T, S = p.shape
    zero, one = p.dtype.type(0), p.dtype.type(1)
    scale = p.dtype.type(scale)
    for b in range(B):
        for h in range(H):
            for t in range(T):
                seen = min(first + t, S)
                weight = one / total[b, h, t]
                for s in range(seen):
                    p[b, h, t, s] = weight * exp(scale * (p[b, h, t, s] - m[b, h, t]))
                for s in range(seen, S):
                    p[b, h, t, s] = zero


@kernel
def _softmax_backward(dp, p, first, scale):      # (B, H, T, S) twice: dp becomes ds
    B, H, T, S = p.shape
    zero = p.dtype.type(0)
    scale = p.dtype.type(scale)
    for b in range(B):
        for h in range(H):
            for t in range(T):
                seen = min(first + t, S)
                mean = zero
                for s in range(seen):
                    mean += p[b, h, t, s] * dp[b, h, t, s]
                for s in range(seen):
                    dp[b, h, t, s] = scale * p[b, h, t, s] * (dp[b, h, t, s] - mean)
                for s in range(seen, S):
                    dp[b, h, t, s] = zero


def blocks(T, S, causal, whole):
    """(query rows, how many keys their last sees, how many their first) of each block.

    One block where there is nothing to skip, or all of p is asked for.
    """
    if not causal:
        return [(slice(0, T), S, S)]
    if whole or T != S:
        return [(slice(0, T), S, S - T + 1)]
    cuts = [*range(0, T, BLOCK), T]
    return [(slice(t, end), end, t + 1) for t, end in zip(cuts, cuts[1:])]


def in_heads(x, heads):
    """(..., T, C) → (B, H, T, D), a view: the leading axes are folded into one."""
    T, C = x.shape[-2:]
    return x.reshape(math.prod(x.shape[:-2]), T, heads, C // heads).transpose(0, 2, 1, 3)


def shared_out(part, B, work):
    """part(slice of the batch), on each thread."""
    shares = max(1, min(share_count(), B, work // ENOUGH))
    run(lambda i=i: part(slice(B * i // shares, B * (i + 1) // shares)) for i in range(shares))


def score(p, q, k, mask, rows, keys, b):
    """Fill p[b, :, rows, :keys] with the scores q kᵀ, masked; return that view."""
    scores = p[b, :, rows, :keys]
    np.matmul(q[b, :, rows], k[b, :, :keys].swapaxes(2, 3), out=scores)
    if mask is not None:
        np.copyto(scores, -np.inf, where=~mask[b, :, rows, :keys])
    return scores


def forward(q, k, v, y, mask, causal, whole=False):
    """Fill y; q, y (B, H, T, D), k, v (B, H, S, D), mask (B, 1, T, S) or None; return saved, p."""
    (B, H, T, D), S = q.shape, k.shape[2]
    p, m, total = empty((B, H, T, S), q.dtype), *empty((2, B, H, T), q.dtype)

    def part(b):
        for rows, keys, first in blocks(T, S, causal, whole):
            scores = score(p, q, k, mask, rows, keys, b)
            softmax_rows(scores, m[b, :, rows], total[b, :, rows], first, 1 / math.sqrt(D))
            np.matmul(scores, v[b, :, :keys], out=y[b, :, rows])

    shared_out(part, B, p.size * D)
    return (q, k, v, mask, m, total, causal, whole), p


def backward(dy, dp, saved, dq, dk, dv):
    """Fill dq, dk, dv; all in heads as q, k, v are; dp (B, H, T, S) or None."""
    q, k, v, mask, m, total, causal, whole = saved
    (B, H, T, D), S = q.shape, k.shape[2]
    p, ds = empty((B, H, T, S), q.dtype), empty((B, H, T, S), q.dtype)
    queries = blocks(T, S, causal, whole)

    def part(b):
        for rows, keys, first in queries:
            weights = score(p, q, k, mask, rows, keys, b)
            _softmax_again(weights, m[b, :, rows], total[b, :, rows], first, 1 / math.sqrt(D))
            scores = ds[b, :, rows, :keys]
            np.matmul(dy[b, :, rows], v[b, :, :keys].swapaxes(2, 3), out=scores)
            if dp is not None:
                scores += dp[b, :, rows, :keys]
            _softmax_backward(scores, weights, first, 1 / math.sqrt(D))
            np.matmul(scores, k[b, :, :keys], out=dq[b, :, rows])
        for rows, _, _ in queries:                              # as keys: who looks at them?
            keys = rows if len(queries) > 1 else slice(0, S)
            later = slice(rows.start, T)
            np.matmul(p[b, :, later, keys].swapaxes(2, 3), dy[b, :, later], out=dv[b, :, keys])
            np.matmul(ds[b, :, later, keys].swapaxes(2, 3), q[b, :, later], out=dk[b, :, keys])

    shared_out(part, B, p.size * D)


def mask_rows(mask, lead, T, S):
    """A mask that broadcasts to (..., T, S), as (B, 1, T, S)."""
    if mask is None:
        return None
    return np.broadcast_to(mask, (*lead, T, S)).reshape(math.prod(lead), 1, T, S)


def attention(q, k, v, mask=None, *, heads=1, causal=False, weights=False):
    T, S, D = check_attention(q, k, v, mask, heads, causal)
    lead = q.shape[:-2]
    y = empty(q.shape, q.dtype)
    saved, p = forward(in_heads(q, heads), in_heads(k, heads), in_heads(v, heads),
                       in_heads(y, heads), mask_rows(mask, lead, T, S), causal, whole=weights)
    if weights:
        return (y, p.reshape(*lead, heads, T, S)), (saved, lead, weights)
    return y, (saved, lead, weights)


def attention_backward(dy, saved):
    saved, lead, weights = saved
    dy, dp = dy if weights else (dy, None)
    q, k, *_ = saved
    (_, H, T, D), S = q.shape, k.shape[2]
    expect("attention_backward", "dy", dy, (*lead, T, H * D))
    dq, dk, dv = (empty((*lead, n, H * D), dy.dtype) for n in (T, S, S))
    backward(in_heads(dy, H), None if dp is None else dp.reshape(-1, H, T, S), saved,
             in_heads(dq, H), in_heads(dk, H), in_heads(dv, H))
    return dq, dk, dv, None


def thirds(qkv, heads):
    """q, k, v (B, H, T, D), views into qkv (..., T, 3C)."""
    T, C = qkv.shape[-2], qkv.shape[-1] // 3
    rows = qkv.reshape(math.prod(qkv.shape[:-2]), T, 3 * C)
    return [in_heads(rows[:, :, i * C:(i + 1) * C], heads) for i in range(3)]


def self_attention(qkv, mask=None, *, heads=1, causal=False):
    check_self_attention(qkv)
    *lead, T, C3 = qkv.shape
    y = empty((*lead, T, C3 // 3), qkv.dtype)
    check_attention(y, y, y, mask, heads, causal)
    saved, _ = forward(*thirds(qkv, heads), in_heads(y, heads), mask_rows(mask, lead, T, T),
                       causal)
    return y, (saved, qkv.shape, heads)


def self_attention_backward(dy, saved):
    saved, shape, heads = saved
    expect("self_attention_backward", "dy", dy, (*shape[:-1], shape[-1] // 3))
    dqkv = empty(shape, dy.dtype)
    backward(in_heads(dy, heads), None, saved, *thirds(dqkv, heads))
    return dqkv, None

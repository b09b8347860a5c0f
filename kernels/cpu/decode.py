"""Decoding on the CPU: memory is the floor, for each weight is read once and used once.

The mathematics is in nanollm/ops/decode.py. A step is one kernel: layernorm, products and attention
of one token stay in cache between the weights. Threads split a large block as tensor parallelism
does: each takes some heads (some columns of w1), their columns of the first product and their rows
of the second; they meet once, to add up.
"""

from functools import lru_cache

import numpy as np

from kernels.cpu.attention import softmax_rows
from kernels.cpu.compile import kernel
from kernels.cpu.gelu import erf_form, tanh_form
from kernels.cpu.layernorm import layernorm_rows
from kernels.cpu.linear import add_vector_product
from kernels.cpu.threads import run, share_count

ENOUGH = 2 ** 18                                 # weights a thread must get


@kernel
def _normalize(x, gamma, beta, eps):             # (1, C) → (C,)
    y, mu, r = np.empty_like(x), np.empty(1, x.dtype), np.empty(1, x.dtype)
    layernorm_rows(x, y, mu, r, gamma, beta, eps)
    return y[0]


@kernel
def _attention_part(x, gamma, beta, w_qkv, b_qkv, w_out, keys, values, y, length, D, first, last,
                    eps):
    """Add to y (C,) what heads first ... last - 1 contribute."""
    C = x.shape[1]
    a, b = first * D, last * D                   # their columns
    normal = _normalize(x, gamma, beta, eps)
    q, out = b_qkv[a:b].copy(), np.zeros(b - a, x.dtype)
    keys[length, a:b] = b_qkv[C + a:C + b]
    values[length, a:b] = b_qkv[2 * C + a:2 * C + b]
    add_vector_product(normal, w_qkv, a, q)
    add_vector_product(normal, w_qkv, C + a, keys[length, a:b])
    add_vector_product(normal, w_qkv, 2 * C + a, values[length, a:b])
    scores = np.zeros((1, 1, last - first, length + 1), x.dtype)
    for h in range(last - first):
        mine = q[h * D:(h + 1) * D]
        for s in range(length + 1):
            key = keys[s, a + h * D:a + (h + 1) * D]
            score = x.dtype.type(0)
            for d in range(D):
                score += mine[d] * key[d]
            scores[0, 0, h, s] = score
    softmax_rows(scores, length + 1, 1 / np.sqrt(D))
    for h in range(last - first):
        add_vector_product(scores[0, 0, h], values[:length + 1], a + h * D,
                           out[h * D:(h + 1) * D])
    add_vector_product(out, w_out[a:b], 0, y)


@kernel
def _tanh_mlp_part(x, gamma, beta, w1, b1, w2, y, first, last, eps):
    """Add to y (C,) what columns first ... last - 1 of w1 contribute."""
    z = np.zeros((1, last - first), x.dtype)
    add_vector_product(_normalize(x, gamma, beta, eps), w1, first, z[0])
    tanh_form(z, z, b1[first:last])
    add_vector_product(z[0], w2[first:last], 0, y)


@kernel
def _erf_mlp_part(x, gamma, beta, w1, b1, w2, y, first, last, eps):
    z = np.zeros((1, last - first), x.dtype)
    add_vector_product(_normalize(x, gamma, beta, eps), w1, first, z[0])
    erf_form(z, z, b1[first:last])
    add_vector_product(z[0], w2[first:last], 0, y)


@lru_cache
def _zeros(size, dtype):
    return np.zeros(size, dtype)


def or_zeros(b, w):
    return _zeros(w.shape[1], w.dtype) if b is None else b


def _shared_out(part, x, b, units, weights):
    """x + b + the sum of part(y, first, last) over ranges of `units`, one for each thread."""
    shares = max(1, min(share_count(), units, weights // ENOUGH))
    y = np.zeros((shares, x.shape[1]), x.dtype)
    if shares == 1:
        part(y[0], 0, units)
    else:
        run([lambda i=i: part(y[i], units * i // shares, units * (i + 1) // shares)
             for i in range(shares)])
    total = x + (y[0] if shares == 1 else y.sum(axis=0))
    return total if b is None else total + b


def attention_step_(x, gamma, beta, w_qkv, b_qkv, w_out, b_out, keys, values, *, length, heads,
                    eps=1e-5):
    D = x.shape[1] // heads
    beta, b_qkv = or_zeros(beta, x), or_zeros(b_qkv, w_qkv)
    return _shared_out(
        lambda y, first, last: _attention_part(x, gamma, beta, w_qkv, b_qkv, w_out, keys, values,
                                               y, length, D, first, last, eps),
        x, b_out, heads, w_qkv.size + w_out.size)


def mlp_step(x, gamma, beta, w1, b1, w2, b2, *, exact=False, eps=1e-5):
    part = _erf_mlp_part if exact else _tanh_mlp_part
    beta, b1 = or_zeros(beta, x), or_zeros(b1, w1)
    return _shared_out(
        lambda y, first, last: part(x, gamma, beta, w1, b1, w2, y, first, last, eps),
        x, b2, w1.shape[1], w1.size + w2.size)

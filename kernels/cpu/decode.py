"""Decoding on the CPU: memory is the floor, for each weight is read once and used once.

The mathematics is in nanollm/ops/decode.py. In a small model the weights are in cache, and what
costs is the way from one op to the next in Python; so a step is one kernel. Only in a block so
large that threads should share its products (linear.py says when) it is what the page says.
"""

import math

import numpy as np

from kernels.cpu.attention import softmax_rows
from kernels.cpu.compile import kernel
from kernels.cpu.gelu import erf_form, gelu, tanh_form
from kernels.cpu.layernorm import layernorm, layernorm_rows, or_zeros
from kernels.cpu.linear import MANY, add_vector_product, linear
from nanollm.ops.decode import check_attention_step, check_mlp_step


@kernel
def _normalize(x, gamma, beta, eps):             # (1, C) → (C,)
    y, mu, r = np.empty_like(x), np.empty(1, x.dtype), np.empty(1, x.dtype)
    layernorm_rows(x, y, mu, r, gamma, beta, eps)
    return y[0]


@kernel
def _attend(qkv, keys, values, length, heads):   # (3C,), (context, C) twice → (C,)
    """Write row `length` of keys and values, then attend to all up to it."""
    C = keys.shape[1]
    D = C // heads
    keys[length] = qkv[C:2 * C]
    values[length] = qkv[2 * C:]
    scores = np.empty((1, 1, heads, length + 1), qkv.dtype)
    for s in range(length + 1):
        for h in range(heads):
            q, k = qkv[h * D:(h + 1) * D], keys[s, h * D:(h + 1) * D]
            score = qkv.dtype.type(0)
            for d in range(D):
                score += q[d] * k[d]
            scores[0, 0, h, s] = score
    m, total = np.empty((1, 1, heads), qkv.dtype), np.empty((1, 1, heads), qkv.dtype)
    softmax_rows(scores, m, total, length + 1, 1 / math.sqrt(D))
    y = np.zeros(C, qkv.dtype)
    for s in range(length + 1):
        for h in range(heads):
            out, v = y[h * D:(h + 1) * D], values[s, h * D:(h + 1) * D]
            for d in range(D):
                out[d] += scores[0, 0, h, s] * v[d]
    return y


@kernel
def _attention_step(x, gamma, beta, w_qkv, b_qkv, w_out, keys, values, length, heads, eps):
    qkv, y = b_qkv.copy(), x.copy()
    add_vector_product(_normalize(x, gamma, beta, eps), w_qkv, qkv)
    add_vector_product(_attend(qkv, keys, values, length, heads), w_out, y[0])
    return y


@kernel
def _mlp_step(x, gamma, beta, w1, b1, w2, exact, eps):
    z, y = np.zeros((1, w1.shape[1]), x.dtype), x.copy()
    add_vector_product(_normalize(x, gamma, beta, eps), w1, z[0])
    if exact:
        erf_form(z, z, b1)
    else:
        tanh_form(z, z, b1)
    add_vector_product(z[0], w2, y[0])
    return y


def attention_step_(x, gamma, beta, w_qkv, b_qkv, w_out, b_out, keys, values, *, length, heads,
                    eps=1e-5):
    check_attention_step(x, gamma, beta, w_qkv, b_qkv, w_out, b_out, keys, values, length, heads)
    if w_qkv.size <= MANY:
        y = _attention_step(x, gamma, or_zeros(beta, gamma), w_qkv, or_zeros(b_qkv, w_qkv[0]),
                            w_out, keys, values, length, heads, eps)
        return y if b_out is None else y + b_out
    y, _ = layernorm(x, gamma, beta, eps=eps)                   # (1, C)
    qkv, _ = linear(y, w_qkv, b_qkv)                            # (1, 3C)
    y = _attend(qkv[0], keys, values, length, heads)            # (C,)
    y, _ = linear(y[None], w_out, b_out)                        # (1, C)
    return x + y


def mlp_step(x, gamma, beta, w1, b1, w2, b2, *, exact=False, eps=1e-5):
    check_mlp_step(x, gamma, beta, w1, b1, w2, b2)
    if w1.size <= MANY:
        y = _mlp_step(x, gamma, or_zeros(beta, gamma), w1, or_zeros(b1, w1[0]), w2, exact, eps)
        return y if b2 is None else y + b2
    y, _ = layernorm(x, gamma, beta, eps=eps)                   # (1, C)
    z, _ = linear(y, w1, b1)                                    # (1, F)
    z, _ = gelu(z, exact=exact)                                 # (1, F)
    y, _ = linear(z, w2, b2)                                    # (1, C)
    return x + y

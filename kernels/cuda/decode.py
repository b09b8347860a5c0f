"""Decoding on the GPU: few launches, and each of them reads what it needs once.

The mathematics is in nanollm/ops/decode.py. For one token a product is a walk over its weights, and
memory is the floor: products.py has a kernel for few rows. Between the products little is to be
done, and what costs is the number of launches. The first kernel normalizes x and also adds x and
the bias of the second product, so that the residual is where that product's sums begin; another
does the whole attention: 4 launches for each half of a block, one more past THREADS keys.

One query on all keys so far: a block takes THREADS keys of one head, a key a thread, for the scores
and their softmax, then the same threads go over to columns of the values, in as many groups as
there is room for, each of which takes every so manyth key. The block whose keys end with the new
one writes the new rows of keys and values first; no other block reads them. The parts of a longer
past are joined in a second launch, as attention.py joins tiles.
"""

import math
from functools import cache

from kernels.cuda.arrays import empty
from kernels.cuda.block import SLOTS, THREADS, block_max, block_sum, by_entry, by_row, launch
from kernels.cuda.device import cuda
from kernels.cuda.gelu import gelu
from kernels.cuda.layernorm import normalize_row, zero_row
from kernels.cuda.products import aligned, product
from kernels.cuda.registers import add_inner, single
from kernels.cuda.softmax import LOWEST
from kernels.cuda.vectors import load, width
from nanollm.ops.decode import check_attention_step, check_mlp_step


@cuda.jit
def _normalize(x, gamma, beta, bias, eps, y, begin, mu, r):     # (1, C), (C,) ×3 → (1, C) twice
    scratch = cuda.shared.array(SLOTS, x.dtype)
    normalize_row(x, gamma, beta, eps, y, mu, r, scratch)
    for c in range(cuda.threadIdx.x, x.shape[1], THREADS):
        begin[0, c] = x[0, c] + bias[c]


@cache
def attend_kernel(dtype, vectors):
    """The kernel; `vectors`: queries and keys can be read in vectors."""
    read, STEP, of = (load, width(dtype), dtype.type) if vectors else (single, 1, dtype.type)
    ZERO = ((of(0),),)

    @cuda.jit
    def kernel(qkv, keys, values, length, heads, scale, y, m, total):    # → (P, C), (P, H) twice
        scratch = cuda.shared.array(SLOTS, dtype)
        weights = cuda.shared.array(THREADS, dtype)
        sums = cuda.shared.array(THREADS, dtype)
        C, t = keys.shape[1], cuda.threadIdx.x
        D = C // heads
        part, h = cuda.blockIdx.x // heads, cuda.blockIdx.x % heads
        s0, first = part * THREADS, h * D
        count = min(THREADS, length + 1 - s0)
        if s0 + count == length + 1:
            for d in range(first + t, first + D, THREADS):
                keys[length, d] = qkv[0, C + d]
                values[length, d] = qkv[0, 2 * C + d]
        cuda.syncthreads()                       # the new rows are there

        score, weight = of(LOWEST), of(0)
        if t < count:
            dot = ZERO
            for d in range(first, first + D, STEP):
                dot = add_inner(dot, (read(qkv, 0, d),), (read(keys, s0 + t, d),))
            score = dot[0][0]
        largest = block_max(score, scratch)
        if t < count:
            weight = math.exp(scale * (score - largest))
        weights[t] = weight
        sum_exp = block_sum(weight, scratch)     # all weights are there
        share = of(1) / sum_exp if y.shape[0] == 1 else of(1)
        if t == 0:
            m[part, h], total[part, h] = largest, sum_exp

        across = min(D, THREADS)
        groups = THREADS // across
        for d0 in range(0, D, across):
            d, value = d0 + t % across, of(0)
            if d < D and t < groups * across:
                for s in range(t // across, count, groups):
                    value += weights[s] * values[s0 + s, first + d]
            sums[t] = value
            cuda.syncthreads()
            if t < across and d < D:
                for i in range(t + across, groups * across, across):
                    value += sums[i]
                y[part, first + d] = share * value
            cuda.syncthreads()                   # all have read before any writes again

    return kernel


@cuda.jit
def _join(parts, m, total, scale, y):            # (P, C), (P, H) twice → (1, C)
    c = cuda.grid(1)
    P, C = parts.shape
    if c < C:
        h = c // (C // m.shape[1])
        highest = m[0, h]
        for p in range(1, P):
            highest = max(highest, m[p, h])
        value, sum_exp = y.dtype.type(0), y.dtype.type(0)
        for p in range(P):
            factor = math.exp(scale * (m[p, h] - highest))
            value += factor * parts[p, c]
            sum_exp += factor * total[p, h]
        y[0, c] = value / sum_exp


def normalize(x, gamma, beta, bias, eps):
    """layernorm(x), and x + bias; one launch."""
    C = gamma.size
    y, begin = empty(x.shape, x.dtype), empty(x.shape, x.dtype)
    mu, r = empty(1, x.dtype), empty(1, x.dtype)
    beta, bias = (zero_row(C, x.dtype) if b is None else b for b in (beta, bias))
    by_row(_normalize, 1, x, gamma, beta, bias, x.dtype.type(eps), y, begin, mu, r)
    return y, begin


def attend(qkv, keys, values, length, heads):
    """Write row `length` of keys and values, then attend to all up to it: (1, C)."""
    C, dtype = keys.shape[1], keys.dtype
    P = length // THREADS + 1
    y, m, total = empty((P, C), dtype), empty((P, heads), dtype), empty((P, heads), dtype)
    scale = dtype.type(math.sqrt(heads / C))
    vectors = C // heads % width(dtype) == 0 and aligned(qkv) and aligned(keys)
    launch(attend_kernel(dtype, vectors), P * heads, qkv, keys, values, length, heads, scale,
           y, m, total)
    if P == 1:
        return y
    joined = empty((1, C), dtype)
    by_entry(_join, C, y, m, total, scale, joined)
    return joined


def attention_step_(x, gamma, beta, w_qkv, b_qkv, w_out, b_out, keys, values, *, length, heads,
                    eps=1e-5):
    check_attention_step(x, gamma, beta, w_qkv, b_qkv, w_out, b_out, keys, values, length, heads)
    y, begin = normalize(x, gamma, beta, b_out, eps)            # (1, C) twice
    qkv = product(y, w_qkv, b_qkv)                              # (1, 3C)
    y = attend(qkv, keys, values, length, heads)                # (1, C)
    return product(y, w_out, begin)


def mlp_step(x, gamma, beta, w1, b1, w2, b2, *, exact=False, eps=1e-5):
    check_mlp_step(x, gamma, beta, w1, b1, w2, b2)
    y, begin = normalize(x, gamma, beta, b2, eps)               # (1, C) twice
    z = product(y, w1, b1)                                      # (1, F)
    z, _ = gelu(z, exact=exact)
    return product(z, w2, begin)

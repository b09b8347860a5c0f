"""Softmax and log-sum-exp on the GPU: one block a row, its threads share the row.

The mathematics is in nanollm/ops/softmax.py. Maximum and sum are found in one walk: a thread sums
exp(x - m) over its entries with m the largest so far, and when a larger comes, m' say, multiplies
what it has by exp(m - m'). The block does so with the sums of its threads. Then softmax walks once
more and writes: exp is computed twice, because a GPU does that faster than it stores a number and
reads it back. Backward reads y and dy twice, writes dx once. Log-sum-exp saves x, m and the sum
Σ exp(x - m) in place of the softmax, which its backward computes. (Its y would do for both numbers,
but y = 1000.3 in float32 has lost the digits that exp(x - y) needs.)

Source      the sum in one walk: Milakov & Gimelshein 2018 (arXiv 1805.02867), algorithm 3
"""

import math

from kernels.cuda.arrays import empty
from kernels.cuda.block import SLOTS, THREADS, as_rows, block_max, block_sum, by_row
from kernels.cuda.device import cuda

LOWEST = -3e38                                   # below all scores; with -inf, inf - inf would come


@cuda.jit(device=True)
def max_and_total(x, n, scratch):
    """The maximum m of row n and Σ exp(x - m), in one walk."""
    of = x.dtype.type
    m, total = of(LOWEST), of(0)                 # a bare 0.0 would be float64
    for k in range(cuda.threadIdx.x, x.shape[1], THREADS):
        value = x[n, k]
        e = math.exp(-abs(value - m))            # of the smaller to the larger
        if value > m:
            total = total * e + of(1)
            m = value
        else:
            total += e
    highest = block_max(m, scratch)
    return highest, block_sum(total * math.exp(m - highest), scratch)


@cuda.jit
def _softmax(x, y):                              # (N, K) → (N, K)
    scratch = cuda.shared.array(SLOTS, x.dtype)
    n = cuda.blockIdx.x
    m, total = max_and_total(x, n, scratch)
    for k in range(cuda.threadIdx.x, x.shape[1], THREADS):
        y[n, k] = math.exp(x[n, k] - m) / total


@cuda.jit
def _softmax_backward(dy, y, dx):                # (N, K), (N, K) → (N, K)
    scratch = cuda.shared.array(SLOTS, y.dtype)
    n, t, K = cuda.blockIdx.x, cuda.threadIdx.x, y.shape[1]
    mean = y.dtype.type(0)
    for k in range(t, K, THREADS):
        mean += y[n, k] * dy[n, k]
    mean = block_sum(mean, scratch)
    for k in range(t, K, THREADS):
        dx[n, k] = y[n, k] * (dy[n, k] - mean)


@cuda.jit
def _logsumexp(x, y, m, total):                  # (N, K) → (N,), (N,), (N,)
    scratch = cuda.shared.array(SLOTS, x.dtype)
    n = cuda.blockIdx.x
    highest, sum_exp = max_and_total(x, n, scratch)
    if cuda.threadIdx.x == 0:
        m[n] = highest
        total[n] = sum_exp
        y[n] = highest + math.log(sum_exp)


@cuda.jit
def _logsumexp_backward(dy, x, m, total, dx):    # (N,), (N, K), (N,), (N,) → (N, K)
    n = cuda.blockIdx.x
    for k in range(cuda.threadIdx.x, x.shape[1], THREADS):
        dx[n, k] = dy[n] * (math.exp(x[n, k] - m[n]) / total[n])


def softmax(x):
    y = empty(x.shape, x.dtype)
    rows = as_rows(x)
    by_row(_softmax, rows.shape[0], rows, as_rows(y))
    return y, (y,)


def softmax_backward(dy, saved):
    (y,) = saved
    dx = empty(y.shape, y.dtype)
    rows = as_rows(y)
    by_row(_softmax_backward, rows.shape[0], as_rows(dy), rows, as_rows(dx))
    return (dx,)


def logsumexp(x):
    rows = as_rows(x)
    N = rows.shape[0]
    y, m, total = empty(x.shape[:x.ndim - 1], x.dtype), empty((N,), x.dtype), empty((N,), x.dtype)
    by_row(_logsumexp, N, rows, y.reshape(N), m, total)
    return y, (x, m, total)


def logsumexp_backward(dy, saved):
    x, m, total = saved
    dx = empty(x.shape, x.dtype)
    by_row(_logsumexp_backward, m.size, dy.reshape(m.size), as_rows(x), m, total, as_rows(dx))
    return (dx,)

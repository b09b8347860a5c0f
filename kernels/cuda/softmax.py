"""Softmax and log-sum-exp on the GPU: one block a row, its threads share the row.

The mathematics is in nanollm/ops/softmax.py. Maximum and sum are found by each thread for its
entries and then by the block in shared memory. Forward reads a row three times, of which the cache
answers two, and softmax writes it once: exp is computed twice, because a GPU does that faster than
it stores a number and reads it back. Backward reads y and dy twice, writes dx once. Log-sum-exp
saves x, m and the sum Σ exp(x - m) in place of the softmax, which its backward computes. (Its y
would do for both numbers, but y = 1000.3 in float32 has lost the digits that exp(x - y) needs.)
"""

import math

from kernels.cuda.arrays import empty
from kernels.cuda.block import THREADS, as_rows, block_max, block_sum, by_row
from kernels.cuda.device import cuda


@cuda.jit(device=True)
def row_max(x, n, scratch):
    m = x.dtype.type(-math.inf)
    for k in range(cuda.threadIdx.x, x.shape[1], THREADS):
        m = max(m, x[n, k])
    return block_max(m, scratch)


@cuda.jit(device=True)
def row_total(x, n, m, scratch):
    """Σ exp(x - m) over row n."""
    total = x.dtype.type(0)                      # a bare 0.0 would be float64
    for k in range(cuda.threadIdx.x, x.shape[1], THREADS):
        total += math.exp(x[n, k] - m)
    return block_sum(total, scratch)


@cuda.jit
def _softmax(x, y):                              # (N, K) → (N, K)
    scratch = cuda.shared.array(THREADS, x.dtype)
    n = cuda.blockIdx.x
    m = row_max(x, n, scratch)
    total = row_total(x, n, m, scratch)
    for k in range(cuda.threadIdx.x, x.shape[1], THREADS):
        y[n, k] = math.exp(x[n, k] - m) / total


@cuda.jit
def _softmax_backward(dy, y, dx):                # (N, K), (N, K) → (N, K)
    scratch = cuda.shared.array(THREADS, y.dtype)
    n, t, K = cuda.blockIdx.x, cuda.threadIdx.x, y.shape[1]
    mean = y.dtype.type(0)
    for k in range(t, K, THREADS):
        mean += y[n, k] * dy[n, k]
    mean = block_sum(mean, scratch)
    for k in range(t, K, THREADS):
        dx[n, k] = y[n, k] * (dy[n, k] - mean)


@cuda.jit
def _logsumexp(x, y, m, total):                  # (N, K) → (N,), (N,), (N,)
    scratch = cuda.shared.array(THREADS, x.dtype)
    n = cuda.blockIdx.x
    highest = row_max(x, n, scratch)
    sum_exp = row_total(x, n, highest, scratch)
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

"""Softmax and log-sum-exp on the CPU: a row stays in cache for its three walks.

The mathematics is in nanollm/ops/softmax.py. NumPy passes over memory once for each operation; here
maximum, sum and division walk over a row that is near, with an exp that is SIMD, and only y is
written. Log-sum-exp saves x, and m and the sum of each row, in place of the softmax, which its
backward computes. (exp(x - y) would not do: y near 1,000 has only four decimals in float32.)
"""

import numpy as np

from kernels.cpu.compile import kernel
from kernels.cpu.elementwise import flat
from kernels.cpu.memory import empty
from kernels.cpu.rows import as_rows, empty_like
from kernels.cpu.threads import by_rows
from kernels.scalar import exp
from nanollm.ops.softmax import check_rows


@kernel
def _forward(x, y):                              # (N, K) → (N, K)
    N, K = x.shape
    for n in range(N):                           # rows are independent
        m = x[n, 0]
        for k in range(1, K):
            m = max(m, x[n, k])
        total = x.dtype.type(0)
        for k in range(K):
            e = exp(x[n, k] - m)
            y[n, k] = e
            total += e
        scale = x.dtype.type(1) / total
        for k in range(K):
            y[n, k] *= scale


@kernel
def _backward(dy, y, dx):                        # (N, K), (N, K) → (N, K)
    N, K = y.shape
    for n in range(N):
        mean = y.dtype.type(0)
        for k in range(K):
            mean += y[n, k] * dy[n, k]
        for k in range(K):
            dx[n, k] = y[n, k] * (dy[n, k] - mean)


@kernel
def logsumexp_rows(x, m, total):                 # (N, K) → (N,), (N,)
    N, K = x.shape
    for n in range(N):
        largest = x[n, 0]
        for k in range(1, K):
            largest = max(largest, x[n, k])
        partial = x.dtype.type(0)
        for k in range(K):
            partial += exp(x[n, k] - largest)
        m[n], total[n] = largest, partial


@kernel
def _logsumexp_backward(x, m, total, dy, dx):    # (N, K), (N,), (N,), (N,) → (N, K)
    N, K = x.shape
    for n in range(N):
        scale = dy[n] / total[n]
        for k in range(K):
            dx[n, k] = scale * exp(x[n, k] - m[n])


def softmax(x):
    check_rows("softmax", x)
    y = empty_like(x)
    by_rows(_forward, (as_rows(x), as_rows(y)))
    return y, (y,)


def softmax_backward(dy, saved):
    (y,) = saved
    dx = empty_like(y)
    by_rows(_backward, (as_rows(dy), as_rows(y), as_rows(dx)))
    return (dx,)


def logsumexp(x):
    check_rows("logsumexp", x)
    rows = as_rows(x)
    m, total = empty((2, len(rows)), x.dtype)
    by_rows(logsumexp_rows, (rows, m, total))
    return (m + np.log(total)).reshape(x.shape[:-1]), (x, m, total)


def logsumexp_backward(dy, saved):
    x, m, total = saved
    dx = empty_like(x)
    by_rows(_logsumexp_backward, (as_rows(x), m, total, flat(dy), as_rows(dx)))
    return (dx,)

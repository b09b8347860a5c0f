"""Softmax and log-sum-exp on the CPU: a row stays in cache for its three walks.

The mathematics is in nanollm/ops/softmax.py. NumPy passes over memory once for each operation; here
maximum, sum and division walk over a row that is near, with an exp that is SIMD, and only y is
written. Log-sum-exp saves x and its result in place of the softmax, which its backward computes.
"""

import math

import numpy as np

from kernels.cpu.compile import kernel
from kernels.cpu.memory import empty
from kernels.cpu.rows import as_rows, empty_like
from kernels.cpu.threads import by_rows
from kernels.scalar import exp


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
def logsumexp_rows(x, y):                        # (N, K) → (N,)
    N, K = x.shape
    for n in range(N):
        m = x[n, 0]
        for k in range(1, K):
            m = max(m, x[n, k])
        total = x.dtype.type(0)
        for k in range(K):
            total += exp(x[n, k] - m)
        y[n] = m + math.log(total)


@kernel
def _logsumexp_backward(dy, x, y, dx):           # (N,), (N, K), (N,) → (N, K)
    N, K = x.shape
    for n in range(N):
        for k in range(K):
            dx[n, k] = dy[n] * exp(x[n, k] - y[n])


def softmax(x):
    y = empty_like(x)
    by_rows(_forward, (as_rows(x), as_rows(y)))
    return y, (y,)


def softmax_backward(dy, saved):
    (y,) = saved
    dx = empty_like(y)
    by_rows(_backward, (as_rows(dy), as_rows(y), as_rows(dx)))
    return (dx,)


def logsumexp(x):
    y = empty(x.shape[:-1], x.dtype)
    by_rows(logsumexp_rows, (as_rows(x), y.reshape(-1)))
    return y, (x, y)


def logsumexp_backward(dy, saved):
    x, y = saved
    dx = empty_like(x)
    by_rows(_logsumexp_backward,
            (np.ascontiguousarray(dy).reshape(-1), as_rows(x), y.reshape(-1), as_rows(dx)),
            work=x.size)
    return (dx,)

"""Layer normalization on the GPU: a block for each row, and for γ and β a table of partial sums.

The mathematics is in nanollm/ops/layernorm.py. Saved are x and two numbers a row, μ and r, in place
of x̂. Forward reads a row three times, of which the cache answers two, and writes it once; the
residual's addition is one more write. Backward's dx reads x and dy twice and writes once.

dγ and dβ sum over rows, which are many: a block for each group of columns alone would be 6 blocks
for C = 768, and threads of many blocks that add into one number would need atomics, whose order
changes from run to run. So a thread adds the rows p, p + P, p + 2P, ... of one column into its own
entry of a table (P, C), neighbors reading neighboring columns, and `sum` adds up the table.
"""

import math
from functools import cache

from kernels.cuda.arrays import empty, zeros
from kernels.cuda.block import SLOTS, THREADS, as_rows, block_sum, by_entry, by_row
from kernels.cuda.device import cuda
from kernels.cuda.shape import groups, sum_axis
from nanollm.ops.checks import expect
from nanollm.ops.layernorm import check_layernorm


@cuda.jit(device=True)
def normalize_row(x, gamma, beta, eps, y, mu, r, scratch):
    n, t, C = cuda.blockIdx.x, cuda.threadIdx.x, x.shape[1]
    width = x.dtype.type(C)                      # a whole number would make the quotient float64
    total = x.dtype.type(0)
    for c in range(t, C, THREADS):
        total += x[n, c]
    mean = block_sum(total, scratch) / width
    square = x.dtype.type(0)
    for c in range(t, C, THREADS):
        square += (x[n, c] - mean) * (x[n, c] - mean)
    scale = x.dtype.type(1) / math.sqrt(block_sum(square, scratch) / width + eps)
    for c in range(t, C, THREADS):
        y[n, c] = gamma[c] * ((x[n, c] - mean) * scale) + beta[c]
    if t == 0:
        mu[n] = mean
        r[n] = scale


@cuda.jit
def _forward(x, gamma, beta, eps, y, mu, r):     # (N, C), (C,), (C,) → (N, C), (N,), (N,)
    scratch = cuda.shared.array(SLOTS, x.dtype)
    normalize_row(x, gamma, beta, eps, y, mu, r, scratch)


@cuda.jit
def _residual_forward(x, h, gamma, beta, eps, s, y, mu, r):
    scratch = cuda.shared.array(SLOTS, x.dtype)
    n = cuda.blockIdx.x
    for c in range(cuda.threadIdx.x, x.shape[1], THREADS):
        s[n, c] = x[n, c] + h[n, c]              # read again by this thread alone
    normalize_row(s, gamma, beta, eps, y, mu, r, scratch)


@cuda.jit(device=True)
def row_gradient(dy, x, mu, r, gamma, dx, scratch):
    n, t, C = cuda.blockIdx.x, cuda.threadIdx.x, x.shape[1]
    width = x.dtype.type(C)
    g_mean = x.dtype.type(0)
    gx_mean = x.dtype.type(0)
    for c in range(t, C, THREADS):
        g = dy[n, c] * gamma[c]
        g_mean += g
        gx_mean += g * ((x[n, c] - mu[n]) * r[n])
    g_mean = block_sum(g_mean, scratch) / width
    gx_mean = block_sum(gx_mean, scratch) / width
    for c in range(t, C, THREADS):
        xhat = (x[n, c] - mu[n]) * r[n]
        dx[n, c] = r[n] * (dy[n, c] * gamma[c] - g_mean - xhat * gx_mean)


@cuda.jit
def _backward(dy, x, mu, r, gamma, dx):          # (N, C), (N, C), (N,), (N,), (C,) → (N, C)
    scratch = cuda.shared.array(SLOTS, x.dtype)
    row_gradient(dy, x, mu, r, gamma, dx, scratch)


@cuda.jit
def _residual_backward(ds, dy, x, mu, r, gamma, dx):
    scratch = cuda.shared.array(SLOTS, x.dtype)
    row_gradient(dy, x, mu, r, gamma, dx, scratch)
    n = cuda.blockIdx.x
    for c in range(cuda.threadIdx.x, x.shape[1], THREADS):
        dx[n, c] += ds[n, c]


@cuda.jit
def _columns(dy, x, mu, r, table):               # (N, C), (N, C), (N,), (N,) → (2, P, C)
    i = cuda.grid(1)
    P, C = table.shape[1], table.shape[2]
    if i < P * C:
        p, c = i // C, i % C
        dgamma = x.dtype.type(0)
        dbeta = x.dtype.type(0)
        for n in range(p, x.shape[0], P):
            dgamma += dy[n, c] * ((x[n, c] - mu[n]) * r[n])
            dbeta += dy[n, c]
        table[0, p, c] = dgamma
        table[1, p, c] = dbeta


@cache
def zero_row(n, dtype):
    """Zeros in place of a β or a bias that is None: never written to, so made once."""
    return zeros(n, dtype)


def layernorm(x, gamma, beta=None, *, eps=1e-5):
    check_layernorm(x, gamma, beta)
    rows, shift = as_rows(x), zero_row(gamma.size, gamma.dtype) if beta is None else beta
    N = rows.shape[0]
    y, mu, r = empty(x.shape, x.dtype), empty((N,), x.dtype), empty((N,), x.dtype)
    by_row(_forward, N, rows, gamma, shift, x.dtype.type(eps), as_rows(y), mu, r)
    return y, (x, mu, r, gamma, beta is not None)


def layernorm_backward(dy, saved):
    x, mu, r, gamma, has_beta = saved
    dx = empty(x.shape, x.dtype)
    by_row(_backward, mu.size, as_rows(dy), as_rows(x), mu, r, gamma, as_rows(dx))
    dgamma, dbeta = columns(dy, saved)
    return dx, dgamma, dbeta


def residual_layernorm(x, h, gamma, beta=None, *, eps=1e-5):
    expect("residual_layernorm", "h", h, x.shape)
    check_layernorm(x, gamma, beta)
    rows, shift = as_rows(x), zero_row(gamma.size, gamma.dtype) if beta is None else beta
    N = rows.shape[0]
    s, y = empty(x.shape, x.dtype), empty(x.shape, x.dtype)
    mu, r = empty((N,), x.dtype), empty((N,), x.dtype)
    by_row(_residual_forward, N, rows, as_rows(h), gamma, shift, x.dtype.type(eps),
           as_rows(s), as_rows(y), mu, r)
    return (s, y), (s, mu, r, gamma, beta is not None)


def residual_layernorm_backward(dy, saved):
    ds, dy = dy
    s, mu, r, gamma, has_beta = saved
    dx = empty(s.shape, s.dtype)
    by_row(_residual_backward, mu.size, as_rows(ds), as_rows(dy), as_rows(s), mu, r, gamma,
           as_rows(dx))
    dgamma, dbeta = columns(dy, saved)
    return dx, dx, dgamma, dbeta


def columns(dy, saved):
    """dγ and, if there is a β, dβ."""
    x, mu, r, gamma, has_beta = saved
    P = groups(mu.size)
    table = empty((2, P, gamma.size), x.dtype)
    by_entry(_columns, P * gamma.size, as_rows(dy), as_rows(x), mu, r, table)
    sums = sum_axis(table, 1)                                   # (2, 1, C)
    return sums[0].reshape(gamma.size), sums[1].reshape(gamma.size) if has_beta else None

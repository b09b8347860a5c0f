"""Layer normalization on the CPU: a row stays in cache for its three walks.

The mathematics is in nanollm/ops/layernorm.py. Saved are x and two numbers a row, μ and r, in place
of all of x̂. The residual's addition happens in the first walk. Rows are shared among the threads;
each adds its rows into its own dγ and dβ, which are summed at the end.
"""

import math

import numpy as np

from kernels.cpu.compile import kernel
from kernels.cpu.memory import empty
from kernels.cpu.rows import as_rows, empty_like
from kernels.cpu.threads import by_rows
from nanollm.ops.checks import expect
from nanollm.ops.layernorm import check_layernorm


@kernel
def layernorm_rows(s, y, mu, r, gamma, beta, eps):     # (N, C), (N, C), (N,), (N,), (C,), (C,)
    N, C = s.shape
    one, width = s.dtype.type(1), s.dtype.type(C)
    for n in range(N):
        total = s.dtype.type(0)
        for c in range(C):
            total += s[n, c]
        mean = total / width
        square = s.dtype.type(0)
        for c in range(C):
            square += (s[n, c] - mean) * (s[n, c] - mean)
        mu[n] = mean
        r[n] = one / math.sqrt(square / width + s.dtype.type(eps))
        for c in range(C):
            y[n, c] = gamma[c] * ((s[n, c] - mean) * r[n]) + beta[c]


@kernel
def _add_forward(x, h, s, y, mu, r, gamma, beta, eps):
    for n in range(x.shape[0]):
        for c in range(x.shape[1]):
            s[n, c] = x[n, c] + h[n, c]
        layernorm_rows(s[n:n + 1], y[n:n + 1], mu[n:n + 1], r[n:n + 1], gamma, beta, eps)


@kernel
def _backward(ds, dy, s, mu, r, dx, gamma, dgamma, dbeta):
    N, C = dy.shape
    width = dy.dtype.type(C)
    for n in range(N):
        g_mean = dy.dtype.type(0)
        gx_mean = dy.dtype.type(0)
        for c in range(C):
            xhat = (s[n, c] - mu[n]) * r[n]
            g = dy[n, c] * gamma[c]
            dx[n, c] = g                         # rounded here once, so that g - mean(g) is exact
            g_mean += g
            gx_mean += g * xhat
            dgamma[c] += dy[n, c] * xhat
            dbeta[c] += dy[n, c]
        g_mean /= width
        gx_mean /= width
        for c in range(C):
            xhat = (s[n, c] - mu[n]) * r[n]
            dx[n, c] = ds[n, c] + r[n] * (dx[n, c] - g_mean - xhat * gx_mean)


def layernorm(x, gamma, beta=None, *, eps=1e-5):
    check_layernorm(x, gamma, beta)
    y, mu, r = outputs(x)
    by_rows(layernorm_rows, (as_rows(x), as_rows(y), mu, r), gamma, or_zeros(beta, gamma), eps)
    return y, (x, mu, r, gamma, beta is not None)


def layernorm_backward(dy, saved):
    return backward(np.broadcast_to(dy.dtype.type(0), as_rows(dy).shape), dy, saved)


def residual_layernorm(x, h, gamma, beta=None, *, eps=1e-5):
    expect("residual_layernorm", "h", h, x.shape)
    check_layernorm(x, gamma, beta)
    s = empty_like(x)
    y, mu, r = outputs(x)
    by_rows(_add_forward, (as_rows(x), as_rows(h), as_rows(s), as_rows(y), mu, r),
            gamma, or_zeros(beta, gamma), eps)
    return (s, y), (s, mu, r, gamma, beta is not None)


def residual_layernorm_backward(dy, saved):
    ds, dy = dy
    dx, dgamma, dbeta = backward(as_rows(ds), dy, saved)
    return dx, dx, dgamma, dbeta


def outputs(x):
    """y like x, and μ, r with one number a row."""
    N = as_rows(x).shape[0]
    return empty_like(x), empty((N,), x.dtype), empty((N,), x.dtype)


def or_zeros(beta, gamma):
    return np.zeros_like(gamma) if beta is None else beta


def backward(ds, dy, saved):
    """dx + ds, dγ, dβ for rows ds (N, C) of the gradient that comes along the residual."""
    s, mu, r, gamma, has_beta = saved
    dx, dgamma, dbeta = empty_like(dy), empty_like(gamma), empty_like(gamma)
    by_rows(_backward, (ds, as_rows(dy), as_rows(s), mu, r, as_rows(dx)), gamma,
            sums=(dgamma, dbeta))
    return dx, dgamma, dbeta if has_beta else None

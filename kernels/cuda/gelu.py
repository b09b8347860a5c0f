"""GELU on the GPU: x is read once and y written once, and a bias is added on the way.

The mathematics is in nanollm/ops/gelu.py. Memory is the cost: tanh and erf take a few dozen
instructions a number, for which the arithmetic units have the time. Which of the two forms is
wanted is the same for all threads, so they all take the same branch and none waits for another.

db sums over rows, as layernorm's dβ does and in the same way: a thread walks down one column, from
row p in steps of P, writes dx there and keeps what it adds up, one entry of a table (P, F).
"""

import math

from kernels.cuda.arrays import empty
from kernels.cuda.block import THREADS, as_rows, by_entry, by_row, flat
from kernels.cuda.device import cuda
from kernels.cuda.shape import groups, sum_axis
from nanollm.ops.checks import expect
from nanollm.ops.gelu import CUBIC, ROOT_2_OVER_PI

ROOT_HALF, ROOT_1_OVER_2PI = math.sqrt(0.5), 1 / math.sqrt(2 * math.pi)


@cuda.jit(device=True)
def value(z, exact, of):
    """y of one number; `of` makes constants of its type."""
    half, one = of(0.5), of(1)
    if exact:
        return half * z * (one + math.erf(of(ROOT_HALF) * z))
    return half * z * (one + math.tanh(of(ROOT_2_OVER_PI) * z * (one + of(CUBIC) * z * z)))


@cuda.jit(device=True)
def slope(z, exact, of):
    """dy/dz of one number."""
    half, one = of(0.5), of(1)
    if exact:
        cdf = half * (one + math.erf(of(ROOT_HALF) * z))
        return cdf + z * (of(ROOT_1_OVER_2PI) * math.exp(-half * z * z))
    t = math.tanh(of(ROOT_2_OVER_PI) * z * (one + of(CUBIC) * z * z))
    du = of(ROOT_2_OVER_PI) * (one + of(3 * CUBIC) * z * z)
    return half * ((one + t) + z * (one - t * t) * du)


@cuda.jit
def _gelu(x, exact, y):                          # (N,) → (N,)
    i = cuda.grid(1)
    if i < y.size:
        y[i] = value(x[i], exact, x.dtype.type)


@cuda.jit
def _gelu_backward(dy, x, exact, dx):            # (N,), (N,) → (N,)
    i = cuda.grid(1)
    if i < dx.size:
        dx[i] = dy[i] * slope(x[i], exact, x.dtype.type)


@cuda.jit
def _bias_gelu(x, b, exact, y):                  # (N, F), (F,) → (N, F)
    n = cuda.blockIdx.x
    for f in range(cuda.threadIdx.x, x.shape[1], THREADS):
        y[n, f] = value(x[n, f] + b[f], exact, x.dtype.type)


@cuda.jit
def _bias_gelu_backward(dy, x, b, exact, dx, table):     # (N, F) twice, (F,) → (N, F), (P, F)
    i = cuda.grid(1)
    P, F = table.shape
    if i < P * F:
        p, f = i // F, i % F
        db = x.dtype.type(0)
        for n in range(p, x.shape[0], P):
            g = dy[n, f] * slope(x[n, f] + b[f], exact, x.dtype.type)
            dx[n, f] = g
            db += g
        table[p, f] = db


def gelu(x, *, exact=False):
    y = empty(x.shape, x.dtype)
    by_entry(_gelu, y.size, flat(x), bool(exact), flat(y))
    return y, (x, exact)


def gelu_backward(dy, saved):
    x, exact = saved
    dx = empty(x.shape, x.dtype)
    by_entry(_gelu_backward, dx.size, flat(dy), flat(x), bool(exact), flat(dx))
    return (dx,)


def bias_gelu(x, b, *, exact=False):
    expect("bias_gelu", "b", b, x.shape[x.ndim - 1:])
    y, rows = empty(x.shape, x.dtype), as_rows(x)
    by_row(_bias_gelu, rows.shape[0], rows, b, bool(exact), as_rows(y))
    return y, (x, b, exact)


def bias_gelu_backward(dy, saved):
    x, b, exact = saved
    dx, rows = empty(x.shape, x.dtype), as_rows(x)
    table = empty((groups(rows.shape[0]), b.size), x.dtype)
    by_entry(_bias_gelu_backward, table.size, as_rows(dy), rows, b, bool(exact), as_rows(dx), table)
    return dx, sum_axis(table, 0).reshape(b.size)

"""Sum and mean on the GPU: each thread adds up to TERMS numbers, again and again until one is left.

The mathematics is in nanollm/ops/shape.py. An axis is summed with what lies before it folded into
A and what lies behind it into B: x (A, K, B) becomes (A, K / TERMS, B), and so on. No thread waits
for another, nothing is shared, and the order of additions is always the same. The numbers that
neighbors read stand side by side: for B = 1, thread p reads x[p], x[p + P], ... of P threads.
A mean is a sum with its factor 1/n put in by the first pass. Backward is one write of dx.
"""

import math

from kernels.cuda.arrays import empty
from kernels.cuda.block import by_entry
from kernels.cuda.broadcast import fold, place
from kernels.cuda.device import cuda

TERMS = 64


@cuda.jit
def _add_up(x, factor, y):                       # (A, K, B) → (A, P, B)
    i = cuda.grid(1)
    P, B = y.shape[1], y.shape[2]
    if i < y.size:
        a, p, b = i // (P * B), i // B % P, i % B
        total = x.dtype.type(0)
        for k in range(p, x.shape[1], P):
            total += x[a, k, b]
        y[a, p, b] = factor * total


@cuda.jit
def _spread(dy, factor, dx, sizes, steps):       # any shape → any shape, flat
    i = cuda.grid(1)
    if i < dx.size:
        dx[i] = factor * dy[place(i, sizes, steps)]


def groups(K):
    """How many threads share K terms."""
    return max(1, -(-K // TERMS))


def sum_axis(x, axis, factor=1):
    """factor Σ x along one axis, which is kept with size 1."""
    before, K, behind = x.shape[:axis], x.shape[axis], x.shape[axis + 1:]
    A, B = math.prod(before), math.prod(behind)
    x = x.reshape(A, K, B)
    while True:
        P = groups(K)
        y = empty((A, P, B), x.dtype)
        by_entry(_add_up, y.size, x, x.dtype.type(factor), y)
        if P == 1:
            return y.reshape(*before, 1, *behind)
        x, K, factor = y, P, 1


def sum_axes(x, axes, factor=1):
    """factor Σ x along several axes, which are kept with size 1."""
    for axis in axes:
        if x.shape[axis] != 1:
            x, factor = sum_axis(x, axis, factor), 1
    return x


def which(axis, ndim):
    """The axes that `axis` (None, a number or several) means, as numbers from 0 up."""
    if axis is None:
        return range(ndim)
    return sorted(a % ndim for a in (axis if isinstance(axis, tuple) else (axis,)))


def reduce(x, axis, keepdims, factor):
    axes = which(axis, x.ndim)
    y = sum_axes(x, axes, factor)
    kept = tuple(y.shape)
    if not keepdims:
        y = y.reshape(tuple(n for i, n in enumerate(kept) if i not in axes))
    return y, (x.shape, kept)


def spread(dy, saved, factor):
    shape, kept = saved
    dx = empty(shape, dy.dtype)
    sizes, steps = fold(shape, kept)
    by_entry(_spread, dx.size, dy.reshape(dy.size), dy.dtype.type(factor), dx.reshape(dx.size),
             sizes, steps)
    return (dx,)


def sum(x, *, axis=None, keepdims=False):
    return reduce(x, axis, keepdims, 1)


def sum_backward(dy, saved):
    return spread(dy, saved, 1)


def mean(x, *, axis=None, keepdims=False):
    n = math.prod(x.shape[a] for a in which(axis, x.ndim))
    y, saved = reduce(x, axis, keepdims, 1 / n if n else math.nan)
    return y, (n, saved)


def mean_backward(dy, saved):
    n, saved = saved
    return spread(dy, saved, 1 / n if n else math.nan)

"""Elementwise ops on the GPU: one thread an entry, each array read once and y written once.

The mathematics is in nanollm/ops/elementwise.py; how a stretched array is read, in broadcast.py.
"""

import numpy as np

from kernels.cuda.arrays import empty
from kernels.cuda.block import by_entry
from kernels.cuda.broadcast import fold, place
from kernels.cuda.device import cuda
from kernels.cuda.shape import sum_axes
from nanollm.ops.checks import broadcast_shape


@cuda.jit
def _add(a, b, y, sizes, a_steps, b_steps):      # all flat
    i = cuda.grid(1)
    if i < y.size:
        y[i] = a[place(i, sizes, a_steps)] + b[place(i, sizes, b_steps)]


@cuda.jit
def _mul(a, b, y, sizes, a_steps, b_steps):      # all flat
    i = cuda.grid(1)
    if i < y.size:
        y[i] = a[place(i, sizes, a_steps)] * b[place(i, sizes, b_steps)]


def binary(name, kernel, a, b):
    """y of the common shape of a and b."""
    y = empty(broadcast_shape(name, a, b), np.result_type(a.dtype, b.dtype))
    by_entry(kernel, y.size, a.reshape(a.size), b.reshape(b.size), y.reshape(y.size),
             *fold(y.shape, a.shape, b.shape))
    return y


def unbroadcast(dy, shape):
    """Sum dy over the axes along which an array of `shape` was repeated."""
    if dy.shape == shape:
        return dy
    extra = dy.ndim - len(shape)                                # axes that were put in front
    stretched = [i + extra for i, n in enumerate(shape) if n == 1]
    return sum_axes(dy, [*range(extra), *stretched]).reshape(tuple(shape))


def add(a, b):
    return binary("add", _add, a, b), (a.shape, b.shape)


def add_backward(dy, saved):
    return tuple(unbroadcast(dy, shape) for shape in saved)


def mul(a, b):
    return binary("mul", _mul, a, b), (a, b)


def mul_backward(dy, saved):
    a, b = saved
    return (unbroadcast(binary("mul", _mul, dy, b), a.shape),
            unbroadcast(binary("mul", _mul, dy, a), b.shape))

"""Elementwise ops on the GPU: one thread an entry, each array read once and y written once.

The mathematics is in nanollm/ops/elementwise.py; how a stretched array is read, in broadcast.py.
relu keeps y where the page keeps a mask: y > 0 says the same.
"""

import math

import numpy as np

from kernels.cuda.arrays import empty
from kernels.cuda.block import by_entry, flat
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
    by_entry(kernel, y.size, flat(a), flat(b), flat(y), *fold(y.shape, a.shape, b.shape))
    return y


def entries(kernel, *xs):
    """A new array like the first, filled by kernel(*xs, y), all of them flat."""
    y = empty(xs[0].shape, xs[0].dtype)
    by_entry(kernel, y.size, *map(flat, xs), flat(y))
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


@cuda.jit
def _relu(x, y):                                 # (N,) each, here and below
    i = cuda.grid(1)
    if i < y.size:
        zero = x.dtype.type(0)
        y[i] = zero if x[i] < zero else x[i]     # max(x, 0) would drop a NaN


@cuda.jit
def _relu_backward(dy, y, dx):
    i = cuda.grid(1)
    if i < dx.size:
        zero = y.dtype.type(0)
        dx[i] = dy[i] if y[i] > zero else zero


def relu(x):
    y = entries(_relu, x)
    return y, (y,)


def relu_backward(dy, saved):
    (y,) = saved
    return (entries(_relu_backward, dy, y),)


@cuda.jit
def _tanh(x, y):
    i = cuda.grid(1)
    if i < y.size:
        y[i] = math.tanh(x[i])


@cuda.jit
def _tanh_backward(dy, y, dx):
    i = cuda.grid(1)
    if i < dx.size:
        dx[i] = dy[i] * (y.dtype.type(1) - y[i] * y[i])


def tanh(x):
    y = entries(_tanh, x)
    return y, (y,)


def tanh_backward(dy, saved):
    (y,) = saved
    return (entries(_tanh_backward, dy, y),)


@cuda.jit(device=True)
def sigmoid_of(x, one):
    """σ(x) of a number; one is 1 in its dtype."""
    e = math.exp(-abs(x))                        # in (0, 1]: never overflows
    return (one if x > 0 else e) / (one + e)


@cuda.jit
def _sigmoid(x, y):
    i = cuda.grid(1)
    if i < y.size:
        y[i] = sigmoid_of(x[i], x.dtype.type(1))


@cuda.jit
def _sigmoid_backward(dy, y, dx):
    i = cuda.grid(1)
    if i < dx.size:
        dx[i] = dy[i] * y[i] * (y.dtype.type(1) - y[i])


def sigmoid(x):
    y = entries(_sigmoid, x)
    return y, (y,)


def sigmoid_backward(dy, saved):
    (y,) = saved
    return (entries(_sigmoid_backward, dy, y),)

"""Elementwise ops on the CPU: one walk each, large arrays shared among the threads.

The mathematics is in nanollm/ops/elementwise.py. add and mul are one NumPy pass, which is memory
speed already; tanh and sigmoid gain from an exp that is SIMD. relu keeps y where the page keeps a
mask: y > 0 says the same.
"""

import numpy as np

from kernels.cpu.compile import kernel
from kernels.cpu.memory import empty
from kernels.cpu.rows import empty_like
from kernels.cpu.threads import by_rows
from kernels.scalar import sigmoid as sigmoid_of, tanh as tanh_of
from nanollm.ops.checks import broadcast_shape
from nanollm.ops.elementwise import unbroadcast


def flat(x):
    """All entries of x in one row, a view where x is C-contiguous."""
    return np.ascontiguousarray(x).reshape(-1)


def by_entry(kernel, *arrays):
    """A new array like the first, filled by kernel(*arrays, y), all of them flat."""
    y = empty_like(arrays[0])
    by_rows(kernel, (*map(flat, arrays), flat(y)))
    return y


def add(a, b):
    y = empty(broadcast_shape("add", a, b), np.result_type(a, b))
    if a.shape == b.shape and y.ndim:
        by_rows(np.add, (flat(a), flat(b), flat(y)))
    else:
        np.add(a, b, out=y)
    return y, (a.shape, b.shape)


def add_backward(dy, saved):
    return tuple(unbroadcast(dy, shape) for shape in saved)


def mul(a, b):
    y = empty(broadcast_shape("mul", a, b), np.result_type(a, b))
    np.multiply(a, b, out=y)
    return y, (a, b)


def mul_backward(dy, saved):
    a, b = saved
    da, _ = mul(dy, b)
    db, _ = mul(dy, a)
    return unbroadcast(da, a.shape), unbroadcast(db, b.shape)


@kernel
def _relu_backward(dy, y, dx):                   # (N,)
    for n in range(y.size):
        dx[n] = dy[n] if y[n] > 0 else y.dtype.type(0)


def relu(x):
    y = empty_like(x)
    np.maximum(x, 0, out=y)
    return y, (y,)


def relu_backward(dy, saved):
    (y,) = saved
    return (by_entry(_relu_backward, dy, y),)


@kernel
def _tanh(x, y):
    for n in range(x.size):
        y[n] = tanh_of(x[n])


@kernel
def _tanh_backward(dy, y, dx):
    one = y.dtype.type(1)
    for n in range(y.size):
        dx[n] = dy[n] * (one - y[n] * y[n])


def tanh(x):
    y = by_entry(_tanh, x)
    return y, (y,)


def tanh_backward(dy, saved):
    (y,) = saved
    return (by_entry(_tanh_backward, dy, y),)


@kernel
def _sigmoid(x, y):
    for n in range(x.size):
        y[n] = sigmoid_of(x[n])


@kernel
def _sigmoid_backward(dy, y, dx):
    one = y.dtype.type(1)
    for n in range(y.size):
        dx[n] = dy[n] * y[n] * (one - y[n])


def sigmoid(x):
    y = by_entry(_sigmoid, x)
    return y, (y,)


def sigmoid_backward(dy, saved):
    (y,) = saved
    return (by_entry(_sigmoid_backward, dy, y),)

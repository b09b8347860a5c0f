"""Elementwise ops: one number in, one number out, all entries at once.

Equation    add      y = a + b
            mul      y = a ⊙ b
            relu     y = max(x, 0)
            tanh     y = tanh(x)
            sigmoid  y = 1 / (1 + exp(-x))

Shapes      a, b that broadcast together  →  y of their common shape;  x (...)  →  y (...)
Saved       add the two shapes; mul a, b; relu the mask x > 0; tanh and sigmoid y

Backward    Each entry of y depends on one entry of x, so dx = dy ⊙ f'(x):
                relu'(x) = [x > 0],   tanh'(x) = 1 - y²,   sigmoid'(x) = y (1 - y),
            the last two written in y, which is at hand. For mul, da = dy ⊙ b and db = dy ⊙ a.
            Broadcasting copies one number to many places, and a copy's gradient is the sum over
            its places: `unbroadcast` adds up along every axis that was stretched.
            At 0, where relu has a corner, we take the derivative 0.

Source      relu: Nair & Hinton 2010; derivatives: any calculus text
Kernels     kernels/cpu/elementwise.py, kernels/cuda/elementwise.py
Used by     residual connections (add), gates (mul, sigmoid, tanh), feed-forward (relu)
"""

import numpy as np

from nanollm.ops.checks import broadcast_shape


def unbroadcast(dy, shape):
    """Sum dy over the axes along which an array of `shape` was repeated."""
    if dy.shape == shape:
        return dy
    extra = dy.ndim - len(shape)                                # axes that were put in front
    stretched = tuple(i + extra for i, n in enumerate(shape) if n == 1)
    return dy.sum(axis=tuple(range(extra)) + stretched, keepdims=True).reshape(shape)


def add(a, b):
    broadcast_shape("add", a, b)
    return a + b, (a.shape, b.shape)


def add_backward(dy, saved):
    return tuple(unbroadcast(dy, shape) for shape in saved)


def mul(a, b):
    broadcast_shape("mul", a, b)
    return a * b, (a, b)


def mul_backward(dy, saved):
    a, b = saved
    return unbroadcast(dy * b, a.shape), unbroadcast(dy * a, b.shape)


def relu(x):
    positive = x > 0                                            # (...)  bool
    return np.maximum(x, 0), (positive,)


def relu_backward(dy, saved):
    (positive,) = saved
    return (dy * positive,)


def tanh(x):
    y = np.tanh(x)
    return y, (y,)


def tanh_backward(dy, saved):
    (y,) = saved
    return (dy * (1 - y * y),)


def sigmoid(x):
    e = np.exp(-np.abs(x))                                      # in (0, 1]: never overflows
    y = np.where(x >= 0, 1, e) / (1 + e)
    return y, (y,)


def sigmoid_backward(dy, saved):
    (y,) = saved
    return (dy * y * (1 - y),)

"""Shape ops: rearrange numbers, or add them up, without changing what they mean.

Equation    reshape, transpose   the same numbers under another address
            concat, split        arrays joined along one axis; one array cut into equal parts
            sum                  y = Σ x over `axis` (all axes if None)
            mean                 y = (1/n) Σ x, n the number of entries that are averaged

Shapes      as NumPy's functions of the same names; split: x (..., P K) → P arrays (..., K)
Saved       shapes, axes and sizes only; the data is not needed

Backward    Moving a number moves its gradient back along the same way: reshape to the old
            shape, transpose by the inverse permutation, split what was joined, join what was cut.
            A sum passes its gradient to each of its terms, and a mean the n-th part of it.
            Hence sum's backward is a broadcast, as a broadcast's backward is a sum.

Source      NumPy's definitions
Kernels     none on the CPU: a view costs nothing, and NumPy's copies run at memory speed;
            kernels/cuda/shape.py
Used by     heads of attention (reshape, transpose, split), losses (mean)
"""

import builtins
import math

import numpy as np

from nanollm.errors import InputError


def check_reshape(x, shape):
    """Raise InputError unless x fills `shape`; return it with a size left open, -1, put in."""
    known = math.prod(n for n in shape if n != -1)
    full = tuple(x.size // known if n == -1 and known else n for n in shape)
    if math.prod(full) != x.size or any(n < 0 for n in full):
        raise InputError(f"reshape: {tuple(x.shape)} has {x.size} entries, which do not fill "
                         f"{tuple(shape)}")
    return full


def reshape(x, *, shape):
    return x.reshape(check_reshape(x, shape)), (x.shape,)


def reshape_backward(dy, saved):
    (shape,) = saved
    return (dy.reshape(shape),)


def check_transpose(x, axes):
    """Raise InputError unless `axes` is an order of the axes of x; return them from 0 up."""
    if sorted(a % x.ndim for a in axes) != list(range(x.ndim)):
        raise InputError(f"transpose: axes {axes} are not an order of the {x.ndim} axes of x")
    return tuple(a % x.ndim for a in axes)


def transpose(x, *, axes):
    axes = check_transpose(x, axes)
    return x.transpose(axes), (axes,)


def transpose_backward(dy, saved):
    (axes,) = saved
    return (dy.transpose(np.argsort(axes)),)


def check_concat(xs, axis):
    """Raise InputError unless the shapes are equal beside `axis`; return it from 0 up."""
    axis %= xs[0].ndim
    if len({tuple(x.shape[:axis] + x.shape[axis + 1:]) for x in xs}) > 1:
        raise InputError(f"concat: shapes {[tuple(x.shape) for x in xs]} differ beside axis {axis}")
    return axis


def concat(*xs, axis=-1):
    axis = check_concat(xs, axis)
    return np.concatenate(xs, axis=axis), (axis, [x.shape[axis] for x in xs])


def concat_backward(dy, saved):
    axis, sizes = saved
    return tuple(np.split(dy, np.cumsum(sizes)[:-1], axis=axis))


def check_split(x, parts, axis):
    """Raise InputError unless `axis` of x can be cut into equal parts; return it from 0 up."""
    if parts < 1 or x.shape[axis % x.ndim] % parts:
        raise InputError(f"split: axis {axis} of {tuple(x.shape)} cannot be cut into {parts} "
                         "equal parts")
    return axis % x.ndim


def split(x, *, parts, axis=-1):
    axis = check_split(x, parts, axis)
    return tuple(np.split(x, parts, axis=axis)), (axis,)


def split_backward(dy, saved):
    (axis,) = saved
    return (np.concatenate(dy, axis=axis),)


def sum(x, *, axis=None, keepdims=False):
    return x.sum(axis=axis, keepdims=keepdims), (x.shape, axis, keepdims)


def sum_backward(dy, saved):
    shape, axis, keepdims = saved
    if not keepdims:
        axes = range(len(shape)) if axis is None else np.atleast_1d(axis)
        kept = {a % len(shape) for a in axes}
        dy = np.reshape(dy, [1 if i in kept else n for i, n in enumerate(shape)])
    return (np.broadcast_to(dy, shape),)


def mean(x, *, axis=None, keepdims=False):
    y, saved = sum(x, axis=axis, keepdims=keepdims)
    n = x.size // builtins.max(y.size, 1)                       # entries in each average
    return y / n, (n, saved)


def mean_backward(dy, saved):
    n, saved = saved
    return sum_backward(dy / n, saved)

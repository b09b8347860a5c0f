"""Is a backward right? Nudge each input by ε and see how far the outputs move.

Equation    J_ij = ∂y_j/∂x_i ≈ (y_j(x + ε e_i) - y_j(x - ε e_i)) / 2ε,     dx_i = Σ_j J_ij dy_j
            A backward never builds J: it is the short way to the product J dy. The check goes the
            long way, one entry of x at a time, in float64.
            Whole models have too many entries. There, one number is compared for one random
            direction d of all parameters θ:  (L(θ + ε d) - L(θ - ε d)) / 2ε = Σ_i dθ_i d_i.

dy is random. With dy = 1 the loss of a softmax would be the constant "number of rows", its gradient
zero, and a backward that returns zeros would pass.

    gradcheck.op("softmax", x)                  an op of the current backend
    gradcheck.check(forward, backward, [x])     your own pair
"""

import functools
from typing import NamedTuple

import numpy as np

from nanollm import backend, diagnosis

STEP = 2.0 ** -20     # about 1e-6; adding a power of two to a whole number is exact
FLOOR = 1e-2          # errors are relative to the gradient's largest entry, or to this if less


class GradientError(AssertionError):
    """A backward is wrong; the message says where, and what the evidence suggests."""


class Result(NamedTuple):
    """What a passed check has seen: the error of each input's gradient."""

    op: str
    errors: dict        # name of the input → largest error, relative to the largest entry

    @property
    def worst(self):
        return max(self.errors.values(), default=0.0)

    def __str__(self):
        errors = "   ".join(f"{name} {error:.1e}" for name, error in self.errors.items())
        return f"{self.op:18} {errors or 'nothing to differentiate'}"


def op(name, *inputs, **settings):
    """Check the op `name` of the current backend."""
    kernels = backend.module()
    forward, backward = backend.lookup(name)

    @functools.wraps(forward)
    def host_forward(*arrays, **settings):
        y, saved = forward(*(put(a, kernels) for a in arrays), **settings)
        return each(kernels.numpy, y), saved

    @functools.wraps(backward)
    def host_backward(dy, saved):
        dxs = backward(each(kernels.array, dy), saved)
        return tuple(None if dx is None else kernels.numpy(dx) for dx in dxs)

    return check(host_forward, host_backward, inputs, settings)


def check(forward, backward, inputs, settings=None, rng=None, eps=STEP, tol=1e-7):
    """Compare a backward with central differences, entry by entry; return a Result.

    inputs      arrays: those of real numbers are checked (on float64 copies); whole numbers, bools
                and None have no gradient
    eps, tol    the step, and the error that is allowed (FLOOR says relative to what), beside what
                the rounding of y makes of the differences: much where y is in the thousands

    Raises GradientError.
    """
    settings, rng = settings or {}, rng or np.random.default_rng(0)
    names, inputs = diagnosis.named(forward, inputs)
    inputs = [np.array(x, np.float64) if is_real(x) else x for x in inputs]
    y, dys, dxs = gradients(forward, backward, names, inputs, settings, rng)
    rounding = np.spacing(np.abs(joined(y))) / eps * np.abs(joined(dys))        # (y.size,)
    sizes = diagnosis.sizes(forward, names, inputs, settings)
    op, errors = backward.__name__, {}
    for i, (name, x, dx) in enumerate(zip(names, inputs, dxs)):
        if not is_real(x):
            if dx is not None:
                fail(op, f"{name} got a gradient, expected None",
                     f"there was no {name}: where an input is None, so is its gradient"
                     if x is None else f"{name} holds {x.dtype}, which cannot be nudged; make it "
                     "float if it is meant to be real numbers")
            continue
        if dx is None:
            fail(op, f"the gradient of {name} is None",
                 f"y depends on {name}, so it has a gradient")
        parts = jacobian(forward, inputs, i, settings, eps) * joined(dys)   # J_ij dy_j
        expected = parts.sum(axis=1).reshape(x.shape)
        if dx.shape != x.shape or dx.dtype != x.dtype:
            fail(op, f"the gradient of {name} is {dx.dtype} {dx.shape}, expected {x.dtype} "
                 f"{x.shape}", *diagnosis.of_shape(dx, expected))
        bad = ~np.isfinite(dx)
        if bad.any():
            fail(op, f"the gradient of {name} is {dx[bad][0]} at "
                 f"{diagnosis.entry(name, np.argwhere(bad)[0])}, in {bad.sum()} of {dx.size} "
                 "entries", "look for 0 / 0, log(0), or an exp that overflows")
        scale = max(np.abs(expected).max(initial=0), FLOOR)
        error = np.abs(dx - expected) / scale
        errors[name] = float(error.max(initial=0))
        error -= ((parts != 0) @ rounding).reshape(x.shape) / scale     # what may be rounding alone
        if not error.max(initial=0) <= tol:
            at = np.unravel_index(error.argmax(), x.shape)
            fail(op, f"the gradient of {name} is wrong",
                 f"at {diagnosis.entry(name, at)}: expected {expected[at]:.6g}, got {dx[at]:.6g}",
                 *diagnosis.of_values(dx, expected, parts, dys, inputs, sizes))
    return Result(forward.__name__, errors)


def gradients(forward, backward, names, inputs, settings, rng):
    """(y, dys, dxs) for a random dy; GradientError unless the pair is pure and fits its inputs.

    Twice forward and twice backward must give the same bits, and change neither inputs nor dy.
    """
    op, before = backward.__name__, [None if x is None else x.copy() for x in inputs]
    y, saved = forward(*inputs, **settings)
    same_bits(forward.__name__, "y", y, forward(*inputs, **settings)[0])
    dy = each(lambda a: np.asarray(rng.standard_normal(a.shape)), y)
    kept = each(np.copy, dy)
    dxs = backward(dy, saved)
    if not isinstance(dxs, tuple) or len(dxs) != len(inputs):
        count = len(dxs) if isinstance(dxs, tuple) else f"a {type(dxs).__name__}"
        fail(op, f"it returned {count}", f"expected a tuple of {len(inputs)}, one gradient for "
             f"each of {', '.join(names)} (None where there is none)")
    dxs = [None if dx is None else np.array(dx) for dx in dxs]
    for name, dx, again in zip(names, dxs, backward(dy, saved)):
        if dx is not None:
            same_bits(op, f"the gradient of {name}", dx, again)
    for name, x, x_before in zip([*names, "dy"], [*inputs, dy], [*before, kept]):
        if x is not None and not all(map(np.array_equal, flat(x), flat(x_before))):
            fail(op, f"the pair modified {name}", "ops are pure: write into a new array")
    return flat(y), flat(kept), dxs


def jacobian(forward, inputs, i, settings, eps):
    """J (x.size, y.size) for x = inputs[i], by central differences; x is put back."""
    x = inputs[i]
    J = np.zeros((x.size, joined(flat(forward(*inputs, **settings)[0])).size))
    for row, at in zip(J, np.ndindex(x.shape)):
        kept = x[at]
        ys = []
        for nudged in kept + eps, kept - eps:
            x[at] = nudged
            ys.append(joined(flat(forward(*inputs, **settings)[0])))
        x[at] = kept
        row[:] = (ys[0] - ys[1]) / ((kept + eps) - (kept - eps))       # the step as rounded
    return J


def check_direction(loss, parameters, gradients, rng, *, directions=3, eps=STEP, tol=1e-7):
    """Check a whole model's gradients along random directions of all its parameters at once.

    loss        a function without arguments: the loss, one number, from the parameters as they are
    parameters  {path: Tensor} in float64, nudged in place and put back
    gradients   {path: array}, the same paths

    Returns the worst error, relative to the length of the whole gradient: |Σ dθ d| is about that
    long. Raises GradientError naming the parameters that disagree when nudged alone.
    """
    for path, t in parameters.items():
        if t.dtype != np.float64:
            raise GradientError(f"check_direction: {path} is {t.dtype}; a step of {eps} drowns in "
                                "rounding unless the model is float64 (model.to('float64'))")

    def compare(paths):
        """(expected, got, error) along one random direction of these parameters."""
        kept = {path: parameters[path].data.copy() for path in paths}
        d = {path: rng.standard_normal(kept[path].shape) for path in paths}
        losses = []
        for step in eps, -eps:
            for path in paths:
                parameters[path].data[...] = kept[path] + step * d[path]
            losses.append(float(loss()))
        for path in paths:
            parameters[path].data[...] = kept[path]
        expected = (losses[0] - losses[1]) / (2 * eps)
        got = sum(float((gradients[path] * d[path]).sum()) for path in paths)
        length = sum(float((gradients[path] ** 2).sum()) for path in paths) ** 0.5
        return expected, got, abs(expected - got) / max(length, FLOOR)

    worst = max(compare(list(parameters))[2] for _ in range(directions))
    if not worst <= tol:
        alone = {path: compare([path]) for path in parameters}
        wrong = [f"{path}: expected {e:.6g}, got {g:.6g} along a random direction"
                 for path, (e, g, error) in alone.items() if not error <= tol]
        raise GradientError("\n  ".join([
            f"the model's gradient is off by {worst:.1e}, relative to its length", *wrong[:8],
            *([f"and {len(wrong) - 8} more parameters"] if len(wrong) > 8 else [])]))
    return worst


def fail(op, what, *evidence):
    raise GradientError("\n  ".join([f"{op}: {what}", *evidence]))


def same_bits(op, what, first, second):
    """Raise GradientError unless two calls gave the same arrays."""
    if not all(np.array_equal(a, b, equal_nan=True) for a, b in zip(flat(first), flat(second))):
        fail(op, f"two calls gave different results for {what}",
             "look for randomness, an array that is never filled, or a buffer or saved array that "
             "the first call changed")


def is_real(x):
    return x is not None and x.dtype.kind == "f"


def put(x, kernels):
    return None if x is None else kernels.array(x)


def each(f, y):
    """f of y, or of each array if y is a tuple."""
    return tuple(map(f, y)) if isinstance(y, tuple) else f(y)


def flat(y):
    return list(y) if isinstance(y, tuple) else [y]


def joined(arrays):
    """All entries of all arrays in one row."""
    return np.concatenate([np.reshape(a, -1) for a in arrays])

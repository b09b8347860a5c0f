"""GELU on the CPU: one walk, the bias added on the way, nothing stored in between.

The mathematics is in nanollm/ops/gelu.py. NumPy makes a pass over memory for each of a dozen
operations; here x is read once and y written once, 16 numbers at a time (kernels/scalar.py). Rows
are shared among the threads; each adds its rows of dx into its own db.
"""

import math

import numpy as np

from kernels.cpu.compile import kernel
from kernels.cpu.rows import as_rows, empty_like
from kernels.cpu.threads import by_rows
from kernels.scalar import erf, exp, tanh
from nanollm.ops.checks import expect
from nanollm.ops.gelu import CUBIC, ROOT_2_OVER_PI

ROOT_HALF, ROOT_1_OVER_2PI = math.sqrt(0.5), 1 / math.sqrt(2 * math.pi)


@kernel
def tanh_form(x, y, b):                         # (N, F), (N, F), (F,)
    of = x.dtype.type
    half, one, scale, cubic = of(0.5), of(1), of(ROOT_2_OVER_PI), of(CUBIC)
    for n in range(x.shape[0]):
        for f in range(x.shape[1]):
            z = x[n, f] + b[f]
            y[n, f] = half * z * (one + tanh(scale * z * (one + cubic * z * z)))


@kernel
def tanh_form_backward(dy, x, dx, b, db):       # (N, F) ×3, (F,), (F,)
    of = x.dtype.type
    half, one, scale, cubic = of(0.5), of(1), of(ROOT_2_OVER_PI), of(CUBIC)
    three_cubic = of(3 * CUBIC)
    for n in range(x.shape[0]):
        for f in range(x.shape[1]):
            z = x[n, f] + b[f]
            t = tanh(scale * z * (one + cubic * z * z))
            du = scale * (one + three_cubic * z * z)
            g = dy[n, f] * half * ((one + t) + z * (one - t * t) * du)
            dx[n, f] = g
            db[f] += g


@kernel
def erf_form(x, y, b):
    of = x.dtype.type
    half, one, root = of(0.5), of(1), of(ROOT_HALF)
    for n in range(x.shape[0]):
        for f in range(x.shape[1]):
            z = x[n, f] + b[f]
            y[n, f] = half * z * (one + erf(root * z))


@kernel
def erf_form_backward(dy, x, dx, b, db):
    of = x.dtype.type
    half, one, root, density = of(0.5), of(1), of(ROOT_HALF), of(ROOT_1_OVER_2PI)
    for n in range(x.shape[0]):
        for f in range(x.shape[1]):
            z = x[n, f] + b[f]
            cdf = half * (one + erf(root * z))
            pdf = density * exp(-half * z * z)
            g = dy[n, f] * (cdf + z * pdf)
            dx[n, f] = g
            db[f] += g


def bias_gelu(x, b, *, exact=False):
    expect("bias_gelu", "b", b, x.shape[-1:])
    return forward(x, b, exact)


def forward(x, b, exact):
    y = empty_like(x)
    by_rows(erf_form if exact else tanh_form, (as_rows(x), as_rows(y)), b)
    return y, (x, b, exact)


def bias_gelu_backward(dy, saved):
    x, b, exact = saved
    dx, db = empty_like(x), empty_like(b)
    by_rows(erf_form_backward if exact else tanh_form_backward,
            (as_rows(dy), as_rows(x), as_rows(dx)), b, sums=(db,))
    return dx, db


def gelu(x, *, exact=False):
    return forward(x, np.zeros(as_rows(x).shape[1], x.dtype), exact)


def gelu_backward(dy, saved):
    dx, _ = bias_gelu_backward(dy, saved)
    return (dx,)

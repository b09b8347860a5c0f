"""Linear and matmul on the GPU: the product of products.py, which takes a matrix turned as it is.

The mathematics is in nanollm/ops/linear.py. Nothing is transposed in memory: dx = dy wᵀ and
dw = xᵀ dy tell the product which factor is turned. The bias is where the sums of y begin, so it
costs no pass of its own; db is a sum over rows.
"""

import numpy as np

from kernels.cuda.elementwise import unbroadcast
from kernels.cuda.products import matrix, product
from kernels.cuda.shape import sum_axis
from nanollm.ops.checks import expect
from nanollm.ops.linear import check_linear, check_matmul


def linear(x, w, b=None):
    E, C = check_linear(x, w, b)
    y = product(matrix(x), w, b)                               # (N, C)
    return y.reshape(*x.shape[:-1], C), (x, w, b is not None)


def linear_backward(dy, saved):
    x, w, has_bias = saved
    E, C = w.shape
    expect("linear_backward", "dy", dy, (*x.shape[:-1], C))
    rows, dy_rows = matrix(x), matrix(dy)                     # (N, E), (N, C)
    dx = product(dy_rows, w, b_turned=True).reshape(x.shape)    # (..., E)
    dw = product(rows, dy_rows, a_turned=True)                  # (E, C)
    return dx, dw, sum_axis(dy_rows, 0).reshape(C) if has_bias else None


def matmul(a, b):
    check_matmul(a, b)
    return product(a, b), (a, b)                                # (..., M, N)


def matmul_backward(dy, saved):
    a, b = saved
    lead = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    expect("matmul_backward", "dy", dy, (*lead, *a.shape[-2:-1], *b.shape[-1:]))
    da = product(dy, b, b_turned=True)                          # (..., M, K)
    db = product(a, dy, a_turned=True)                          # (..., K, N)
    return unbroadcast(da, a.shape), unbroadcast(db, b.shape)

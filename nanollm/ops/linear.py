"""Linear: a weighted sum of the inputs for each output. Matmul: products of batches of matrices.

Equation    linear   y = x w + b          y_nc = Σ_e x_ne w_ec + b_c
            matmul   y = a b              y_mn = Σ_k a_mk b_kn, for each matrix of the batch

Shapes      linear   x (..., E), w (E, C), b (C,) or None  →  y (..., C)
            matmul   a (..., M, K), b (..., K, N)  →  y (..., M, N); leading axes broadcast
Saved       linear x, w, is there a b; matmul a, b

Backward    In indices, dx_ne = Σ_c dy_nc ∂y_nc/∂x_ne = Σ_c dy_nc w_ec, and likewise for w, b:
                dx = dy wᵀ,      dw = xᵀ dy,      db = Σ_rows dy.
            The sum over all rows n in dw is what makes a weight learn from every token at once.
            For matmul da = dy bᵀ and db = aᵀ dy, summed over broadcast axes.
            Memory aid: only one order of the factors has the right shape.

Source      any text on linear algebra; w is (in, out), so that y = x w reads as in the papers
Kernels     kernels/cpu/linear.py (BLAS is the fast kernel; rows are shared among threads),
            kernels/cuda/linear.py (the product itself in products.py, the way there in ladder.py)
Used by     every layer that has weights
"""

from nanollm.errors import InputError
from nanollm.ops.checks import expect
from nanollm.ops.elementwise import unbroadcast


def check_linear(x, w, b):
    """Raise InputError unless x (..., E), w (E, C) and b (C,) fit; return E, C."""
    if w.ndim != 2 or w.size == 0 or x.ndim < 1 or x.shape[-1:] != w.shape[:1]:
        raise InputError(f"linear: x {tuple(x.shape)} does not fit w {tuple(w.shape)}; "
                         "x must end in w's first size")
    if b is not None:
        expect("linear", "b", b, w.shape[1:])
    return w.shape


def linear(x, w, b=None):
    E, C = check_linear(x, w, b)
    y = x.reshape(x.size // E, E) @ w                          # (N, C)  one product for all rows
    y = y.reshape(*x.shape[:-1], C)                             # (..., C)
    return (y if b is None else y + b), (x, w, b is not None)


def linear_backward(dy, saved):
    x, w, has_bias = saved
    E, C = w.shape
    rows, dy_rows = x.reshape(x.size // E, E), dy.reshape(dy.size // C, C)   # (N, E), (N, C)
    dx = (dy_rows @ w.T).reshape(x.shape)                       # (..., E)
    dw = rows.T @ dy_rows                                       # (E, C)
    return dx, dw, dy_rows.sum(axis=0) if has_bias else None    # (C,)


def check_matmul(a, b):
    """Raise InputError unless a (..., M, K) and b (..., K, N) fit."""
    if a.ndim < 2 or b.ndim < 2 or a.shape[-1:] != b.shape[-2:-1] or any(
            m != n and 1 not in (m, n) for m, n in zip(a.shape[-3::-1], b.shape[-3::-1])):
        raise InputError(f"matmul: {tuple(a.shape)} and {tuple(b.shape)} do not fit; a's last size "
                         "must be b's last but one, and the leading sizes equal or 1")


def matmul(a, b):
    check_matmul(a, b)
    return a @ b, (a, b)                                        # (..., M, N)


def matmul_backward(dy, saved):
    a, b = saved
    da = dy @ b.swapaxes(-1, -2)                                # (..., M, K)
    db = a.swapaxes(-1, -2) @ dy                                # (..., K, N)
    return unbroadcast(da, a.shape), unbroadcast(db, b.shape)

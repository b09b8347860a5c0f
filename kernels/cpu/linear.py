"""Linear and matmul on the CPU: BLAS is the fast kernel; here its work is shared out.

The mathematics is in nanollm/ops/linear.py. BLAS runs on one thread a call, and our own threads
each compute a part of the result: its rows where there are more of them, else its columns. Inside
a training step that is split by batch (nanollm/parallel.py) a product stays on its thread.
A single row is another matter: its product reads each weight once, so memory is the cost, and BLAS
reached half of what the two loops below do.
"""

import numpy as np

from kernels.cpu.compile import kernel
from kernels.cpu.memory import empty
from kernels.cpu.rows import as_rows
from kernels.cpu.threads import by_rows, run, share_count
from nanollm.ops.elementwise import unbroadcast
from nanollm.ops.linear import check_linear, check_matmul

ENOUGH = 2 ** 21                                 # multiplications a thread must get
FEW = 2 ** 18                                    # weights a thread must get for a single row


@kernel
def add_vector_product(x, w, first, y):          # (K,), (K, ...): y (N,) += x w[:, first:first + N]
    """Rows are cut out one by one: a slice of a row is contiguous, and its loop is SIMD."""
    K, N = x.size, y.size
    last = first + N
    for k in range(0, K - K % 8, 8):             # eight rows of w a walk along y
        w0, w1, w2, w3 = (w[k, first:last], w[k + 1, first:last], w[k + 2, first:last],
                          w[k + 3, first:last])
        w4, w5, w6, w7 = (w[k + 4, first:last], w[k + 5, first:last], w[k + 6, first:last],
                          w[k + 7, first:last])
        x0, x1, x2, x3 = x[k], x[k + 1], x[k + 2], x[k + 3]
        x4, x5, x6, x7 = x[k + 4], x[k + 5], x[k + 6], x[k + 7]
        for n in range(N):
            y[n] += (x0 * w0[n] + x1 * w1[n] + x2 * w2[n] + x3 * w3[n]
                     + x4 * w4[n] + x5 * w5[n] + x6 * w6[n] + x7 * w7[n])
    for k in range(K - K % 8, K):
        row = w[k, first:last]
        for n in range(N):
            y[n] += x[k] * row[n]


@kernel
def _dot_rows(w, y, x):                          # (N, K), (N,), (K,): y = w x
    for n in range(w.shape[0]):
        total = y.dtype.type(0)
        for k in range(w.shape[1]):
            total += w[n, k] * x[k]
        y[n] = total


@kernel
def _vector_product(x, w, first, y):
    y[:] = 0
    add_vector_product(x, w, first, y)


def vector_product(x, w, out):
    """out (N,) = x (K,) w (K, N), each thread some columns; w may be a transposed (N, K)."""
    K, N = w.shape
    if not w.flags.c_contiguous and w.T.flags.c_contiguous:
        by_rows(_dot_rows, (w.T, out), x)
        return
    shares = max(1, min(share_count(), w.size // FEW))
    cuts = [slice(N * i // shares, N * (i + 1) // shares) for i in range(shares)]
    run(lambda c=c: _vector_product(x, w, c.start, out[c]) for c in cuts)


def product(a, b, out):
    """out = a b for matrices (M, K), (K, N), each thread a part of `out`."""
    (M, K), N = a.shape, b.shape[1]
    if M == 1 and a.flags.c_contiguous:
        vector_product(a[0], b, out[0])
        return out
    shares = max(1, min(share_count(), M * K * N // ENOUGH))
    if shares == 1:
        np.matmul(a, b, out=out)
        return out
    size = max(M, N)
    cuts = [slice(size * i // shares, size * (i + 1) // shares) for i in range(shares)]
    if M >= N:
        run(lambda c=c: np.matmul(a[c], b, out=out[c]) for c in cuts)
    else:
        run(lambda c=c: np.matmul(a, b[:, c], out=out[:, c]) for c in cuts)
    return out


def linear(x, w, b=None):
    E, C = check_linear(x, w, b)
    y = empty((*x.shape[:-1], C), np.result_type(x, w))
    rows = product(as_rows(x), w, out=as_rows(y))               # (N, C)
    if b is not None:
        np.add(rows, b, out=rows)
    return y, (x, w, b is not None)


def linear_backward(dy, saved):
    x, w, has_bias = saved
    rows, dy_rows = as_rows(x), as_rows(dy)                     # (N, E), (N, C)
    dx = empty(x.shape, dy.dtype)
    product(dy_rows, w.T, out=as_rows(dx))
    dw = weight_gradient(rows, dy_rows, w)
    return dx, dw, dy_rows.sum(axis=0) if has_bias else None


def weight_gradient(rows, dy_rows, w):
    """rowsᵀ dy (E, C) in w's memory order: a tied head's w is the embedding, transposed."""
    if w.flags.c_contiguous:
        return product(rows.T, dy_rows, out=empty(w.shape, dy_rows.dtype))
    return product(dy_rows.T, rows, out=empty(w.shape[::-1], dy_rows.dtype)).T


def matmul(a, b):
    check_matmul(a, b)
    return batched(a, b), (a, b)


def matmul_backward(dy, saved):
    a, b = saved
    da = batched(dy, b.swapaxes(-1, -2))
    db = batched(a.swapaxes(-1, -2), dy)
    return unbroadcast(da, a.shape), unbroadcast(db, b.shape)


def batched(a, b):
    """a b for each matrix of the batch, the leading axes broadcast."""
    lead = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    return np.matmul(a, b, out=empty((*lead, a.shape[-2], b.shape[-1]), np.result_type(a, b)))

"""Linear and matmul on the CPU: BLAS is the fast kernel; here its work is shared out.

The mathematics is in nanollm/ops/linear.py. BLAS runs on one thread a call, and our own threads
each compute a part of the result: its rows where there are more of them, else its columns. Inside
a training step that is split by batch (nanollm/parallel.py) a product stays on its thread.
A single row is another matter: its product reads each weight once, so memory is the cost, and one
walks along the weights as they lie in memory. One core alone comes near what memory can do (30 of
35 GB/s, measured), and to wake another takes as long as to read 2 MB: only the largest are shared.
"""

from contextlib import nullcontext

import numpy as np

from kernels.cpu.compile import kernel
from kernels.cpu.memory import empty
from kernels.cpu.rows import as_rows
from kernels.cpu.threads import by_rows, run, serial, share_count
from nanollm.ops.checks import expect
from nanollm.ops.elementwise import unbroadcast
from nanollm.ops.linear import check_linear, check_matmul

ENOUGH = 2 ** 21                                 # multiplications a thread must get
MANY = 2 ** 23                                   # weights from which on a single row is shared out


@kernel
def add_vector_product(x, w, y):                 # (K,), (K, N): y (N,) += x w, row by row
    for k in range(w.shape[0]):
        for n in range(w.shape[1]):
            y[n] += x[k] * w[k, n]


@kernel
def _dot_rows(w, y, x):                          # (N, K), (N,), (K,): y = w x
    for n in range(w.shape[0]):
        total = y.dtype.type(0)
        for k in range(w.shape[1]):
            total += w[n, k] * x[k]
        y[n] = total


def vector_product(x, w, out):
    """out (N,) = x (K,) w (K, N); w may be a transposed (N, K). Threads share a large one."""
    with nullcontext() if w.size > MANY else serial():
        if w.flags.c_contiguous:
            by_rows(add_vector_product, (x, w), sums=(out,), work=w.size)
        else:
            by_rows(_dot_rows, (w.T, out), x)


def product(a, b, out):
    """out = a b for matrices (M, K), (K, N), each thread a part of `out`."""
    (M, K), N = a.shape, b.shape[1]
    if M == 1 and (b.flags.c_contiguous or b.T.flags.c_contiguous):
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
    expect("linear_backward", "dy", dy, (*x.shape[:-1], w.shape[1]))
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
    lead = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    expect("matmul_backward", "dy", dy, (*lead, a.shape[-2], b.shape[-1]))
    da = batched(dy, b.swapaxes(-1, -2))
    db = batched(a.swapaxes(-1, -2), dy)
    return unbroadcast(da, a.shape), unbroadcast(db, b.shape)


def batched(a, b):
    """a b for each matrix of the batch, the leading axes broadcast."""
    lead = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    return np.matmul(a, b, out=empty((*lead, a.shape[-2], b.shape[-1]), np.result_type(a, b)))

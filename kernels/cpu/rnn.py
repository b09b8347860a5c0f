"""The recurrent network on the CPU: each thread takes some rows of the batch through all steps.

The mathematics is in nanollm/ops/rnn.py. Steps must wait for each other, rows need not: so threads
share the batch and never meet. A step is a small product and one walk over its result.

BLAS copies its factors into an order that it likes, which pays when a product is large. Here u
meets a few rows at a time, and the copy would take as long as the product. Up to SMALL
multiplications OpenBLAS leaves it out; so u is cut into strips of columns that are narrow enough,
once for all steps. (Measured, 16 rows times 256 x 1024: 0.08 ms, against 0.18 in one piece.)

lstm.py and gru.py stand on what is here.
"""

import numpy as np

from kernels.cpu.attention import shared_out
from kernels.cpu.compile import kernel
from kernels.cpu.linear import linear, product, weight_gradient
from kernels.cpu.memory import empty
from kernels.cpu.rows import as_rows, empty_like
from kernels.scalar import tanh
from nanollm.ops.checks import expect
from nanollm.ops.rnn import check_lengths, check_recurrence, in_order

SMALL = 10 ** 6                                  # multiplications
NARROW = 16                                      # columns: a SIMD register of float32


def strips(u, n):
    """u (K, N) as (N / W, K, W), W columns a strip: n rows times a strip is a SMALL product.

    One strip if no W of at least NARROW columns does it.
    """
    K, N = u.shape
    W = N
    while n * K * W > SMALL and W % (2 * NARROW) == 0:
        W //= 2
    W = W if n * K * W <= SMALL else N
    return np.ascontiguousarray(u.reshape(K, N // W, W).swapaxes(0, 1))


def times(h, pieces, out):
    """out (n, N) = h (n, K) u, u in strips."""
    count, _, W = pieces.shape
    np.matmul(h, pieces, out=out.reshape(len(out), count, W).swapaxes(0, 1))


def without_padding(op, x, lengths):
    """x (B, T, E) with zeros for padding, and how many tokens each row has (B,)."""
    B, T, _ = x.shape
    check_lengths(op, lengths, T)
    if lengths is None:
        return x, np.full(B, T)
    live = np.arange(T)[:, None] < lengths[:, None, None]       # (B, T, 1)
    return np.where(live, x, x.dtype.type(0)), lengths.astype(np.int64)


def own(h):
    """A copy of h, C-contiguous, to write into."""
    copy = empty_like(h)
    copy[...] = h
    return copy


@kernel
def pass_on(s, dh):                              # (B, H) twice: dh += s, what the step after left
    for b in range(dh.shape[0]):
        for k in range(dh.shape[1]):
            dh[b, k] += s[b, k]


@kernel
def _step(s, ends, t, h, past, y):               # (B, H), (B,), (B, H), (B, T, H) twice
    """y comes with x w + b in it, s with h u."""
    for b in range(h.shape[0]):
        past[b, t] = h[b]
        state, after = h[b], y[b, t]
        if t < ends[b]:
            for k in range(state.size):
                after[k] = tanh(after[k] + s[b, k])
            state[:] = after
        else:
            after[:] = 0


@kernel
def _step_back(dy, y, ends, t, dh, da):          # (B, T, H) twice, (B,), (B, H), (B, T, H)
    """dh is taken by a token and goes on through padding."""
    one = y.dtype.type(1)
    for b in range(dh.shape[0]):
        out, g = da[b, t], dh[b]
        if t < ends[b]:
            for k in range(g.size):
                out[k] = (dy[b, t, k] + g[k]) * (one - y[b, t, k] * y[b, t, k])
            g[:] = 0
        else:
            out[:] = 0


def rnn(x, h, w, u, b=None, lengths=None, *, reverse=False):
    B, T, H = check_recurrence("rnn", x, (h,), w, u, (b,), lengths)
    x, ends = without_padding("rnn", x, lengths)
    y, _ = linear(x, w, b)                                      # (B, T, H)
    past, s, h = empty_like(y), empty((B, H), y.dtype), own(h)

    def part(rows):
        pieces = strips(u, len(s[rows]))
        for t in in_order(T, reverse):
            times(h[rows], pieces, out=s[rows])
            _step(s[rows], ends[rows], t, h[rows], past[rows], y[rows])

    shared_out(part, B, B * T * u.size)
    return (y, h), (x, w, u, b is not None, ends, past, y, reverse)


def rnn_backward(dy, saved):
    x, w, u, has_bias, ends, past, y, reverse = saved
    dy, dh = dy
    expect("rnn_backward", "dy", dy, y.shape)
    dy, dh, da = np.ascontiguousarray(dy), own(dh), empty_like(y)

    def step_back(rows, t):
        _step_back(dy[rows], y[rows], ends[rows], t, dh[rows], da[rows])

    through_time(step_back, dh, da, u, in_order(y.shape[1], not reverse))
    dx, dw, db = input_gradients(da, x, w, has_bias)
    return dx, dh, dw, weight_gradient(as_rows(past), as_rows(da), u), db, None


def through_time(step_back, dh, da, u, order):
    """step_back(rows, t) fills da (B, T, N) and takes from dh (B, H), to which da uᵀ is added."""
    B, H = dh.shape
    s = empty((B, H), dh.dtype)

    def part(rows):
        pieces = strips(u.T, len(s[rows]))
        for t in order:
            step_back(rows, t)
            times(da[rows, t], pieces, out=s[rows])
            pass_on(s[rows], dh[rows])

    shared_out(part, B, B * len(order) * u.size)


def input_gradients(da, x, w, has_bias):
    """dx, dw, db of a = x w + b for all steps at once."""
    dx, da_rows = empty_like(x), as_rows(da)
    product(da_rows, w.T, out=as_rows(dx))
    return dx, weight_gradient(as_rows(x), da_rows, w), da_rows.sum(axis=0) if has_bias else None

"""The recurrent network on the CPU: each thread takes some rows of the batch through all steps.

The mathematics is in nanollm/ops/rnn.py. Steps must wait for each other, rows need not: so threads
share the batch and never meet. A step is a small product and one walk over its result.

BLAS copies its factors into an order that it likes, which pays when a product is large. Here u
meets a few rows at a time, and the copy would take as long as the product. Up to SMALL
multiplications OpenBLAS leaves it out; so u is cut into strips of columns that are narrow enough,
once for all steps. (Measured, 16 rows times 256 x 1024: 0.08 ms, against 0.18 in one piece.)
At that speed x_t w may wait for its step as well, whose kernel then finds it in cache. The page's
other products over all steps stay one product each.

lstm.py and gru.py stand on what is here.
"""

import numpy as np

from kernels.cpu.attention import shared_out
from kernels.cpu.compile import kernel
from kernels.cpu.linear import product, weight_gradient
from kernels.cpu.memory import empty
from kernels.cpu.rows import as_rows, empty_like
from kernels.scalar import tanh
from nanollm.ops.checks import expect
from nanollm.ops.rnn import check_lengths, check_recurrence, in_order

SMALL = 10 ** 6                                  # multiplications
NARROW, WIDE = 16, 64                            # columns: the least and the most of a strip
BLOCK = 128


def strips(u, n):
    """u (K, N) as (N / W, K, W), strips of W columns: n rows times one of them is SMALL.

    One strip if no W of at least NARROW columns is small enough, or divides N.
    """
    K, N = u.shape
    W = N
    while (W > WIDE or n * K * W > SMALL) and W % (2 * NARROW) == 0:
        W //= 2
    W = W if n * K * W <= SMALL else N
    pieces = empty((N // W, K, W), u.dtype)
    if u.T.flags.c_contiguous:
        _cut(u.T, pieces)
    else:
        np.copyto(pieces, u.reshape(K, N // W, W).swapaxes(0, 1))
    return pieces


def in_strips(y, pieces):
    """A view of y (..., n, N) into which np.matmul writes x times `pieces`: (..., N / W, n, W)."""
    count, _, W = pieces.shape
    return y.reshape(*y.shape[:-1], count, W).swapaxes(-2, -3)


def without_padding(op, x, lengths):
    """x (B, T, E) with zeros for padding, and how many tokens each row has (B,)."""
    B, T, _ = x.shape
    check_lengths(op, lengths, T)
    if lengths is None:
        return np.ascontiguousarray(x), np.full(B, T)
    live = np.arange(T)[:, None] < lengths[:, None, None]       # (B, T, 1)
    return np.where(live, x, x.dtype.type(0)), lengths.astype(np.int64)


def own(h):
    """A copy of h, C-contiguous, to write into."""
    copy = empty_like(h)
    copy[...] = h
    return copy


def on_rows(b, B, N, dtype):
    """b (N,), zeros if it is None, for each of B rows."""
    rows = empty((B, N), dtype)
    rows[...] = 0 if b is None else b
    return rows


@kernel
def _cut(v, pieces):                             # (N, K), the transposed u → (N / W, K, W)
    """In blocks of BLOCK rows of a strip, which stay in cache while they are filled by column."""
    count, K, W = pieces.shape
    for i in range(count):
        for first in range(0, K, BLOCK):
            for n in range(W):
                for k in range(first, min(first + BLOCK, K)):
                    pieces[i, k, n] = v[i * W + n, k]


@kernel
def add(s, g):                                   # (H,) twice: g += s
    for k in range(g.size):
        g[k] += s[k]


@kernel
def _step(t, ends, y, s, h, bias, past):         # (B,), (B, T, H), (B, H) three times, (B, T, H)
    """y_t comes with x_t w in it, s with h u."""
    for b in range(h.shape[0]):
        past[b, t] = h[b]
        state, after = h[b], y[b, t]
        if t < ends[b]:
            add(bias[b], after)
            for k in range(state.size):
                after[k] = tanh(after[k] + s[b, k])
            state[:] = after
        else:
            after[:] = 0


@kernel
def _step_back(t, ends, s, dh, da, dy, y):       # (B,), (B, H) twice, (B, T, H) three times
    """s is what the step after sends back. A token takes all of dh, through padding it goes on."""
    one = y.dtype.type(1)
    for b in range(dh.shape[0]):
        out, g = da[b, t], dh[b]
        add(s[b], g)
        if t < ends[b]:
            for k in range(g.size):
                out[k] = (dy[b, t, k] + g[k]) * (one - y[b, t, k] * y[b, t, k])
            g[:] = 0
        else:
            out[:] = 0


def rnn(x, h, w, u, b=None, lengths=None, *, reverse=False):
    B, T, H = check_recurrence("rnn", x, (h,), w, u, (b,), lengths)
    x, ends = without_padding("rnn", x, lengths)
    h, bias = own(h), on_rows(b, B, H, x.dtype)
    s, (y, past) = empty_like(h), empty((2, B, T, H), x.dtype)
    forward_in_time(_step, x, w, u, in_order(T, reverse), ends, y, s, h, bias, past)
    return (y, h), (x, w, u, b is not None, ends, past, y, reverse)


def rnn_backward(dy, saved):
    x, w, u, has_bias, ends, past, y, reverse = saved
    dy, dh = dy
    expect("rnn_backward", "dy", dy, y.shape)
    dy, dh, da = np.ascontiguousarray(dy), own(dh), empty_like(y)
    back_in_time(_step_back, u, in_order(y.shape[1], not reverse), ends, dh, da, dy, y)
    dx, dw, db = input_gradients(da, x, w, has_bias)
    return dx, dh, dw, weight_gradient(as_rows(past), as_rows(da), u), db, None


def forward_in_time(step, x, w, u, order, ends, a, s, h, *arrays):
    """For each t: a_t = x_t w, s = h u, then step(t, ends, a, s, h, *arrays).

    x (B, T, E), a (B, T, N), s (B, N), h (B, H); all but w and u have the B rows of the batch.
    """
    def part(rows):
        mine = [each[rows] for each in (ends, a, s, h, *arrays)]
        n = len(h[rows])
        w_pieces, u_pieces = strips(w, n), strips(u, n)
        x_steps = x[rows].swapaxes(0, 1)                        # (T, n, E)
        a_steps = in_strips(a[rows].swapaxes(0, 1), w_pieces)
        products = in_strips(s[rows], u_pieces)
        for t in order:
            np.matmul(x_steps[t], w_pieces, out=a_steps[t])
            np.matmul(h[rows], u_pieces, out=products)
            step(t, *mine)

    shared_out(part, len(h), len(h) * len(order) * (w.size + u.size))


def back_in_time(step_back, u, order, ends, dh, da, *arrays):
    """For each t: step_back(t, ends, s, dh, da, *arrays), then s (B, H) = da uᵀ; s joins dh."""
    s = np.zeros_like(dh)

    def part(rows):
        mine = [a[rows] for a in (ends, s, dh, da, *arrays)]
        pieces = strips(u.T, len(s[rows]))
        products = in_strips(s[rows], pieces)
        for t in order:
            step_back(t, *mine)
            np.matmul(da[rows, t], pieces, out=products)
        dh[rows] += s[rows]

    shared_out(part, len(dh), len(dh) * len(order) * u.size)


def input_gradients(da, x, w, has_bias):
    """dx, dw, db of a = x w + b for all steps at once."""
    dx, da_rows = empty_like(x), as_rows(da)
    product(da_rows, w.T, out=as_rows(dx))
    return dx, weight_gradient(as_rows(x), da_rows, w), da_rows.sum(axis=0) if has_bias else None

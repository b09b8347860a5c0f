"""The recurrent network on the CPU: each thread takes some rows of the batch through all steps.

The mathematics is in nanollm/ops/rnn.py. Steps must wait for each other, rows need not: so threads
share the batch and never meet. A step is a small product and one walk over its result.

BLAS copies its factors into an order that it likes, which pays when a product is large. Here the
weights meet a few rows at a time, and the copy would take as long as the product. Up to SMALL
multiplications OpenBLAS leaves it out; so the weights are cut into strips of columns that are
narrow enough, once for all steps. (Measured, 16 rows times 256 x 1024: 0.08 ms, against 0.18 in
one piece.) At that speed x_t w need not be computed ahead for all steps: x_t and the state before
it stand side by side in `xh`, and with w above u both products of a step are one,

    x_t w + h u = (x_t | h) (w above u),

whose result the kernel finds in cache. Back in time one product over all steps gives dw and du.

lstm.py and gru.py stand on what is here.
"""

import numpy as np

from kernels.cpu.attention import shared_out
from kernels.cpu.compile import kernel
from kernels.cpu.linear import product
from kernels.cpu.memory import empty
from kernels.cpu.rows import as_rows, empty_like
from kernels.scalar import tanh
from nanollm.ops.checks import expect
from nanollm.ops.rnn import check_lengths, check_recurrence, in_order

SMALL = 10 ** 6                                  # multiplications
NARROW, WIDE = 16, 64                            # columns: the least and the most of a strip
FEW = 8                                          # rows: no product is cut to fewer
BLOCK = 128


def parts(n, K, W):
    """In how many equal parts to take n rows times K x W, so that each is SMALL if that can be."""
    count = 1
    while n // count * K * W > SMALL and n % (2 * FEW * count) == 0:
        count *= 2
    return count


def strips(n, *matrices):
    """Matrices (K_i, N), one above the other, as (N / W, K, W): strips of W columns, K = Σ K_i.

    W is such that n rows, in parts, times a strip are SMALL; one strip if no W of at least NARROW
    columns is small enough, or divides N.
    """
    K, N = sum(len(u) for u in matrices), matrices[0].shape[1]
    W = N
    while (W > WIDE or n // parts(n, K, W) * K * W > SMALL) and W % (2 * NARROW) == 0:
        W //= 2
    W = W if n // parts(n, K, W) * K * W <= SMALL else N
    pieces, first = empty((N // W, K, W), matrices[0].dtype), 0
    for u in matrices:
        part = pieces[:, first:first + len(u)]
        if u.T.flags.c_contiguous:
            _cut(u.T, part)
        else:
            np.copyto(part, u.reshape(len(u), N // W, W).swapaxes(0, 1))
        first += len(u)
    return pieces


def for_strips(x, y, pieces):
    """Views of x (..., n, K) and y (..., n, N) with which np.matmul(x, pieces, out=y) is y = x u.

    They are (..., p, 1, n / p, K) and (..., p, N / W, n / p, W), the rows in p parts.
    """
    (count, K, W), n = pieces.shape, x.shape[-2]
    p = parts(n, K, W)
    x = x.reshape(*x.shape[:-2], p, 1, n // p, K)
    return x, y.reshape(*y.shape[:-2], p, n // p, count, W).swapaxes(-2, -3)


def without_padding(op, x, lengths):
    """x (B, T, E) with zeros for padding, and how many tokens each row has (B,)."""
    B, T, _ = x.shape
    check_lengths(op, lengths, T)
    if lengths is None:
        return np.ascontiguousarray(x), np.full(B, T)
    live = np.arange(T)[:, None] < lengths[:, None, None]       # (B, T, 1)
    return np.where(live, x, x.dtype.type(0)), lengths.astype(np.int64)


def side_by_side(op, x, h, lengths, order):
    """xh (B, T, E + H): x, and h beside the first step's; and how many tokens each row has (B,)."""
    x, ends = without_padding(op, x, lengths)
    xh = empty((*x.shape[:2], x.shape[2] + h.shape[1]), x.dtype)
    xh[..., :x.shape[2]] = x
    if len(order):
        xh[:, order[0], x.shape[2]:] = h
    return xh, ends


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
def _step(t, then, ends, xh, y, h, bias):
    """xh (B, T, E + H), y (B, T, H), h, bias (B, H). y_t comes as x_t w + h u."""
    H = h.shape[1]
    for b in range(h.shape[0]):
        state, after = h[b], y[b, t]
        if t < ends[b]:
            add(bias[b], after)
            for k in range(H):
                after[k] = tanh(after[k])
            state[:] = after
        else:
            after[:] = 0
        if then >= 0:
            xh[b, then, -H:] = state


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
    order = in_order(T, reverse)
    xh, ends = side_by_side("rnn", x, h, lengths, order)
    h, bias, y = own(h), on_rows(b, B, H, x.dtype), empty((B, T, H), x.dtype)
    forward_in_time(_step, w, u, order, ends, xh, y, h, bias)
    return (y, h), (w, u, b is not None, ends, xh, y, reverse)


def rnn_backward(dy, saved):
    w, u, has_bias, ends, xh, y, reverse = saved
    dy, dh = dy
    expect("rnn_backward", "dy", dy, y.shape)
    dy, dh, da = np.ascontiguousarray(dy), own(dh), empty_like(y)
    back_in_time(_step_back, u, in_order(y.shape[1], not reverse), ends, dh, da, dy, y)
    dx, (dw, du), db = input_gradients(da, xh, w, has_bias)
    return dx, dh, dw, du, db, None


def forward_in_time(step, w, u, order, ends, xh, a, h, *arrays):
    """For each t: a_t = (x_t | h) (w above u), step(t, then, ends, xh, a, h, *arrays).

    xh (B, T, E + H), a (B, T, N), h (B, H); all but w and u have the B rows of the batch. The
    step leaves its state in h and in xh at `then`, the step to come, which is -1 after the last.
    """
    def part(rows):
        mine = [each[rows] for each in (ends, xh, a, h, *arrays)]
        pieces = strips(len(h[rows]), w, u)
        inputs, products = for_strips(xh[rows].swapaxes(0, 1), a[rows].swapaxes(0, 1), pieces)
        for t, then in zip(order, (*order[1:], -1)):
            np.matmul(inputs[t], pieces, out=products[t])
            step(t, then, *mine)

    shared_out(part, len(h), len(h) * len(order) * (w.size + u.size))


def back_in_time(step_back, u, order, ends, dh, da, *arrays):
    """For each t: step_back(t, ends, s, dh, da, *arrays), then s (B, H) = da uᵀ; s joins dh."""
    s = np.zeros_like(dh)

    def part(rows):
        mine = [a[rows] for a in (ends, s, dh, da, *arrays)]
        pieces = strips(len(s[rows]), u.T)
        steps, products = for_strips(da[rows].swapaxes(0, 1), s[rows], pieces)
        for t in order:
            step_back(t, *mine)
            np.matmul(steps[t], pieces, out=products)
        dh[rows] += s[rows]

    shared_out(part, len(dh), len(dh) * len(order) * u.size)


def input_gradients(da, xh, w, has_bias):
    """dx, (dw, du), db of a_t = x_t w + h u + b for all steps at once; without u, xh is x."""
    dx, da_rows = empty((*da.shape[:2], len(w)), da.dtype), as_rows(da)
    product(da_rows, w.T, out=as_rows(dx))
    both = product(as_rows(xh).T, da_rows, out=empty((xh.shape[2], da.shape[2]), da.dtype))
    return dx, (both[:len(w)], both[len(w):]), da_rows.sum(axis=0) if has_bias else None

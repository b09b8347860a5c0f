"""The LSTM on the GPU: a product and one kernel a step, a thread for each entry of the cell.

The mathematics is in nanollm/ops/lstm.py, how steps are arranged in rnn.py. A thread computes all
four gates of its entry and keeps h and c between; the gates replace the pre-activations they are
computed from.
"""

import math

from kernels.cuda.arrays import empty
from kernels.cuda.block import as_rows, by_entry
from kernels.cuda.device import cuda
from kernels.cuda.elementwise import sigmoid_of as sigmoid
from kernels.cuda.products import product
from kernels.cuda.rnn import back_in_time, input_gradients, inputs, own, without_padding
from nanollm.ops.checks import expect
from nanollm.ops.rnn import check_recurrence, in_order


@cuda.jit
def _step(t, ends, gates, s, h, c, past, cells, shown, y):
    """gates (B, T, 4H) = x w + b, s (B, 4H) = h u; h, c (B, H); the others (B, T, H)."""
    i = cuda.grid(1)
    H = h.shape[1]
    if i < h.size:
        b, k = i // H, i % H
        zero, one = h.dtype.type(0), h.dtype.type(1)
        past[b, t, k], cells[b, t, k] = h[b, k], c[b, k]
        shown[b, t, k], y[b, t, k] = zero, zero
        if t < ends[b]:
            write = sigmoid(gates[b, t, k] + s[b, k], one)
            keep = sigmoid(gates[b, t, H + k] + s[b, H + k], one)
            new = math.tanh(gates[b, t, 2 * H + k] + s[b, 2 * H + k])
            show = sigmoid(gates[b, t, 3 * H + k] + s[b, 3 * H + k], one)
            cell = keep * c[b, k] + write * new
            tanh_c = math.tanh(cell)
            gates[b, t, k], gates[b, t, H + k] = write, keep
            gates[b, t, 2 * H + k], gates[b, t, 3 * H + k] = new, show
            c[b, k], h[b, k] = cell, show * tanh_c
            shown[b, t, k], y[b, t, k] = tanh_c, show * tanh_c


@cuda.jit
def _step_back(t, ends, s, dh, now, da, dc, dy, cells, gates, shown):
    """s, dh, dc (B, H), now (B, 4H), da (B, T, 4H)."""
    i = cuda.grid(1)
    H = dh.shape[1]
    if i < dh.size:
        b, k = i // H, i % H
        zero, one = dh.dtype.type(0), dh.dtype.type(1)
        gh, di, df, dg, do = dh[b, k] + s[b, k], zero, zero, zero, zero
        dh[b, k] = gh
        if t < ends[b]:
            write, keep = gates[b, t, k], gates[b, t, H + k]
            new, show = gates[b, t, 2 * H + k], gates[b, t, 3 * H + k]
            tanh_c = shown[b, t, k]
            gh += dy[b, t, k]
            gc = dc[b, k] + gh * show * (one - tanh_c * tanh_c)
            di = gc * new * write * (one - write)
            df = gc * cells[b, t, k] * keep * (one - keep)
            dg = gc * write * (one - new * new)
            do = gh * tanh_c * show * (one - show)
            dc[b, k], dh[b, k] = gc * keep, zero
        now[b, k], now[b, H + k], now[b, 2 * H + k], now[b, 3 * H + k] = di, df, dg, do
        da[b, t, k], da[b, t, H + k], da[b, t, 2 * H + k], da[b, t, 3 * H + k] = di, df, dg, do


def lstm(x, h, c, w, u, b=None, lengths=None, *, reverse=False):
    B, T, H = check_recurrence("lstm", x, (h, c), w, u, (b,), lengths, gates=4)
    x, ends = without_padding("lstm", x, lengths)
    gates, h, c = inputs(x, w, b), own(h), own(c)
    past, cells, shown, y = (empty((B, T, H), x.dtype) for _ in range(4))
    for t in in_order(T, reverse):
        by_entry(_step, h.size, t, ends, gates, product(h, u), h, c, past, cells, shown, y)
    return (y, h, c), (x, w, u, b is not None, ends, past, cells, gates, shown, reverse)


def lstm_backward(dy, saved):
    x, w, u, has_bias, ends, past, cells, gates, shown, reverse = saved
    dy, dh, dc = dy
    expect("lstm_backward", "dy", dy, past.shape)
    da, dc = empty(gates.shape, gates.dtype), own(dc)
    dh = back_in_time(_step_back, u, in_order(past.shape[1], not reverse), ends, own(dh), da,
                      dc, dy, cells, gates, shown)
    dx, dw, db = input_gradients(da, x, w, has_bias)
    return dx, dh, dc, dw, product(as_rows(past), as_rows(da), a_turned=True), db, None

"""The LSTM on the CPU: a product and one kernel a step, its rows in cache.

The mathematics is in nanollm/ops/lstm.py, how steps and threads are arranged in rnn.py. The gates
replace the pre-activations they are computed from. A kernel takes a row of the batch at a time, in
several short loops: a row is in the nearest cache, and with more than a few arrays in a loop LLVM
no longer proves that they do not overlap, and gives SIMD up.
"""

import numpy as np

from kernels.cpu.compile import kernel
from kernels.cpu.memory import empty
from kernels.cpu.rnn import add, back_in_time, forward_in_time, input_gradients, on_rows, own
from kernels.cpu.rnn import side_by_side
from kernels.cpu.rows import empty_like
from kernels.scalar import sigmoid, tanh
from nanollm.ops.checks import expect
from nanollm.ops.rnn import check_recurrence, in_order


@kernel
def add_sigmoid(a, s):                           # (K,) twice: a = σ(a + s)
    for k in range(a.size):
        a[k] = sigmoid(a[k] + s[k])


@kernel
def add_tanh(a, s):                              # (K,) twice: a = tanh(a + s)
    for k in range(a.size):
        a[k] = tanh(a[k] + s[k])


@kernel
def _step(t, then, ends, xh, gates, h, c, bias, cells, shown, y):
    """xh (B, T, E + H), gates (B, T, 4H) = x w + h u, bias (B, 4H); h, c (B, H); rest (B, T, H)."""
    H = h.shape[1]
    for b in range(h.shape[0]):
        cells[b, t] = c[b]
        state, cell, tanh_c, after = h[b], c[b], shown[b, t], y[b, t]
        if t < ends[b]:
            a = gates[b, t]
            i, f, g, o = a[:H], a[H:2 * H], a[2 * H:3 * H], a[3 * H:]
            add_sigmoid(a[:2 * H], bias[b, :2 * H])
            add_tanh(g, bias[b, 2 * H:3 * H])
            add_sigmoid(o, bias[b, 3 * H:])
            for k in range(H):
                cell[k] = f[k] * cell[k] + i[k] * g[k]
            for k in range(H):
                tanh_c[k] = tanh(cell[k])
            for k in range(H):
                state[k] = o[k] * tanh_c[k]
            after[:] = state
        else:
            after[:] = 0
        if then >= 0:
            xh[b, then, -H:] = state


@kernel
def _step_back(t, ends, s, dh, da, dc, dy, cells, gates, shown):
    """s, dh, dc (B, H), da (B, T, 4H). A token takes all of dh, through padding it goes on."""
    H = dh.shape[1]
    one = dy.dtype.type(1)
    for b in range(dh.shape[0]):
        add(s[b], dh[b])
        if t >= ends[b]:
            da[b, t] = 0
            continue
        a, d, gh, gc = gates[b, t], da[b, t], dh[b], dc[b]
        tanh_c, cell = shown[b, t], cells[b, t]
        i, f, g, o = a[:H], a[H:2 * H], a[2 * H:3 * H], a[3 * H:]
        di, df, dg, do = d[:H], d[H:2 * H], d[2 * H:3 * H], d[3 * H:]
        add(dy[b, t], gh)
        for k in range(H):
            gc[k] += gh[k] * o[k] * (one - tanh_c[k] * tanh_c[k])
        for k in range(H):
            di[k] = gc[k] * g[k] * i[k] * (one - i[k])
        for k in range(H):
            df[k] = gc[k] * cell[k] * f[k] * (one - f[k])
        for k in range(H):
            dg[k] = gc[k] * i[k] * (one - g[k] * g[k])
        for k in range(H):
            do[k] = gh[k] * tanh_c[k] * o[k] * (one - o[k])
        for k in range(H):
            gc[k] *= f[k]
        gh[:] = 0


def lstm(x, h, c, w, u, b=None, lengths=None, *, reverse=False):
    B, T, H = check_recurrence("lstm", x, (h, c), w, u, (b,), lengths, gates=4)
    order = in_order(T, reverse)
    xh, ends = side_by_side("lstm", x, h, lengths, order)
    h, c, bias = own(h), own(c), on_rows(b, B, 4 * H, x.dtype)
    gates = empty((B, T, 4 * H), x.dtype)
    cells, shown, y = (empty((B, T, H), x.dtype) for _ in range(3))
    forward_in_time(_step, w, u, order, ends, xh, gates, h, c, bias, cells, shown, y)
    return (y, h, c), (w, u, b is not None, ends, xh, cells, gates, shown, reverse)


def lstm_backward(dy, saved):
    w, u, has_bias, ends, xh, cells, gates, shown, reverse = saved
    dy, dh, dc = dy
    expect("lstm_backward", "dy", dy, cells.shape)
    dy, dh, dc, da = np.ascontiguousarray(dy), own(dh), own(dc), empty_like(gates)
    back_in_time(_step_back, u, in_order(cells.shape[1], not reverse), ends, dh, da, dc, dy,
                 cells, gates, shown)
    dx, (dw, du), db = input_gradients(da, xh, w, has_bias)
    return dx, dh, dc, dw, du, db, None

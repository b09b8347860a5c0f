"""The LSTM on the CPU: a product and one kernel a step, its rows in cache.

The mathematics is in nanollm/ops/lstm.py, how steps and threads are arranged in rnn.py. The gates
replace the pre-activations they are computed from. A kernel takes a row of the batch at a time, in
several short loops: a row is in the nearest cache, and with more than a few arrays in a loop LLVM
no longer proves that they do not overlap, and gives SIMD up.
"""

import numpy as np

from kernels.cpu.compile import kernel
from kernels.cpu.linear import weight_gradient
from kernels.cpu.memory import empty
from kernels.cpu.rnn import add, back_in_time, forward_in_time, input_gradients, on_rows, own
from kernels.cpu.rnn import without_padding
from kernels.cpu.rows import as_rows, empty_like
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
def _step(t, ends, gates, s, h, c, bias, past, cells, shown, y):
    """gates (B, T, 4H) = x w, s (B, 4H) = h u, bias (B, 4H); h, c (B, H); the others (B, T, H)."""
    H = h.shape[1]
    for b in range(h.shape[0]):
        past[b, t], cells[b, t] = h[b], c[b]
        tanh_c, after = shown[b, t], y[b, t]
        if t >= ends[b]:
            tanh_c[:], after[:] = 0, 0
            continue
        a, state, cell = gates[b, t], h[b], c[b]
        i, f, g, o = a[:H], a[H:2 * H], a[2 * H:3 * H], a[3 * H:]
        add(bias[b], a)
        add_sigmoid(a[:2 * H], s[b, :2 * H])
        add_tanh(g, s[b, 2 * H:3 * H])
        add_sigmoid(o, s[b, 3 * H:])
        for k in range(H):
            cell[k] = f[k] * cell[k] + i[k] * g[k]
        for k in range(H):
            tanh_c[k] = tanh(cell[k])
        for k in range(H):
            state[k] = o[k] * tanh_c[k]
        after[:] = state


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
    x, ends = without_padding("lstm", x, lengths)
    h, c, bias = own(h), own(c), on_rows(b, B, 4 * H, x.dtype)
    s, gates = empty_like(bias), empty((B, T, 4 * H), x.dtype)
    past, cells, shown, y = (empty((B, T, H), x.dtype) for _ in range(4))
    forward_in_time(_step, x, w, u, in_order(T, reverse), ends, gates, s, h, c, bias,
                    past, cells, shown, y)
    return (y, h, c), (x, w, u, b is not None, ends, past, cells, gates, shown, reverse)


def lstm_backward(dy, saved):
    x, w, u, has_bias, ends, past, cells, gates, shown, reverse = saved
    dy, dh, dc = dy
    expect("lstm_backward", "dy", dy, past.shape)
    dy, dh, dc, da = np.ascontiguousarray(dy), own(dh), own(dc), empty_like(gates)
    back_in_time(_step_back, u, in_order(past.shape[1], not reverse), ends, dh, da, dc, dy,
                 cells, gates, shown)
    dx, dw, db = input_gradients(da, x, w, has_bias)
    return dx, dh, dc, dw, weight_gradient(as_rows(past), as_rows(da), u), db, None

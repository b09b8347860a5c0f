"""The gated recurrent unit on the CPU: a product and one kernel a step, its rows in cache.

The mathematics is in nanollm/ops/gru.py, how steps and threads are arranged in rnn.py, why a row's
loops are short in lstm.py. Here x w and h u stay apart, as r multiplies a part of h u alone. The
gates replace the pre-activations p they are computed from.
"""

import numpy as np

from kernels.cpu.attention import shared_out
from kernels.cpu.compile import kernel
from kernels.cpu.linear import weight_gradient
from kernels.cpu.memory import empty
from kernels.cpu.lstm import add_sigmoid
from kernels.cpu.rnn import add, back_in_time, for_strips, input_gradients, on_rows, own, strips
from kernels.cpu.rnn import without_padding
from kernels.cpu.rows import as_rows, empty_like
from kernels.scalar import tanh
from nanollm.ops.checks import expect
from nanollm.ops.rnn import check_recurrence, in_order


@kernel
def _step(t, ends, gates, q, h, bias, bu, past, seen, y):
    """gates (B, T, 3H) = x w, q (B, 3H) = h u, bias, bu (B, 3H); h (B, H); others (B, T, H)."""
    H = h.shape[1]
    one = h.dtype.type(1)
    for b in range(h.shape[0]):
        past[b, t] = h[b]
        q_n, after = seen[b, t], y[b, t]
        if t >= ends[b]:
            after[:] = 0
            continue
        a, state = gates[b, t], h[b]
        r, z, n = a[:H], a[H:2 * H], a[2 * H:]
        add(bias[b], a)
        add(bu[b], q[b])
        add_sigmoid(a[:2 * H], q[b, :2 * H])
        q_n[:] = q[b, 2 * H:]
        for k in range(H):
            n[k] = tanh(n[k] + r[k] * q_n[k])
        for k in range(H):
            state[k] = (one - z[k]) * n[k] + z[k] * state[k]
        after[:] = state


@kernel
def _step_back(t, ends, s, dh, dq, dp, dy, past, gates, seen):
    """s, dh (B, H), dp, dq (B, T, 3H). A token leaves z of dh for the one before, padding all."""
    H = dh.shape[1]
    one = dy.dtype.type(1)
    for b in range(dh.shape[0]):
        add(s[b], dh[b])
        if t >= ends[b]:
            dp[b, t], dq[b, t] = 0, 0
            continue
        a, d, g = gates[b, t], dp[b, t], dh[b]
        q_n, before = seen[b, t], past[b, t]
        r, z, n = a[:H], a[H:2 * H], a[2 * H:]
        dr, dz, dn = d[:H], d[H:2 * H], d[2 * H:]
        add(dy[b, t], g)
        for k in range(H):
            dn[k] = g[k] * (one - z[k]) * (one - n[k] * n[k])
        for k in range(H):
            dz[k] = g[k] * (before[k] - n[k]) * z[k] * (one - z[k])
        for k in range(H):
            dr[k] = dn[k] * q_n[k] * r[k] * (one - r[k])
        for k in range(H):
            g[k] *= z[k]
        dq[b, t] = d
        dq_n = dq[b, t, 2 * H:]
        for k in range(H):
            dq_n[k] *= r[k]


def gru(x, h, w, u, b=None, bu=None, lengths=None, *, reverse=False):
    B, T, H = check_recurrence("gru", x, (h,), w, u, (b, bu), lengths, gates=3)
    x, ends = without_padding("gru", x, lengths)
    h, *both = own(h), *(on_rows(each, B, 3 * H, x.dtype) for each in (b, bu))
    q, gates = empty_like(both[0]), empty((B, T, 3 * H), x.dtype)
    past, seen, y = (empty((B, T, H), x.dtype) for _ in range(3))

    def part(rows):                              # x_t w and h u, then the step, for each t
        mine = [each[rows] for each in (ends, gates, q, h, *both, past, seen, y)]
        n = len(h[rows])
        w_pieces, u_pieces = strips(n, w), strips(n, u)
        x_steps, a_steps = for_strips(x[rows].swapaxes(0, 1), gates[rows].swapaxes(0, 1), w_pieces)
        state, products = for_strips(h[rows], q[rows], u_pieces)
        for t in in_order(T, reverse):
            np.matmul(x_steps[t], w_pieces, out=a_steps[t])
            np.matmul(state, u_pieces, out=products)
            _step(t, *mine)

    shared_out(part, B, B * T * (w.size + u.size))
    biases = b is not None, bu is not None
    return (y, h), (x, w, u, biases, ends, past, gates, seen, reverse)


def gru_backward(dy, saved):
    x, w, u, (has_b, has_bu), ends, past, gates, seen, reverse = saved
    dy, dh = dy
    expect("gru_backward", "dy", dy, past.shape)
    dy, dh, dp, dq = np.ascontiguousarray(dy), own(dh), empty_like(gates), empty_like(gates)
    back_in_time(_step_back, u, in_order(past.shape[1], not reverse), ends, dh, dq, dp, dy,
                 past, gates, seen)
    dx, (dw, _), db = input_gradients(dp, x, w, has_b)
    du = weight_gradient(as_rows(past), as_rows(dq), u)
    return dx, dh, dw, du, db, as_rows(dq).sum(axis=0) if has_bu else None, None

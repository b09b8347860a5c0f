"""The gated recurrent unit on the GPU: a product and one kernel a step, a thread for each entry.

The mathematics is in nanollm/ops/gru.py, how steps are arranged in rnn.py. The gates replace the
pre-activations they are computed from. Going back, what goes to x w + b and what goes to h u + bu
differ in the candidate's third: two arrays.
"""

import math

from kernels.cuda.arrays import empty
from kernels.cuda.block import as_rows, by_entry
from kernels.cuda.device import cuda
from kernels.cuda.elementwise import sigmoid_of as sigmoid
from kernels.cuda.products import product
from kernels.cuda.rnn import back_in_time, input_gradients, inputs, own, without_padding
from kernels.cuda.shape import sum_axis
from nanollm.ops.checks import expect
from nanollm.ops.rnn import check_recurrence, in_order


@cuda.jit
def _step(t, ends, gates, q, h, past, seen, y):
    """gates (B, T, 3H) = x w + b, q (B, 3H) = h u + bu; h (B, H); the others (B, T, H)."""
    i = cuda.grid(1)
    H = h.shape[1]
    if i < h.size:
        b, k = i // H, i % H
        zero, one = h.dtype.type(0), h.dtype.type(1)
        past[b, t, k], seen[b, t, k], y[b, t, k] = h[b, k], zero, zero
        if t < ends[b]:
            r = sigmoid(gates[b, t, k] + q[b, k], one)
            z = sigmoid(gates[b, t, H + k] + q[b, H + k], one)
            n = math.tanh(gates[b, t, 2 * H + k] + r * q[b, 2 * H + k])
            gates[b, t, k], gates[b, t, H + k], gates[b, t, 2 * H + k] = r, z, n
            seen[b, t, k] = q[b, 2 * H + k]
            h[b, k] = (one - z) * n + z * h[b, k]
            y[b, t, k] = h[b, k]


@cuda.jit
def _step_back(t, ends, s, dh, now, dq, dp, dy, past, gates, seen):
    """s, dh (B, H), now (B, 3H), dq, dp (B, T, 3H)."""
    i = cuda.grid(1)
    H = dh.shape[1]
    if i < dh.size:
        b, k = i // H, i % H
        zero, one = dh.dtype.type(0), dh.dtype.type(1)
        g, dr, dz, dn, dseen = dh[b, k] + s[b, k], zero, zero, zero, zero
        dh[b, k] = g
        if t < ends[b]:
            r, z, n = gates[b, t, k], gates[b, t, H + k], gates[b, t, 2 * H + k]
            g += dy[b, t, k]
            dn = g * (one - z) * (one - n * n)
            dz = g * (past[b, t, k] - n) * z * (one - z)
            dr = dn * seen[b, t, k] * r * (one - r)
            dseen = dn * r
            dh[b, k] = g * z
        now[b, k], now[b, H + k], now[b, 2 * H + k] = dr, dz, dseen
        dq[b, t, k], dq[b, t, H + k], dq[b, t, 2 * H + k] = dr, dz, dseen
        dp[b, t, k], dp[b, t, H + k], dp[b, t, 2 * H + k] = dr, dz, dn


def gru(x, h, w, u, b=None, bu=None, lengths=None, *, reverse=False):
    B, T, H = check_recurrence("gru", x, (h,), w, u, (b, bu), lengths, gates=3)
    x, ends = without_padding("gru", x, lengths)
    gates, h = inputs(x, w, b), own(h)
    past, seen, y = (empty((B, T, H), x.dtype) for _ in range(3))
    for t in in_order(T, reverse):
        by_entry(_step, h.size, t, ends, gates, product(h, u, bu), h, past, seen, y)
    biases = b is not None, bu is not None
    return (y, h), (x, w, u, biases, ends, past, gates, seen, reverse)


def gru_backward(dy, saved):
    x, w, u, (has_b, has_bu), ends, past, gates, seen, reverse = saved
    dy, dh = dy
    expect("gru_backward", "dy", dy, past.shape)
    dp, dq = empty(gates.shape, gates.dtype), empty(gates.shape, gates.dtype)
    dh = back_in_time(_step_back, u, in_order(past.shape[1], not reverse), ends, own(dh), dq,
                      dp, dy, past, gates, seen)
    dx, dw, db = input_gradients(dp, x, w, has_b)
    du = product(as_rows(past), as_rows(dq), a_turned=True)
    dbu = sum_axis(as_rows(dq), 0).reshape(u.shape[1]) if has_bu else None
    return dx, dh, dw, du, db, dbu, None

"""The recurrent network on the GPU: a product and one kernel a step, a thread for each state entry.

The mathematics is in nanollm/ops/rnn.py. x w is one product for all steps, before the first; the
weights' gradients are one product each, after the last. What remains of a step, h u and the entries
of the next state, waits for the step before: two launches each way. Small ones, at that: a batch of
32 with 256 states keeps a few percent of a large GPU busy. (One launch for all steps would need all
blocks to wait for each other at every step.)

A step overwrites h where the row still has a token; a row that has ended keeps it. Going back, the
kernel leaves its gradients twice: in da, for the products at the end, and in `now`, side by side,
for the product with uᵀ.
lstm.py and gru.py stand on what is here.
"""

import math

import numpy as np

from kernels.cuda.arrays import array, empty, host, zeros
from kernels.cuda.block import as_rows, by_entry
from kernels.cuda.device import cuda
from kernels.cuda.elementwise import add
from kernels.cuda.products import product
from kernels.cuda.shape import sum_axis
from nanollm.ops.checks import expect
from nanollm.ops.rnn import check_lengths, check_recurrence, in_order


@cuda.jit
def _without_padding(x, ends, y):                # (B, T, E), (B,) → (B, T, E)
    i = cuda.grid(1)
    _, T, E = x.shape
    if i < x.size:
        b, t, e = i // (T * E), i // E % T, i % E
        y[b, t, e] = x[b, t, e] if t < ends[b] else x.dtype.type(0)


@cuda.jit
def _step(t, ends, a, s, h, past, y):            # (B,), (B, T, H), (B, H) twice, (B, T, H) twice
    i = cuda.grid(1)
    H = h.shape[1]
    if i < h.size:
        b, k = i // H, i % H
        past[b, t, k] = h[b, k]
        y[b, t, k] = h.dtype.type(0)
        if t < ends[b]:
            h[b, k] = math.tanh(a[b, t, k] + s[b, k])
            y[b, t, k] = h[b, k]


@cuda.jit
def _step_back(t, ends, s, dh, now, da, dy, y):  # (B,), (B, H) three times, (B, T, H) three times
    i = cuda.grid(1)
    H = dh.shape[1]
    if i < dh.size:
        b, k = i // H, i % H
        g = dh[b, k] + s[b, k]                   # s: what the step after sends back
        dh[b, k], now[b, k] = g, dh.dtype.type(0)
        if t < ends[b]:
            one = dh.dtype.type(1)
            now[b, k] = (dy[b, t, k] + g) * (one - y[b, t, k] * y[b, t, k])
            dh[b, k] = dh.dtype.type(0)           # a token takes all of it
        da[b, t, k] = now[b, k]


def without_padding(op, x, lengths):
    """x with zeros for padding, and how many tokens each row has, (B,), on the device."""
    B, T, _ = x.shape
    if lengths is None:
        return x, array(np.full(B, T))
    check_lengths(op, host(lengths), T)
    ends, y = array(host(lengths).astype(np.int64)), empty(x.shape, x.dtype)
    by_entry(_without_padding, x.size, x, ends, y)
    return y, ends


def own(h):
    """A copy of h, to write into."""
    copy = empty(h.shape, h.dtype)
    copy.copy_to_device(h)
    return copy


def inputs(x, w, b):
    """a = x w + b for all steps, (B, T, N)."""
    return product(as_rows(x), w, b).reshape(*x.shape[:2], w.shape[1])


def back_in_time(step_back, u, order, ends, dh, da, *arrays):
    """For each t: step_back(t, ends, s, dh, now, da, *arrays), then s (B, H) = now uᵀ.

    dh (B, H) is written into; returns that of the state before the first step.
    """
    s, now = zeros(dh.shape, dh.dtype), empty((dh.shape[0], u.shape[1]), dh.dtype)
    for t in order:
        by_entry(step_back, dh.size, t, ends, s, dh, now, da, *arrays)
        s = product(now, u, b_turned=True)
    return add(dh, s)[0]


def input_gradients(da, x, w, has_bias):
    """dx, dw, db of a = x w + b for all steps at once."""
    rows = as_rows(da)
    dx = product(rows, w, b_turned=True).reshape(x.shape)
    dw = product(as_rows(x), rows, a_turned=True)
    return dx, dw, sum_axis(rows, 0).reshape(w.shape[1]) if has_bias else None


def rnn(x, h, w, u, b=None, lengths=None, *, reverse=False):
    B, T, H = check_recurrence("rnn", x, (h,), w, u, (b,), lengths)
    x, ends = without_padding("rnn", x, lengths)
    a, h = inputs(x, w, b), own(h)
    past, y = empty((B, T, H), x.dtype), empty((B, T, H), x.dtype)
    for t in in_order(T, reverse):
        by_entry(_step, h.size, t, ends, a, product(h, u), h, past, y)
    return (y, h), (x, w, u, b is not None, ends, past, y, reverse)


def rnn_backward(dy, saved):
    x, w, u, has_bias, ends, past, y, reverse = saved
    dy, dh = dy
    expect("rnn_backward", "dy", dy, y.shape)
    da = empty(y.shape, y.dtype)
    dh = back_in_time(_step_back, u, in_order(y.shape[1], not reverse), ends, own(dh), da, dy, y)
    dx, dw, db = input_gradients(da, x, w, has_bias)
    return dx, dh, dw, product(as_rows(past), as_rows(da), a_turned=True), db, None

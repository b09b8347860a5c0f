"""Positions: tell the model where in the sequence a token stands.

Equation    learned      y_t = x_t + w_(start + t)
            sinusoidal   P(t, 2i)     = sin(t / 10000^(2i/C)),
                         P(t, 2i + 1) = cos(t / 10000^(2i/C)),     i = 0 ... C/2 - 1
            Attention alone does not see order: permuting its input only permutes its output.
            With sines, a shift by s is a fixed rotation of each pair (2i, 2i + 1), so "s places
            back" is a linear map that attention can learn.

Shapes      x (..., T, C), w (context, C)  →  y (..., T, C), with start + T ≤ context
Saved       the shape of w, start

Backward    An addition: dx = dy. One row of w serves every sequence of the batch, so its gradient
            sums over all leading axes; rows outside start ... start + T - 1 receive zero.

Source      sinusoidal: Vaswani et al. 2017 (arXiv 1706.03762), section 3.5;
            learned: Gehring et al. 2017 (arXiv 1705.03122), section 3.1, and GPT
Kernels     none on the CPU: it is one addition; kernels/cuda/positions.py
Used by     every Transformer without rotary positions
"""

import numpy as np

from nanollm.errors import InputError


def check_positions(x, w, start):
    """Raise InputError unless T positions from `start` on are rows of w; return T."""
    *_, T, C = (0, 0, *x.shape)
    if x.ndim < 2 or C != w.shape[1]:
        raise InputError(f"positions: x {tuple(x.shape)} does not fit w {tuple(w.shape)}")
    if not 0 <= start <= start + T <= w.shape[0]:
        raise InputError(f"positions: {start} to {start + T - 1} asked for, but there are only "
                         f"{w.shape[0]} positions (the context length)")
    return T


def positions(x, w, *, start=0):
    T = check_positions(x, w, start)
    return x + w[start:start + T], (w.shape, start)             # (..., T, C)


def positions_backward(dy, saved):
    shape, start = saved
    T, C = dy.shape[-2:]
    dw = np.zeros(shape, dy.dtype)                              # (context, C)
    dw[start:start + T] = dy.reshape(-1, T, C).sum(axis=0) if dy.size else 0
    return dy, dw


def sinusoidal(T, C, dtype=np.float32):
    """The table P (T, C), C even: constants, made once and added with `add`."""
    if C % 2:
        raise InputError(f"sinusoidal: the width {C} is odd; sines and cosines come in pairs")
    t = np.arange(T)[:, None]                                   # (T, 1)
    frequency = 10000 ** (-np.arange(0, C, 2) / C)              # (C/2,)
    table = np.empty((T, C), dtype)
    table[:, 0::2] = np.sin(t * frequency)
    table[:, 1::2] = np.cos(t * frequency)
    return table

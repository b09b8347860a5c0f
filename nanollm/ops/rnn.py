"""The recurrent network: one state, carried from token to token, that remembers the past.

Equation    h_t = tanh(x_t w + h_{t-1} u + b)      for t = 1 ... T, from an initial state h_0
            The same w, u and b at every step. Other texts write h_t = RNN(e_t, h_{t-1}), where e_t
            is the embedding of token t: our x_t.
            With lengths, row b holds lengths[b] tokens and padding behind them. Padding is not
            read, its y is 0, and the state stays what it was: h_T is the state after the last
            token. With reverse=True each row is read from its last token to its first.

Shapes      x (B, T, E), h (B, H), w (E, H), u (H, H), b (H,) or None, lengths (B,) of whole numbers
            from 0 to T, or None  →  y (B, T, H), the state after each step; h_T (B, H)
Saved       x, w, u, is there a b, which steps are tokens, the state before and after each step,
            the direction

Backward    Backpropagation through time: the loop over t is a network of T layers with one set of
            weights, so go back through it from the last step to the first. h_t is used twice, as
            y_t and by the next step, so its gradient g_t is a sum; a = x_t w + h_{t-1} u + b:
                g_t = dy_t + dh_t,      da_t = g_t ⊙ (1 - h_t²),      dh_{t-1} = da_t uᵀ.
            The weights were used at every step, and their gradients add up:
                dw = Σ_t x_tᵀ da_t,     du = Σ_t h_{t-1}ᵀ da_t,       db = Σ_t da_t,
            one product over all rows and steps each. Through padding dh passes unchanged.

            Why it forgets: dh_{t-1} = (dh_t ⊙ (1 - h_t²)) uᵀ, so n steps back is a product of n
            Jacobians, and |dh_{t-n}| ≤ σⁿ |dh_t|, where σ is u's largest singular value. With σ < 1
            the gradient vanishes exponentially: the loss cannot tell what the distant past should
            have been. With σ > 1 it may explode, and clipping helps. The LSTM helps against both:
            nanollm/vanishing.py measures it.

Source      Elman 1990, Finding Structure in Time; through time: Werbos 1990; vanishing gradients:
            Pascanu, Mikolov & Bengio 2013 (arXiv 1211.5063), section 2.1
Kernels     kernels/cpu/rnn.py, kernels/cuda/rnn.py
Used by     RNN in nanollm/recurrent.py
"""

import numpy as np

from nanollm.errors import InputError
from nanollm.ops.checks import expect, expect_dtype


def check_recurrence(op, x, states, w, u, biases, lengths, gates=1):
    """Raise InputError unless the arrays fit and have one dtype; return B, T, H.

    states, biases    the op's arrays, in its order; a bias may be None
    lengths           their numbers are for check_lengths: here none is read from a device
    gates             how many pre-activations an entry of the state has
    """
    if x.ndim != 3 or x.shape[2] == 0:
        raise InputError(f"{op}: x has shape {tuple(x.shape)}, expected (B, T, E) with E ≥ 1")
    if u.ndim != 2 or u.size == 0 or u.shape[1] != gates * u.shape[0]:
        columns = "H" if gates == 1 else f"{gates} H"
        raise InputError(f"{op}: u has shape {tuple(u.shape)}, expected (H, {columns}) with H ≥ 1")
    (B, T, E), H = x.shape, u.shape[0]
    rows = [("w", w, (E, gates * H)), ("u", u, u.shape)]
    rows += [(name, state, (B, H)) for name, state in zip(("h", "c"), states)]
    rows += [(name, b, (gates * H,)) for name, b in zip(("b", "bu"), biases) if b is not None]
    for name, array, shape in rows:
        expect(op, name, array, shape)
        expect_dtype(op, name, array, x.dtype)
    if lengths is not None:
        expect(op, "lengths", lengths, (B,))
        if lengths.dtype.kind not in "iu":
            raise InputError(f"{op}: lengths have dtype {lengths.dtype}, expected whole numbers "
                             "(int64)")
    return B, T, H


def check_lengths(op, lengths, T):
    """Raise InputError unless lengths (None: all are T) go from 0 to T."""
    if lengths is None:
        return
    for length in lengths:
        if not 0 <= length <= T:
            raise InputError(f"{op}: a length is {length}, but x has {T} steps; expected 0 to {T}")


def tokens(op, x, lengths):
    """(B, T, 1) bool: is this step a token, or padding?"""
    B, T, _ = x.shape
    check_lengths(op, lengths, T)
    if lengths is None:
        return np.ones((B, T, 1), bool)
    return np.arange(T)[None, :, None] < lengths[:, None, None]


def in_order(T, reverse):
    """The steps 0 ... T - 1 as the network takes them."""
    return range(T - 1, -1, -1) if reverse else range(T)


def over_steps(x, da):
    """Σ_bt x_btᵀ da_bt: (B, T, E), (B, T, H) → (E, H)."""
    return np.tensordot(x, da, axes=((0, 1), (0, 1)))


def rnn(x, h, w, u, b=None, lengths=None, *, reverse=False):
    check_recurrence("rnn", x, (h,), w, u, (b,), lengths)
    live = tokens("rnn", x, lengths)                            # (B, T, 1)
    x = np.where(live, x, 0)                                    # not even a NaN comes through
    a = x @ w if b is None else x @ w + b                       # (B, T, H)  all steps at once
    past, y = np.empty_like(a), np.empty_like(a)
    for t in in_order(x.shape[1], reverse):
        past[:, t] = h
        state = np.tanh(a[:, t] + h @ u)                        # (B, H)
        y[:, t] = live[:, t] * state
        h = np.where(live[:, t], state, h)
    return (y, h), (x, w, u, b is not None, live, past, y, reverse)


def rnn_backward(dy, saved):
    x, w, u, has_bias, live, past, y, reverse = saved
    dy, dh = dy
    dy = np.where(live, dy, 0)                                  # (B, T, H)
    da = np.empty_like(y)
    for t in in_order(x.shape[1], not reverse):
        g = live[:, t] * (dy[:, t] + dh)                        # (B, H)
        da[:, t] = g * (1 - y[:, t] * y[:, t])
        dh = da[:, t] @ u.T + ~live[:, t] * dh
    dx = da @ w.T                                               # (B, T, E)
    db = da.sum(axis=(0, 1)) if has_bias else None              # (H,)
    return dx, dh, over_steps(x, da), over_steps(past, da), db, None

"""Long short-term memory: a cell that keeps what it holds until a gate says otherwise.

Equation    i_t, f_t, g_t, o_t are the quarters of x_t w + h_{t-1} u + b, the gates i, f, o through
            a sigmoid and the candidate g through tanh. Then
                c_t = f_t ⊙ c_{t-1} + i_t ⊙ g_t      keep some of the cell, write some of g
                h_t = o_t ⊙ tanh(c_t)                show some of it
            A gate is a soft switch between 0 and 1, for each entry alone, set by the token and the
            state. lengths and reverse are as in rnn.py; padding leaves h and c as they are.

Shapes      x (B, T, E), h, c (B, H), w (E, 4H), u (H, 4H), b (4H,) or None, lengths (B,) or None
            →  y (B, T, H), the state h after each step; h_T (B, H), c_T (B, H)
            One bias is enough; texts and libraries that have two add them. With it the weights are
            4 H (E + H + 1) numbers: 8,320 for width 32 on 32.
Saved       x, w, u, is there a b, which steps are tokens, the state h and the cell c before each
            step, the four gates and tanh(c) of each step, the direction

Backward    Through time from the last step to the first, as in rnn.py. With g_h = dy_t + dh_t:
                dc_t ← dc_t + g_h ⊙ o ⊙ (1 - tanh²(c_t))             h_t shows the cell
                da_i = dc_t ⊙ g ⊙ i (1 - i)        da_f = dc_t ⊙ c_{t-1} ⊙ f (1 - f)
                da_g = dc_t ⊙ i ⊙ (1 - g²)         da_o = g_h ⊙ tanh(c_t) ⊙ o (1 - o)
                dh_{t-1} = da uᵀ                   dc_{t-1} = dc_t ⊙ f
            and dw, du, db are sums over the steps of x_tᵀ da, h_{t-1}ᵀ da, da.

            Why it remembers: along the cell, ∂c_t/∂c_{t-1} = f_t, one number for each entry, with
            no matrix and no tanh. Where the forget gate is open, f near 1, the gradient comes back
            through any number of steps as it was; the RNN's passes a matrix at each (rnn.py).
            So one starts with a bias of 1 on f: at first, remember.

Source      Hochreiter & Schmidhuber 1997; the forget gate: Gers, Schmidhuber & Cummins 2000;
            its bias of 1: Jozefowicz, Zaremba & Sutskever 2015
Kernels     kernels/cpu/lstm.py, kernels/cuda/lstm.py
Used by     LSTM in nanollm/recurrent.py
"""

import numpy as np

from nanollm.ops.elementwise import sigmoid                     # gives (y, saved)
from nanollm.ops.rnn import check_recurrence, in_order, over_steps, tokens


def lstm(x, h, c, w, u, b=None, lengths=None, *, reverse=False):
    _, T, H = check_recurrence("lstm", x, (h, c), w, u, (b,), lengths, gates=4)
    live = tokens("lstm", x, lengths)                           # (B, T, 1)
    x = np.where(live, x, 0)
    a = x @ w if b is None else x @ w + b                       # (B, T, 4H)
    gates = np.empty_like(a)
    past, cells, shown, y = (np.empty_like(a[..., :H]) for _ in range(4))
    for t in in_order(T, reverse):
        past[:, t], cells[:, t] = h, c
        i, f, g, o = np.split(a[:, t] + h @ u, 4, axis=-1)      # (B, H) each
        i, f, o = sigmoid(i)[0], sigmoid(f)[0], sigmoid(o)[0]
        g = np.tanh(g)
        cell = f * c + i * g                                    # (B, H)
        shown[:, t] = np.tanh(cell)
        state = o * shown[:, t]                                 # (B, H)
        gates[:, t] = np.concatenate((i, f, g, o), axis=-1)
        y[:, t] = live[:, t] * state
        h, c = np.where(live[:, t], state, h), np.where(live[:, t], cell, c)
    return (y, h, c), (x, w, u, b is not None, live, past, cells, gates, shown, reverse)


def lstm_backward(dy, saved):
    x, w, u, has_bias, live, past, cells, gates, shown, reverse = saved
    dy, dh, dc = dy
    dy = np.where(live, dy, 0)                                  # (B, T, H)
    da = np.empty_like(gates)                                   # (B, T, 4H)
    for t in in_order(x.shape[1], not reverse):
        i, f, g, o = np.split(gates[:, t], 4, axis=-1)          # (B, H) each
        tanh_c = shown[:, t]
        gh = live[:, t] * (dy[:, t] + dh)
        gc = live[:, t] * dc + gh * o * (1 - tanh_c * tanh_c)
        da[:, t] = np.concatenate((gc * g * i * (1 - i), gc * cells[:, t] * f * (1 - f),
                                   gc * i * (1 - g * g), gh * tanh_c * o * (1 - o)), axis=-1)
        dh = da[:, t] @ u.T + ~live[:, t] * dh
        dc = gc * f + ~live[:, t] * dc
    dx = da @ w.T                                               # (B, T, E)
    db = da.sum(axis=(0, 1)) if has_bias else None              # (4H,)
    return dx, dh, dc, over_steps(x, da), over_steps(past, da), db, None

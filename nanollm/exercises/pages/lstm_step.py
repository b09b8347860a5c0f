"""One step of an LSTM, forward and backward. nanollm/ops/lstm.py is the loop over the steps.

Differs     from that page in one thing: there is no time here. A chain of these steps, forward in
            order and backward in reverse, with dw, du and db added up, is the op.

Equation    i, f, g, o are the quarters of a = x w + h u + b, the gates i, f, o through a sigmoid
            and the candidate g through tanh. Then
                c' = f ⊙ c + i ⊙ g          keep some of the cell, write some of g
                h' = o ⊙ tanh(c')           show some of it

Shapes      x (B, E), h, c (B, H), w (E, 4H), u (H, 4H), b (4H,)  →  h' (B, H), c' (B, H)
Saved       x, h, c, w, u, the four gates, tanh(c')

Backward    dh, dc are the gradients of h', c' from what comes later. h' shows the cell, so
                dc ← dc + dh ⊙ o ⊙ (1 - tanh²(c'))
                da_i = dc ⊙ g ⊙ i (1 - i)          da_f = dc ⊙ c ⊙ f (1 - f)
                da_g = dc ⊙ i ⊙ (1 - g²)           da_o = dh ⊙ tanh(c') ⊙ o (1 - o)
            and dx = da wᵀ, dh = da uᵀ, dc = dc ⊙ f for the step before; dw = xᵀ da, du = hᵀ da,
            db = Σ_b da.

Source      Hochreiter & Schmidhuber 1997; the forget gate: Gers, Schmidhuber & Cummins 2000
"""

import numpy as np

from nanollm.ops.elementwise import sigmoid                     # gives (y, saved)


def lstm_step(x, h, c, w, u, b):
    """((h', c'), saved), saved a tuple of what the backward needs; the inputs stay as they are."""
    i, f, g, o = np.split(x @ w + h @ u + b, 4, axis=-1)        # (B, H) each
    i, f, o = sigmoid(i)[0], sigmoid(f)[0], sigmoid(o)[0]
    g = np.tanh(g)
    cell = f * c + i * g                                        # (B, H)
    shown = np.tanh(cell)                                       # (B, H)
    return (o * shown, cell), (x, h, c, w, u, i, f, g, o, shown)


def lstm_step_backward(dy, saved):
    """(dx, dh, dc, dw, du, db) for dy = (dh, dc), which stay as they are; float32 stays float32."""
    dh, dc = dy
    x, h, c, w, u, i, f, g, o, shown = saved
    dc = dc + dh * o * (1 - shown * shown)                      # (B, H)
    da = np.concatenate((dc * g * i * (1 - i), dc * c * f * (1 - f),
                         dc * i * (1 - g * g), dh * shown * o * (1 - o)), axis=-1)  # (B, 4H)
    return da @ w.T, da @ u.T, dc * f, x.T @ da, h.T @ da, da.sum(axis=0)

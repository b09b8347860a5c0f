"""The bug museum: the backward of an LSTM. There are three mistakes in one function.

Program     One step of an LSTM and its backward, as in nanollm/ops/lstm.py; `train` divides the
            gradient by its length before each step, as its authors did.
Symptom     The network learns, but training is unstable. Without that division it diverges, which
            was taken for exploding gradients.
Shapes      x (B, E), h, c (B, H), w (E, 4H), u (H, 4H)  →  h', c' (B, H)
"""

import numpy as np

from nanollm.ops.elementwise import sigmoid


def forward(x, h, c, w, u):
    """((h', c'), saved)."""
    i, f, g, o = np.split(x @ w + h @ u, 4, axis=-1)            # (B, H) each
    i, f, o = sigmoid(i)[0], sigmoid(f)[0], sigmoid(o)[0]
    g = np.tanh(g)
    cell = f * c + i * g
    shown = np.tanh(cell)
    return (o * shown, cell), (x, h, c, w, u, i, f, g, o, shown)


def backward(dh, dc, saved):
    """(dx, dh, dc, dw, du) from the gradients of h' and c'."""
    x, h, c, w, u, i, f, g, o, shown = saved
    dc = dc + dh * o * (1 - shown * shown)                      # (B, H)
    da = np.concatenate((dc * g * i * (1 - i), dc * c * f * (1 - f), dc * i * (1 - g * g),
                         dh * shown * o * (1 - o)), axis=-1)    # (B, 4H)
    return da @ w.T, da @ u.T, dc * f, x.T @ da, h.T @ da


def train(x, y, h, c, w, u, *, steps, lr):
    """(w, u, losses); the loss is the mean squared distance of h' from y."""
    losses = []
    for _ in range(steps):
        (out, cell), saved = forward(x, h, c, w, u)
        losses.append(float(((out - y) ** 2).mean()))
        *_, dw, du = backward(2 * (out - y) / out.size, np.zeros_like(cell), saved)
        length = np.sqrt((dw ** 2).sum() + (du ** 2).sum())
        w, u = w - lr * dw / length, u - lr * du / length
    return w, u, losses

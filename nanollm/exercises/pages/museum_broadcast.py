"""The bug museum: a line through points, fitted on the tape.

Program     `fit` learns w and b of y = x w + b by gradient descent on the mean squared error.
Symptom     No error and no warning, the loss falls and then stands still, far from 0 on data that
            lie exactly on a plane. The slope that it finds is nearly 0: it predicts the mean of y
            for every x.
Shapes      x (N, E), y (N,)  →  w (E,), b a number
"""

import numpy as np

from nanollm import functional as F
from nanollm.tape import Tape, Tensor


def loss_of(w, b, x, y):
    """The mean squared error, a tensor; w (E, 1), b (1,) are tensors, x (N, E), y (N,) arrays."""
    predicted = F.linear(x, w, b)                               # (N, 1)
    error = F.add(predicted, -y[:, None])                       # (N, 1)
    return F.mean(F.mul(error, error))


def fit(x, y, *, steps=200, lr=0.1):
    """(w, b, losses)."""
    w, b = Tensor(np.zeros((x.shape[1], 1))), Tensor(np.zeros(1))
    losses = []
    for _ in range(steps):
        with Tape() as tape:
            loss = loss_of(w, b, x, y)
        dw, db = tape.gradient(loss, [w, b])
        w, b = Tensor(w.data - lr * dw), Tensor(b.data - lr * db)
        losses.append(float(loss.numpy()))
    return w.numpy()[:, 0], float(b.numpy()[0]), losses

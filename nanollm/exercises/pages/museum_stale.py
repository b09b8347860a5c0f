"""The bug museum: a training loop whose gradients live in a buffer.

Program     A linear model y = x w under the mean squared error. `backward` adds the gradient to the
            buffer dw, so that several calls can make up one batch. Before the first step `train`
            looks once at the size of the gradient, to report it.
Symptom     The loss after the first step differs from that of another program with the same weights
            and data; all later steps are as they should be, from where they start.
Shapes      x (N, E), y (N,), w, dw (E,)
"""

import numpy as np


class Linear:
    def __init__(self, w):
        self.w = np.array(w, np.float64)
        self.dw = np.zeros_like(self.w)

    def backward(self, x, y):
        """The loss; its gradient is added to dw."""
        error = x @ self.w - y                                  # (N,)
        self.dw += 2 * x.T @ error / len(y)
        return float((error * error).mean())


def train(model, x, y, *, steps, lr):
    """(size of the first gradient, the loss before each step)."""
    model.backward(x, y)
    size, losses = float(np.abs(model.dw).max()), []
    for _ in range(steps):
        model.dw[...] = 0
        losses.append(model.backward(x, y))
        model.w -= lr * model.dw
    return size, losses

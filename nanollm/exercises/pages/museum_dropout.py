"""The bug museum: a network with dropout, trained and evaluated in turn.

Program     One hidden layer. In training, dropout sets a fraction `rate` of it to 0 and multiplies
            the rest by 1 / (1 - rate), so that its mean stays. `evaluate` gives the loss on
            held-out data; training goes on afterwards.
Symptom     Two evaluations of the same model on the same data give different losses, both higher
            than the model deserves. Scores that were published came from it.
Shapes      x (N, E), y (N,), w1 (E, H), w2 (H,)
"""

import numpy as np


class Network:
    def __init__(self, w1, w2, rate, rng):
        self.w1, self.w2, self.rate, self.rng = w1, w2, rate, rng
        self.training = True

    def __call__(self, x):
        h = np.maximum(x @ self.w1, 0)                          # (N, H)
        if self.training:
            keep = self.rng.random(h.shape) >= self.rate
            h = h * keep / (1 - self.rate)
        return h @ self.w2                                      # (N,)


def evaluate(network, x, y):
    """The mean squared error on held-out data."""
    before, network.training = network.training, False
    try:
        return float(((network(x) - y) ** 2).mean())
    finally:
        network.training = before

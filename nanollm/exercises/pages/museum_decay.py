"""The bug museum: AdamW, Adam with weight decay.

Program     `step` moves the weights w by one step of Adam and lets them decay: apart from the
            gradient, each step takes the fraction lr · decay of a weight away.
Symptom     Training diverges where Adam without decay converges, or the decay seems to do nothing,
            depending on the gradients: weights with small gradients shrink far too fast, weights
            with large ones hardly at all.
Shapes      w, dw, m, v, all of one shape
"""

import numpy as np


class AdamW:
    def __init__(self, shape, *, lr, decay, beta1=0.9, beta2=0.999, eps=1e-8):
        self.lr, self.decay, self.beta1, self.beta2, self.eps = lr, decay, beta1, beta2, eps
        self.m, self.v, self.t = np.zeros(shape), np.zeros(shape), 0

    def step(self, w, dw):
        """Move w by one step against its gradient dw."""
        self.t += 1
        w *= 1 - self.lr * self.decay
        self.m += (1 - self.beta1) * (dw - self.m)
        self.v += (1 - self.beta2) * (dw * dw - self.v)
        mhat = self.m / (1 - self.beta1 ** self.t)
        vhat = self.v / (1 - self.beta2 ** self.t)
        w -= self.lr * mhat / (np.sqrt(vhat) + self.eps)

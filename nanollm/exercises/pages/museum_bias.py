"""The bug museum: Adam, and the number of the step.

Program     An optimizer that keeps the means m and v and counts its steps; `step` moves one array
            of weights in place.
Symptom     After the first step all weights are nan.
Shapes      w, dw, m, v, all of one shape
"""

import numpy as np


class Adam:
    def __init__(self, shape, *, lr, beta1=0.9, beta2=0.999, eps=1e-8):
        self.lr, self.beta1, self.beta2, self.eps = lr, beta1, beta2, eps
        self.m, self.v, self.t = np.zeros(shape), np.zeros(shape), 0

    def step(self, w, dw):
        """Move w by one step against its gradient dw."""
        self.t += 1
        self.m += (1 - self.beta1) * (dw - self.m)
        self.v += (1 - self.beta2) * (dw * dw - self.v)
        mhat = self.m / (1 - self.beta1 ** self.t)
        vhat = self.v / (1 - self.beta2 ** self.t)
        w -= self.lr * mhat / (np.sqrt(vhat) + self.eps)

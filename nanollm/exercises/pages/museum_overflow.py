"""The bug museum: a softmax for attention, in the dtype of its scores.

Program     `softmax` turns rows of scores into weights; `attend` is attention with them.
Symptom     With the weights of one model, in its eighth layer, the output is nan; with all other
            models, and in tests on random numbers, it is right.
Shapes      x (..., K) float16, float32 or float64  →  (..., K), of the same dtype
"""

import math

import numpy as np


def softmax(x):
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def attend(q, k, v):
    """q (T, D), k, v (S, D)  →  (T, D)."""
    return softmax(q @ k.T / math.sqrt(q.shape[1])) @ v

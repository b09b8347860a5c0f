"""The bug museum: the weights of causal attention.

Program     Query t may look at keys 0 ... t. `causal_weights` gives the weights of one head,
            `attend` the weighted means of the values.
Symptom     Loss almost 0 in training and in validation, and bad texts: as if the model, as long as
            the whole text lies before it, knew the next token. At first, with small weights, all
            tests of causality pass.
Shapes      q, k, v (T, D)  →  weights (T, T), y (T, D)
"""

import math

import numpy as np

from nanollm.ops.softmax import softmax


def causal_weights(q, k):
    """The weight of key s for query t, at [t, s]."""
    T, D = q.shape
    scores = q @ k.T / math.sqrt(D)                             # (T, T)
    past = np.tri(T, dtype=bool)                                # s ≤ t
    return softmax(np.where(past, scores, -np.inf))[0]


def attend(q, k, v):
    return causal_weights(q, k) @ v

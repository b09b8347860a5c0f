"""The bug museum: the gradient of an embedding.

Program     Row i of w is the vector of token i; `embed` looks the rows up, `embed_backward` sends
            the gradient of what was looked up back to the rows of w. `count` trains a model that
            needs nothing else: each token's vector is to become how often it occurs.
Symptom     Frequent tokens learn too slowly. The gradient of a batch in which every token occurs
            once is right.
Shapes      ids (B, T), w (V, C)  →  y (B, T, C);  dy (B, T, C)  →  dw (V, C)
"""

import numpy as np


def embed(ids, w):
    return w[ids]


def embed_backward(dy, ids, V):
    """The gradient of w: each row's contributions from all places where its token stands."""
    dw = np.zeros((V, dy.shape[-1]), dy.dtype)
    np.add.at(dw, ids, dy)
    return dw


def count(ids, V):
    """How often each token occurs (V,), found with one step of gradient descent."""
    w = np.zeros((V, 1))
    dy = np.full((*ids.shape, 1), -1.0)                         # every look-up asks for one more
    return (w - embed_backward(dy, ids, V))[:, 0]

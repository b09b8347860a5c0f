"""Embedding: each token has a row of numbers, learned like any other weight.

Equation    y_t = w[ids_t]          the same as onehot(ids) w, without the multiplications by 0

Shapes      ids (...) int, w (V, C)  →  y (..., C)
Saved       ids, V

Backward    y = onehot w is a linear map, so dw = onehotᵀ dy: each row of dy is added to the row of
            w it came from. A token that occurs twice receives both (an assignment `=` in place of
            `+=` would keep only one); a token that does not occur receives zero.
            ids are not numbers that can be nudged: they have no gradient.

Source      Bengio et al. 2003, section 2; "look-up table" as in Collobert et al. 2011
Kernels     kernels/cpu/embedding.py, kernels/cuda/embedding.py
Used by     the first layer of every language model; positions.py
"""

import numpy as np

from nanollm.ops.checks import expect_ids


def embedding(ids, w):
    expect_ids("embedding", ids, w.shape[0])
    return w[ids], (ids, w.shape[0])                            # (..., C)


def embedding_backward(dy, saved):
    ids, V = saved
    dw = np.zeros((V, dy.shape[-1]), dy.dtype)                  # (V, C)
    np.add.at(dw, ids, dy)                                      # += also where an id repeats
    return None, dw

"""The bug museum: attention with several heads.

Program     Each head looks at its own slice of D = C / H columns of q, k and v, and their results
            stand side by side.
Symptom     None that one would see: it trains. With one head it agrees with other programs, with
            more it differs, and the more heads, the closer all weights are to equal.
Source      Vaswani et al. 2017 (arXiv 1706.03762), equation 1 and section 3.2.2
Shapes      q (T, C), k, v (S, C)  →  weights (H, T, S), y (T, C)
"""

import math

import numpy as np

from nanollm.ops.softmax import softmax


def into_heads(x, heads):
    """(T, C)  →  (H, T, D)."""
    T, C = x.shape
    return x.reshape(T, heads, C // heads).swapaxes(0, 1)


def weights(q, k, heads):
    """How much query t of each head looks at key s."""
    scale = math.sqrt(q.shape[1] // heads)
    q, k = into_heads(q, heads), into_heads(k, heads)           # (H, T, D), (H, S, D)
    return softmax(q @ k.swapaxes(1, 2) / scale)[0]


def attend(q, k, v, heads):
    y = weights(q, k, heads) @ into_heads(v, heads)             # (H, T, D)
    return np.concatenate(list(y), axis=-1)                     # (T, C)

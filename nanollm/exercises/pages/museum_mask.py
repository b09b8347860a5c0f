"""The bug museum: drawing a token from the k likeliest.

Program     `only_top_k` rules out all scores but the k largest; `draw` takes the softmax of what is
            left and draws a token.
Symptom     After training on a large text the samples are terrible, unless the temperature is very
            low: tokens turn up that are far from the k likeliest. On other models all seems well.
Shapes      x (V,) scores (logits)  →  (V,)
"""

import numpy as np

from nanollm.ops.softmax import softmax


def only_top_k(x, k):
    """The scores x (V,) with all but the k largest ruled out."""
    least = np.sort(x)[-k]                                      # the k-th largest
    return np.where(x < least, -np.inf, x)


def probabilities(x, k, temperature=1.0):
    """The probability of each token (V,)."""
    return softmax(only_top_k(x, k) / temperature)[0]


def draw(x, k, rng, temperature=1.0):
    """One token."""
    return int(rng.choice(len(x), p=probabilities(x, k, temperature)))

"""The bug museum: drawing from the likeliest tokens that together have probability p (top p).

Program     `nucleus` says which tokens stay: the smallest set of likeliest ones whose probabilities
            reach p. `draw` draws one of them.
Symptom     Texts are duller than with other programs at the same p; with a small p nothing at all
            can be drawn.
Source      Holtzman et al. 2020 (arXiv 1904.09751), equation 2
Shapes      probabilities (V,)  →  bool (V,)
"""

import numpy as np


def nucleus(probabilities, p):
    """Which tokens stay (V,)."""
    order = np.argsort(-probabilities, kind="stable")           # likeliest first
    ends = np.cumsum(probabilities[order])
    keep = np.zeros(len(probabilities), bool)
    keep[order] = ends - probabilities[order] < p
    return keep


def draw(probabilities, p, rng):
    """One token."""
    left = probabilities * nucleus(probabilities, p)
    return int(rng.choice(len(left), p=left / left.sum()))

"""Sampling: from a row of scores to one token. How bold or careful a text is, is decided here.

Equation    p = softmax(x) for the scores (logits) x (V,) of the next token. Each filter below takes
            scores and returns scores; a token that is ruled out has -∞, hence p = 0.

            temperature τ   x / τ: below 1 the likely gets likelier, above 1 all become alike;
                            τ → 0 is greedy, always the likeliest token
            top k           only the k likeliest tokens
            top p           only the likeliest tokens that together reach p: the smallest set with
                            Σ p_i ≥ p. It is narrow where the model is sure and wide where it is not
            penalty θ       the score of a token that already occurred shrinks: x / θ if x > 0,
                            else x θ, so that θ > 1 makes it less likely whatever its sign

Source      temperature: Ackley, Hinton & Sejnowski 1985;
            top k: Fan et al. 2018 (arXiv 1805.04833), section 5.4;
            top p: Holtzman et al. 2020 (arXiv 1904.09751), equations 2 and 3;
            penalty: Keskar et al. 2019 (arXiv 1909.05858), section 4.1, there x / θ always
"""

import numpy as np

from nanollm.errors import InputError
from nanollm.ops.softmax import softmax


def check_sampling(temperature=1.0, top_k=0, top_p=1.0, penalty=1.0):
    """Raise InputError for settings that make no sense."""
    if not 0 <= temperature < np.inf:
        raise InputError(f"temperature is {temperature}, expected 0 (greedy) or more")
    if top_k < 0:
        raise InputError(f"top k is {top_k}, expected 1 or more, or 0 for all tokens")
    if not 0 < top_p <= 1:
        raise InputError(f"top p is {top_p}, expected more than 0 and at most 1 (all tokens)")
    if not 0 < penalty < np.inf:
        raise InputError(f"the repetition penalty is {penalty}, expected more than 0; 1 is none")


LARGEST = np.finfo(np.float64).max / 4      # the difference of two such is a number, too


def expect_scores(x):
    """Raise InputError unless the largest score of each row of x (..., V) is a finite number."""
    if not np.isfinite(x.max(axis=-1)).all():
        raise InputError("the model's scores are not numbers: its weights are damaged or its "
                         "training diverged")


def choose(x, seen, rng, *, temperature=1.0, top_k=0, top_p=1.0, penalty=1.0):
    """One token id from the scores x (V,), after all filters. `seen` are the ids so far.

    Raises InputError where the largest score is no finite number.
    """
    x = np.asarray(x, np.float64)
    expect_scores(x)
    with np.errstate(over="ignore"):                            # an extreme penalty, temperature
        x = np.clip(penalized(x, seen, penalty), -LARGEST, LARGEST)
        if temperature == 0:
            return int(x.argmax())
        x = (x - x.max()) / temperature                         # (V,)  the likeliest has 0
    x = only_top_p(only_top_k(x, top_k), top_p)                 # (V,)
    return draw(softmax(x)[0], rng)


def penalized(x, seen, penalty):
    """x (V,) with the scores of the ids in `seen` made worse."""
    x, seen = x.copy(), np.unique(np.asarray(seen, np.int64))
    x[seen] = np.where(x[seen] > 0, x[seen] / penalty, x[seen] * penalty)
    return x


def only_top_k(x, k):
    """x (V,) with -∞ but for the k largest; of equal ones the first. k = 0 keeps all."""
    if k == 0 or k >= x.size:
        return x
    keep = np.argsort(-x, kind="stable")[:k]                    # (k,)
    return masked(x, keep)


def only_top_p(x, p):
    """x (V,) with -∞ but for the smallest set of likeliest tokens that together reach p."""
    if p == 1:
        return x
    order = np.argsort(-x, kind="stable")                       # (V,)  likeliest first
    before = np.cumsum(softmax(x[order])[0])[:-1]               # (V-1,)  what the earlier ones have
    return masked(x, order[:1 + np.count_nonzero(before < p)])


def masked(x, keep):
    y = np.full_like(x, -np.inf)
    y[keep] = x[keep]
    return y


def draw(p, rng):
    """An id i with probability p_i: where a random point falls on a line of such lengths."""
    ends = np.cumsum(p)                                         # (V,)
    return int(np.searchsorted(ends, rng.random() * ends[-1], side="right"))

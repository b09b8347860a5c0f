"""Beam search for one source, with lists. nanollm/beam.py searches for a whole batch, with arrays.

Differs     from that page in two things: one source, not B; and the model is a function of the
            tokens so far, so that nothing is kept between the calls.

Equation    log P(y_1 ... y_n) = Σ_t log P(y_t | y_<t); of all beginnings of t tokens only the K
            likeliest are kept, and each is continued by every token of the vocabulary. K = 1 is
            greedy. With K = V^n nothing is lost.
            A beginning that ends with `end` is finished: it is not continued, but it keeps its
            place among the K, with its log P, until K better ones displace it.
            In the end the finished answers compare by their score, log P / n^normalize, n with
            `end`: 0 favors short ones, 1 is the mean of a token. A beginning cut off after `most`
            tokens is the answer only if none is finished, however good its mean: it may be a loop.
            What has log P = -∞ does not count as finished.

Source      Graves 2012 (arXiv 1211.3711); Sutskever, Vinyals & Le 2014, section 3.2;
            length normalization: Wu et al. 2016 (arXiv 1609.08144), section 7, here simpler
"""

import numpy as np


def log_softmax(x):
    """log of the softmax of x (V,), whatever the size of its numbers; x stays as it is."""
    x = x - x.max()
    return x - np.log(np.exp(x).sum())


def beam_search(logits, *, beam, most, end, normalize=1.0):
    """(list of the best answer's ids, without `end`; its score). Finished ones come first.

    logits      a function: a list of ids → the scores (V,) of the next one; do not write into them.
                To ask it is what costs: ask once for each beginning that is continued
    beam, most  how many beginnings are kept; how many tokens an answer has at most, `end` too
    end         the id that ends an answer, any from 0 to V - 1
    """
    kept = [(0.0, [])]                                          # (log P, ids) of each beginning
    for _ in range(most):
        longer = []
        for total, ids in kept:
            if ids and ids[-1] == end:
                longer.append((total, ids))                     # finished: it stays as it is
            else:
                log_p = log_softmax(logits(ids))                # (V,)
                longer += [(total + log_p[v], [*ids, v]) for v in range(len(log_p))]
        kept = sorted(longer, key=lambda pair: -pair[0])[:beam]
        if all(ids[-1] == end for _, ids in kept):
            break
    finished = [(total, ids) for total, ids in kept if ids[-1] == end and total > -np.inf]
    score, ids = max(((total / len(ids) ** normalize, ids) for total, ids in finished or kept),
                     key=lambda pair: pair[0])
    return (ids[:-1] if ids[-1] == end else ids), score

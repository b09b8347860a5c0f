"""Beam search: the likeliest answer, without looking at all of them.

Equation    log P(y_1 ... y_n) = Σ_t log P(y_t | y_<t); of all beginnings of t tokens only the K
            likeliest are kept, and each is continued by every token of the vocabulary. K = 1 is
            greedy: the likeliest token each time. With K = V^n nothing is lost.
            Every token costs probability, so the finished answers that are left in the end are
            compared by log P / n^normalize, n with END: 0 favors short ones, 1 is the mean of a
            token. A beginning cut off by the limit of tokens, say a loop of sure tokens, may have a
            better mean than any of them, and is no answer: it is given only where none is finished.
Source      Graves 2012 (arXiv 1211.3711); Sutskever, Vinyals & Le 2014, section 3.2;
            length normalization: Wu et al. 2016 (arXiv 1609.08144), section 7, here simpler
"""

import numpy as np

from nanollm.ops.softmax import logsumexp
from nanollm.sampling import expect_scores
from nanollm.text.words import END, PAD, START


class Search:
    """A beam search over B sources, K beginnings each; B K rows go through the model together.

    A finished answer keeps its place in the beam, and its log P, until K better ones displace it.
    PAD and START are no part of an answer: their logits count as -∞, whatever the model says.
    """

    def __init__(self, sources, beam, most):
        shape = sources, beam
        self.total = np.full(shape, -np.inf)                    # log P of each beginning
        self.total[:, 0] = 0                                    # at first there is one: the empty
        self.done, self.n = np.zeros(shape, bool), np.zeros(shape, int)
        self.written = np.empty((*shape, 0), np.int64)          # (B, K, tokens so far)
        self.last, self.most = np.full(sources * beam, START), most

    @property
    def over(self):
        return self.done.all() or self.written.shape[2] == self.most

    def extend(self, logits):
        """Add the best next tokens by logits (B K, V); returns the row each goes on from (B K,).

        Of equal ones those of the better beginning come first, then those of the smaller id.
        Raises InputError where a row's largest logit is no finite number.
        """
        (B, K), V = self.total.shape, logits.shape[1]
        logits = logits.astype(np.float64)                      # a copy
        logits[:, [PAD, START]] = -np.inf
        expect_scores(logits)
        log_p = (logits - logsumexp(logits)[0][:, None]).reshape(B, K, V)
        log_p[self.done] = -np.inf
        log_p[self.done, END] = 0                               # it stays as it is
        total = (self.total[..., None] + log_p).reshape(B, K * V)
        best = np.argsort(-total, axis=1, kind="stable")[:, :K]
        self.total = np.take_along_axis(total, best, axis=1)
        parent, token = np.divmod(best, V)                      # (B, K)
        was_done = np.take_along_axis(self.done, parent, axis=1)
        self.n = np.take_along_axis(self.n, parent, axis=1) + ~was_done
        self.done = was_done | (token == END)
        kept = np.take_along_axis(self.written, parent[..., None], axis=1)
        self.written = np.concatenate([kept, token[..., None]], axis=2)
        self.last = token.reshape(-1)
        return (np.arange(B)[:, None] * K + parent).reshape(-1)

    def answers(self, normalize):
        """([ids of the best answer to each source, without END], their scores (B,)).

        Finished ones come first; where there is none, the best beginning.
        """
        scores = self.total / self.n ** float(normalize)        # (B, K)
        finished = np.where(self.done, scores, -np.inf)
        none = np.isneginf(finished).all(axis=1, keepdims=True)
        scores = np.where(none, scores, finished)
        best = scores.argmax(axis=1)
        found = [self.written[b, k, :self.n[b, k] - self.done[b, k]].tolist()
                 for b, k in enumerate(best)]
        return found, scores[np.arange(len(best)), best]

"""The bug museum: a small GPT that writes with a key-value cache.

Program     One layer of attention over token and position embeddings. `logits` runs a whole text;
            `step` runs only the new tokens, beside the cached keys and values of the old ones.
Symptom     The first new token is right, the following ones are distorted or repeat themselves. The
            largest model hardly shows it.
Shapes      ids (T,), tokens (V, C), places (context, C), w_qkv (C, 3C)  →  scores (V,) of the next
"""

import numpy as np

from nanollm.ops.attention import attention


class Model:
    def __init__(self, V, C, context, rng):
        self.tokens = rng.standard_normal((V, C))
        self.places = rng.standard_normal((context, C))
        self.w_qkv = rng.standard_normal((C, 3 * C)) / np.sqrt(C)

    def logits(self, ids):
        """The scores of the token after ids, from the whole text."""
        return self.step(ids, self.empty())[0]

    def empty(self):
        """A cache of no tokens: keys and values (0, C) each."""
        C = self.tokens.shape[1]
        return np.empty((0, C)), np.empty((0, C))

    def step(self, ids, cache):
        """(scores of the token after the new ids, the cache with them)."""
        keys, values = cache
        start = len(keys)
        x = self.tokens[ids] + self.places[start:start + len(ids)]              # (T, C)
        q, k, v = np.split(x @ self.w_qkv, 3, axis=-1)
        keys, values = np.concatenate([keys, k]), np.concatenate([values, v])   # (S, C)
        y, _ = attention(q, keys, values, causal=True)
        return (x[-1] + y[-1]) @ self.tokens.T, (keys, values)


def write(model, ids, n):
    """The n likeliest tokens after ids, one after the other."""
    scores, cache = model.step(ids, model.empty())
    written = []
    for _ in range(n):
        written.append(int(scores.argmax()))
        scores, cache = model.step(written[-1:], cache)
    return written

"""Windows: what a language model sees, and what it must say next.

Equation    x_t = ids_(s+t),   y_t = ids_(s+t+1)        a window starts at s; y is x shifted by one
Shapes      ids (T,) whole numbers  →  x, y (batch, context) int64
"""

import numpy as np

from nanollm.errors import InputError

IGNORED = -1                                            # a target that counts for nothing


def split(ids, held_out=0.1):
    """Train and validation: the last tenth is held out, so that no window spans both."""
    if not 0 < held_out < 1:
        raise InputError(f"held_out is {held_out}: expected a share between 0 and 1, like 0.1")
    cut = int(len(ids) * (1 - held_out))
    return ids[:cut], ids[cut:]


def sample(ids, batch, context, rng):
    """x, y (batch, context) of windows that start anywhere, each place as likely as any other."""
    expect(ids, context + 1, context, batch)
    starts = rng.integers(len(ids) - context, size=batch)                   # (batch,)
    at = starts[:, None] + np.arange(context)                               # (batch, context)
    ids = np.asarray(ids)
    return ids[at].astype(np.int64), ids[at + 1].astype(np.int64)


def windows(ids, context, batch):
    """Yield x, y (batch, context) side by side: every token but the first is once a target.

    The last window is filled with id 0 and target IGNORED; the last batch may have fewer rows.
    """
    expect(ids, 2, context, batch)
    n = len(ids) - 1                                                        # targets
    rows = -(-n // context)                                                 # rounded up
    x = np.zeros(rows * context, np.int64)
    y = np.full(rows * context, IGNORED, np.int64)
    x[:n], y[:n] = ids[:-1], ids[1:]
    x, y = x.reshape(rows, context), y.reshape(rows, context)
    return ((x[b:b + batch], y[b:b + batch]) for b in range(0, rows, batch))


def expect(ids, needed, context, batch):
    """Raise InputError unless there are enough tokens for a window, and windows to fill."""
    if context < 1 or batch < 1:
        raise InputError(f"context is {context} and batch is {batch}: expected at least 1 of each")
    if len(ids) < needed:
        shorter = f", or a context of at most {len(ids) - 1}" if len(ids) > 1 else ""
        raise InputError(f"the text has {len(ids)} tokens, but a window of context {context} needs "
                         f"{needed}: give more text{shorter}")

"""The bug museum: a batch that does not fit into memory, done in parts.

Program     The loss is the mean cross-entropy of all tokens of a batch; a target of -1 is padding
            and does not count. The batch is cut into parts of a few sequences; `accumulate` runs
            them one after the other and adds up what becomes the batch's loss and gradient.
Symptom     The same batch gives another loss and another gradient for each number of parts, as soon
            as its sequences differ in length. With equal lengths nothing is to be seen.
Shapes      table (V, V) of scores; ids, targets (B, T)  →  loss a number, dtable (V, V)
"""

import numpy as np

from nanollm.ops.cross_entropy import cross_entropy, cross_entropy_backward


def part(table, ids, targets):
    """(mean loss of a part, its gradient, how many targets count)."""
    loss, saved = cross_entropy(table[ids], targets)
    dx, _ = cross_entropy_backward(1.0, saved)                  # (B, T, V)
    dtable = np.zeros_like(table)
    np.add.at(dtable, ids, dx)
    return float(loss), dtable, int((targets != -1).sum())


def accumulate(table, ids, targets, parts):
    """(loss, dtable) of the batch, run in `parts` parts."""
    total, dtotal, tokens = 0.0, np.zeros_like(table), 0
    for some_ids, some_targets in zip(np.split(ids, parts), np.split(targets, parts)):
        loss, dtable, n = part(table, some_ids, some_targets)
        total += n * loss
        dtotal += n * dtable
        tokens += n
    return total / tokens, dtotal / tokens

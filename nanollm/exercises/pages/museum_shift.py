"""The bug museum: the smallest language model, a table of scores for each pair of tokens.

Program     Row i of the table holds the scores of the token that follows token i. `train` fits it
            to a text by gradient descent on the cross-entropy; `write` continues a text greedily.
Symptom     The loss falls to almost zero, lower than any model of this kind can reach, and what it
            writes is one token, over and over.
Shapes      ids (T,)  →  inputs, targets (T - 1,); table (V, V)
"""

import numpy as np

from nanollm.ops.cross_entropy import cross_entropy, cross_entropy_backward


def pairs(ids):
    """What the model reads, and what it is to say."""
    return ids[:-1], ids[1:]


def train(ids, V, *, steps=300, lr=4.0):
    """(table, losses) after `steps` steps of gradient descent on the whole text."""
    inputs, targets = pairs(ids)
    table, losses = np.zeros((V, V)), []
    for _ in range(steps):
        loss, saved = cross_entropy(table[inputs], targets)
        dx, _ = cross_entropy_backward(1.0, saved)              # (T - 1, V)
        dtable = np.zeros_like(table)
        np.add.at(dtable, inputs, dx)
        table -= lr * dtable
        losses.append(float(loss))
    return table, losses


def write(table, id, n):
    """The n likeliest tokens after `id`, one after the other."""
    written = []
    for _ in range(n):
        id = int(table[id].argmax())
        written.append(id)
    return written

"""The bug museum: the loss of sequences of different lengths.

Program     `batch` fills the shorter sequences up with PAD, the tokenizer's token 0; `loss` is the
            mean cross-entropy of the tokens that are text.
Symptom     The loss of a batch depends on how long its longest sequence is. It looks better than it
            is, and the model has learned to say PAD.
Shapes      scores (B, T, V), targets (B, T)  →  a number
"""

import numpy as np

PAD = 0


def batch(sequences):
    """Sequences of token ids as one array (B, T)."""
    T = max(map(len, sequences))
    return np.array([[*s, *[PAD] * (T - len(s))] for s in sequences])


def loss(scores, targets):
    """The mean of -log P(target) over the targets that count."""
    shifted = scores - scores.max(axis=-1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))       # (B, T, V)
    each = -np.take_along_axis(log_p, targets[..., None], axis=-1)[..., 0]      # (B, T)
    counted = targets != PAD
    return float((each * counted).sum() / counted.sum())

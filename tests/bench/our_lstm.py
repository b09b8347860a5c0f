"""The LSTM language model that torch_lstm.py compares with PyTorch's."""

import numpy as np

from nanollm import functional as F, nn
from nanollm.recurrent import LSTM


class LanguageModel(nn.Layer):
    """Embedding → LSTM → Linear. context, for which there are no weights, is the length of rows."""

    def __init__(self, vocab, width, context):
        rng = np.random.default_rng(0)
        self.embedding = nn.Embedding(vocab, width, rng=rng, std=1.0)
        self.lstm = LSTM(width, width, rng=rng)
        self.head = nn.Linear(width, vocab, rng=rng)

    def loss(self, ids, targets, *, rng=None):
        y, _ = self.lstm(self.embedding(ids))                   # (B, T, C)
        return F.cross_entropy(self.head(y), targets)

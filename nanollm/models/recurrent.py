"""Embedding → LSTM → Linear: a language model that predicts each next token, and a classifier.

Equation    e_t = E[ids_t],   h_t = LSTM(e_t, h_{t-1}),
            language model      logits_t = h_t W + b        for the token after t
            classifier          logits = r W + b            r: what the states say of the whole row
            r is the state after the row's last token ("last"; in both directions, beside it the
            state of the backward reading after the first token), or the mean of all states
            ("mean"). Padding is neither read nor counted.
Shapes      ids (B, T), lengths (B,) → logits (B, T, V) or (B, classes)
Source      language model: Mikolov et al. 2010, with the LSTM as in Sundermeyer, Schlüter & Ney
            2012; dropout outside the recurrence: Zaremba, Sutskever & Vinyals 2014
"""

import numpy as np

from nanollm import backend, functional as F, nn
from nanollm.errors import InputError
from nanollm.recurrent import LSTM
from nanollm.sampling import check_sampling, choose
from nanollm.tape import recording

POOLING = "last", "mean"


def check_rows(model, ids, lengths):
    """Raise InputError unless ids (B, T) hold a token or more in each row; return the lengths."""
    if not isinstance(ids, np.ndarray):
        raise InputError(f"{model}: ids are of type {type(ids).__name__}, expected a NumPy array "
                         "of whole numbers (batch, time)")
    if ids.ndim != 2 or 0 in ids.shape:
        raise InputError(f"{model}: ids have shape {tuple(ids.shape)}, expected (batch, time) with "
                         "at least one row and one token")
    lengths = np.full(len(ids), ids.shape[1]) if lengths is None else np.asarray(lengths)
    if lengths.shape != (len(ids),) or lengths.dtype.kind not in "iu":
        raise InputError(f"{model}: lengths are {lengths.dtype} {lengths.shape}, expected a whole "
                         f"number for each of the {len(ids)} rows")
    if lengths.min() < 1 or lengths.max() > ids.shape[1]:
        b = int(np.flatnonzero((lengths < 1) | (lengths > ids.shape[1]))[0])
        raise InputError(f"{model}: row {b} has {lengths[b]} tokens, expected 1 to {ids.shape[1]}; "
                         "leave empty texts out")
    return lengths.astype(np.int64)


def check_sizes(model, dropout, **sizes):
    """Raise InputError where the numbers make no model."""
    for name, n in sizes.items():
        if type(n) is not int or n < 1:
            raise InputError(f"{model}: {name} is {n!r}, expected a whole number of at least 1")
    if type(dropout) not in (int, float) or not 0 <= dropout < 1:
        raise InputError(f"{model}: dropout is {dropout!r}, expected at least 0 and less than 1")


class LanguageModel(nn.Layer):
    """vocab V, width of the embedding, hidden H of the LSTM; `rng` draws the weights."""

    def __init__(self, vocab, width, hidden, *, rng, layers=1, dropout=0.0):
        check_sizes("LanguageModel", dropout, vocab=vocab, width=width, hidden=hidden,
                    layers=layers)
        self.dropout = dropout
        self.embedding = nn.Embedding(vocab, width, rng=rng, std=1.0)
        self.lstm = LSTM(width, hidden, rng=rng, layers=layers, dropout=dropout)
        self.head = nn.Linear(hidden, vocab, rng=rng, std=hidden ** -0.5)

    def __call__(self, ids, *, rng=None):
        """NumPy's ids (B, T) → logits (B, T, V); rng draws the dropout masks (training)."""
        check_rows("LanguageModel", ids, None)
        return self.follow(ids, None, rng)[0]

    def follow(self, ids, state, rng=None):
        """The logits (B, T, V) of ids (B, T) that follow a state, and the state after them."""
        x = self.embedding(backend.module().array(ids))                 # (B, T, E)
        h, state = self.lstm(nn.drop(x, self.dropout, rng), state=state, rng=rng)
        return self.head(nn.drop(h, self.dropout, rng)), state          # (B, T, V)

    def loss(self, ids, targets, *, rng=None):
        """Mean cross-entropy of targets (B, T), in nats a token; targets of -1 do not count."""
        return F.cross_entropy(self(ids, rng=rng), backend.module().array(targets))

    def write(self, ids, *, end, most=100, rng, never=(), **sampling):
        """The ids that the model writes after ids (T,), up to `end` or `most` of them.

        never       ids that are no text, such as padding: their logits count as -∞
        sampling    temperature, top_k ...: see sampling.choose
        """
        if recording():
            raise InputError("LanguageModel: writing keeps no gradients; do it outside the tape")
        check_sampling(**sampling)
        found, state, following = list(ids), None, np.asarray(ids)
        check_rows("LanguageModel", following[None], None)
        for _ in range(most):
            logits, state = self.follow(following[None], state)
            scores = logits.numpy()[0, -1].copy()                       # (V,)
            scores[list(never)] = -np.inf
            token = choose(scores, found, rng, **sampling)
            if token == end:
                break
            found.append(token)
            following = np.array([token])
        return found[len(ids):]

    def summary(self):
        """Rows (layer, output shape, parameters), one for each part of the model."""
        V, E = self.embedding.w.shape
        return [("embedding", f"(B, T, {E})", self.embedding.count()),
                ("lstm", f"(B, T, {self.lstm.hidden})", self.lstm.count()),
                ("head", f"(B, T, {V})", self.head.count())]


class Classifier(nn.Layer):
    """vocab V, width of the embedding, hidden H of the LSTM (each direction), number of classes."""

    def __init__(self, vocab, width, hidden, classes, *, rng, layers=1, bidirectional=False,
                 pooling="last", dropout=0.0):
        if pooling not in POOLING:
            raise InputError(f"Classifier: pooling is {pooling!r}, expected one of "
                             f"{', '.join(POOLING)}")
        check_sizes("Classifier", dropout, vocab=vocab, width=width, hidden=hidden,
                    classes=classes, layers=layers)
        self.pooling, self.dropout = pooling, dropout
        # Small at first: a rare word, hardly ever trained, would add noise as large as its row.
        self.embedding = nn.Embedding(vocab, width, rng=rng, std=0.1)
        self.lstm = LSTM(width, hidden, rng=rng, layers=layers, bidirectional=bidirectional,
                         dropout=dropout)
        wide = self.lstm.directions * hidden
        self.head = nn.Linear(wide, classes, rng=rng, std=wide ** -0.5)

    def __call__(self, ids, lengths=None, *, rng=None):
        """NumPy's ids (B, T), lengths (B,) → logits (B, classes)."""
        lengths, kernels = check_rows("Classifier", ids, lengths), backend.module()
        x = nn.drop(self.embedding(kernels.array(ids)), self.dropout, rng)      # (B, T, E)
        h, state = self.lstm(x, kernels.array(lengths), rng=rng)                # (B, T, H or 2H)
        if self.pooling == "mean":
            share = (1 / lengths[:, None]).astype(h.dtype)                      # (B, 1)
            r = F.sum(h, axis=1) * kernels.array(share)                         # padding adds 0
        else:
            last = [s[0] for s in state[-self.lstm.directions:]]                # (B, H) each
            r = last[0] if len(last) == 1 else F.concat(*last)
        return self.head(nn.drop(r, self.dropout, rng))                         # (B, classes)

    def loss(self, ids, lengths, labels, *, rng=None):
        """Mean cross-entropy of labels (B,), in nats a row."""
        return F.cross_entropy(self(ids, lengths, rng=rng), backend.module().array(labels))

    def summary(self):
        """Rows (layer, output shape, parameters), one for each part of the model."""
        wide, classes = self.head.w.shape
        return [("embedding", f"(B, T, {self.embedding.w.shape[1]})", self.embedding.count()),
                ("lstm", f"(B, T, {wide})", self.lstm.count()),
                ("head", f"(B, {classes})", self.head.count())]

"""Recurrent layers: a stack of rnn, lstm or gru ops, read in one direction or in both.

Each layer of the stack reads the states of the one below. A bidirectional layer is two recurrences,
of which one reads from the last token to the first; their states stand side by side, so that each
token knows what comes before it and what comes after. The mathematics of the ops is in
nanollm/ops/rnn.py, lstm.py and gru.py.
"""

import math

from nanollm import backend, functional as F, nn
from nanollm.errors import InputError


class Cell(nn.Layer):
    """The weights of one recurrence, all drawn uniformly from ±1/√hidden: w (E, N), u (H, N)."""

    def __init__(self, inputs, hidden, gates, biases, rng, bias):
        N, most = gates * hidden, 1 / math.sqrt(hidden)
        self.w = nn.parameter(rng.uniform(-most, most, (inputs, N)), "w")
        self.u = nn.parameter(rng.uniform(-most, most, (hidden, N)), "u")
        for name in biases:
            b = nn.parameter(rng.uniform(-most, most, N), name) if bias else None
            setattr(self, name, b)


class Recurrent(nn.Layer):
    """What RNN, LSTM and GRU have in common.

    inputs, hidden   widths E of a token and H of a state
    layers           how many recurrences on top of each other
    bidirectional    each layer reads in both directions: y is (B, T, 2H)
    dropout          rate on what one layer hands to the next, while training
    """

    gates, biases, states = 1, ("b",), 1

    def __init__(self, inputs, hidden, *, rng, bias=True, layers=1, bidirectional=False,
                 dropout=0.0):
        for name, n in ("inputs", inputs), ("hidden", hidden), ("layers", layers):
            if type(n) is not int or n < 1:
                raise InputError(f"{type(self).__name__}: {name} is {n!r}, expected a whole number "
                                 "of at least 1")
        self.hidden, self.dropout = hidden, dropout
        self.directions = 2 if bidirectional else 1
        widths = [inputs, *[self.directions * hidden] * (layers - 1)]
        self.cells = [Cell(width, hidden, self.gates, self.biases, rng, bias)
                      for width in widths for _ in range(self.directions)]

    def __call__(self, x, lengths=None, state=None, rng=None):
        """x (B, T, E) → y (B, T, H or 2H) of the last layer, the state after the last token.

        lengths   (B,) tokens in each row, the rest is padding; None: no row has any
        state     as returned: for each layer, and in it each direction, a tuple (h,), an LSTM's
                  (h, c), of (B, H); None: zeros
        rng       a Generator that draws the dropout masks (training); None leaves dropout out
        """
        state = self.zero_state(x) if state is None else state
        if len(state) != len(self.cells):
            raise InputError(f"{type(self).__name__}: a state of {len(state)} parts, expected "
                             f"{len(self.cells)}, one for each layer and direction")
        if any(len(part) != self.states for part in state):
            raise InputError(f"{type(self).__name__}: a part of the state has "
                             f"{sorted({len(part) for part in state})} arrays, expected "
                             f"{'h and c' if self.states == 2 else 'h alone'}")
        after = []
        for first in range(0, len(self.cells), self.directions):
            if first:
                x = nn.drop(x, self.dropout, rng)
            ys = []
            for i in range(first, first + self.directions):
                y, *s = self.run(self.cells[i], x, state[i], lengths, reverse=i > first)
                ys.append(y)
                after.append(tuple(s))
            x = ys[0] if len(ys) == 1 else F.concat(*ys)        # (B, T, H or 2H)
        return x, after

    def zero_state(self, x):
        """The state before the first token of a batch x: zeros, which get no gradient."""
        shape = x.shape[0], self.hidden
        return [tuple(backend.module().zeros(shape, x.dtype) for _ in range(self.states))
                for _ in self.cells]

    def step(self, x, state):
        """One more token for each row: x (B, E), state → y (B, H), state.

        Raises InputError for a bidirectional layer, which needs the tokens that are still to come.
        """
        if self.directions == 2:
            raise InputError(f"{type(self).__name__}: a bidirectional layer cannot go token by "
                             "token: it reads from the last one too")
        B, E = x.shape
        y, state = self(F.reshape(x, shape=(B, 1, E)), state=state)
        return F.reshape(y, shape=(B, self.hidden)), state


class RNN(Recurrent):
    """h = tanh(x w + h u + b), layer by layer."""

    def run(self, cell, x, state, lengths, *, reverse):
        return F.rnn(x, *state, cell.w, cell.u, cell.b, lengths, reverse=reverse)


class LSTM(Recurrent):
    """The cell with gates i, f, g, o. forget: the bias of f at first; None leaves it as drawn.

    Source of the 1: Jozefowicz, Zaremba & Sutskever 2015.
    """

    gates, states = 4, 2

    def __init__(self, inputs, hidden, *, rng, bias=True, layers=1, bidirectional=False,
                 dropout=0.0, forget=1.0):
        super().__init__(inputs, hidden, rng=rng, bias=bias, layers=layers,
                         bidirectional=bidirectional, dropout=dropout)
        if bias and forget is not None:
            for cell in self.cells:
                b = cell.b.numpy().copy()
                b[hidden:2 * hidden] = forget
                cell.b = nn.parameter(b, "b")

    def run(self, cell, x, state, lengths, *, reverse):
        return F.lstm(x, *state, cell.w, cell.u, cell.b, lengths, reverse=reverse)


class GRU(Recurrent):
    """Gates r, z and the candidate n, with a bias b on the token's side and bu on the state's."""

    gates, biases = 3, ("b", "bu")

    def run(self, cell, x, state, lengths, *, reverse):
        return F.gru(x, *state, cell.w, cell.u, cell.b, cell.bu, lengths, reverse=reverse)

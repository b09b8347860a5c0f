"""The checks of rnn, lstm and gru: those of every op, and before them two rows of one number each.

What a mistake with padding or with time does to the numbers depends on how the loop is written, so
that no planted suspect gives the same. A row without a token leaves no choice: y is 0, the states
come out as they went in, and so do their gradients.
"""

import dataclasses

import numpy as np

from nanollm import checkout, ops as reference
from nanollm.exercises import of_ops
from nanollm.exercises.spec import Wrong, expect

KEPT = {"h": "padding changes the state: h must stay what it was after the last token",
        "c": "padding changes the cell: c must stay what it was after the last token"}
UNREAD = "padding is not read: take 0 for x where a step is no token, for 0 * nan is nan"
PASSED = {"h": "padding changes the state's gradient: through padding dh passes as it is",
          "c": "padding changes the cell's gradient: through padding dc passes as it is"}
CUT = {"h": "time is cut: each step hands dh_{t-1} on to the step before it",
       "c": "time is cut along the cell: each step hands dc_{t-1} = dc_t f on to the one before"}


def exercise(op, **settings):
    """The Exercise of the page nanollm/ops/OP.py."""
    made = of_ops.exercise(op, ops=(op,), notebook="08_recurrence", **settings)
    shape, pure, *values, gradient, dtypes = made.checks
    return dataclasses.replace(made, checks=(
        shape, pure, forward_of(op), *values, backward_of(op), gradient, dtypes))


def row(op, label, lengths, padding=None):
    """A row of a table of cases, see of_ops.py: three steps of one number.

    padding    what stands in x behind the tokens, if it is not to be random
    """
    cases, _ = checkout.tests()

    def make(r):
        inputs = cases.recurrence(r, 1, 3, 1, 1, lengths=lengths, **cases.CELLS[op])
        if padding is not None:
            inputs[0][:, lengths[0]:] = padding
        return inputs, {}

    return op, label, make


def forward_of(op):
    @of_ops.titled(f"{op}: a row of padding alone")
    def forward(student):
        padding = row(op, "no tokens", [0])
        tried = of_ops.tried(padding)
        y, want = of_ops.forward(student, padding), of_ops.forward(reference, padding)
        (name, got, right), *states = of_ops.results(f"{op}'s y", y, want)
        first = np.shape(got) == right.shape and not np.any(got[:, 1:])
        expect(name, got, right, tried=tried, likely=(
            "one step of padding is read as a token: step t is one if t < length" if first
            else "y is not 0 at padding"))
        for (name, got, right), state in zip(states, "hc"):
            expect(name, got, right, tried=tried, likely=KEPT[state])
        unread = row(op, "no tokens, and nan", [0], np.nan)
        y, want = of_ops.forward(student, unread), of_ops.forward(reference, unread)
        for name, got, right in of_ops.results(f"{op}'s y", y, want):
            expect(name, got, right, tried=of_ops.tried(unread), likely=UNREAD)
    return forward


def backward_of(op):
    @of_ops.titled(f"{op}_backward: through time, and through padding alone")
    def backward(student):
        tokens = row(op, "three tokens", None)
        gradients = of_ops.backward(student, tokens), of_ops.backward(reference, tokens)
        for name, got, right in zip(of_ops.names(tokens), *gradients):
            if name in CUT and got is not None and not np.any(got):
                raise Wrong(f"the gradient of {name}, from before the first step, is 0",
                            tried=of_ops.tried(tokens), got=got, expected=right, likely=CUT[name])
        padding = row(op, "no tokens", [0])
        tried = of_ops.tried(padding)
        gradients = of_ops.backward(student, padding), of_ops.backward(reference, padding)
        for name, got, right in zip(of_ops.names(padding), *gradients):
            if right is not None:
                expect(f"the gradient of {name}", got, right, tried=tried, likely=PASSED.get(
                    name, "padding learns: where a step is no token, its da is 0"))
        unread = row(op, "no tokens, and nan", [0], np.nan)
        gradients = of_ops.backward(student, unread), of_ops.backward(reference, unread)
        for name, got, right in zip(of_ops.names(unread), *gradients):
            if right is not None:
                expect(f"the gradient of {name}", got, right, tried=of_ops.tried(unread),
                       likely=UNREAD)
    return backward

"""Backpropagation: write down every op, then read the list backwards.

While a `Tape` is open, each op adds one line to it: what it was, what went in, what came out, and
what its backward needs. The list is in order of execution, so read from its end every gradient is
complete before it is used: no graph search, no recursion. A tensor used twice gets two
contributions, which add up (that is all there is to weight sharing, and to backpropagation through
time).

Source      reverse accumulation: Linnainmaa 1970; Rumelhart, Hinton & Williams 1986
"""

from contextvars import ContextVar
from typing import Any, NamedTuple

import numpy as np

from nanollm import backend
from nanollm.errors import InputError

_open = ContextVar("open tapes", default=())        # the tapes now being written, innermost last


def recording():
    """Is a tape open here?"""
    return bool(_open.get())


class Tensor:
    """An array with an identity, so that a tape can refer to it.

    data    an array of the current backend
    name    what error messages and the printed tape call it
    """

    __slots__ = ("data", "name")

    def __init__(self, data, name=""):
        self.data, self.name = data, name

    shape = property(lambda self: self.data.shape)
    dtype = property(lambda self: self.data.dtype)

    def numpy(self):
        """The numbers as a NumPy array."""
        return backend.module().numpy(self.data)

    def __add__(self, other):
        return apply("add", self, self.constant(other))

    def __mul__(self, other):
        return apply("mul", self, self.constant(other))

    def __matmul__(self, other):
        return apply("matmul", self, other)

    __radd__, __rmul__ = __add__, __mul__

    def constant(self, other):
        """A Python number as an array of this tensor's dtype; anything else as it is."""
        if isinstance(other, (int, float)):
            return backend.module().array(np.asarray(other, self.dtype))
        return other

    def __repr__(self):
        return f"Tensor({self.name or 'unnamed'}, {tuple(self.shape)}, {self.dtype})"


class Line(NamedTuple):
    """One line of a tape."""

    op: str
    inputs: tuple       # of Tensor, or plain arrays or None, which get no gradient
    outputs: tuple      # of Tensor
    saved: tuple        # what the forward kept for the backward
    backward: Any       # backward(dy, saved) → a tuple: for each input its gradient, or None; of
                        # several outputs dy is a tuple, too


class Tape:
    """`with Tape() as tape:` writes down every op inside the block.

    Inside two nested blocks an op is written on the inner tape alone.
    """

    def __init__(self):
        self.lines = []

    def __enter__(self):
        self._token = _open.set((*_open.get(), self))
        return self

    def __exit__(self, *_):
        _open.reset(self._token)

    def __str__(self):
        def shapes(tensors):
            return " ".join("-" if t is None else str(tuple(t.shape)) for t in tensors)
        widest = max([14, *(len(line.op) for line in self.lines)])
        return "\n".join(f"{line.op:{widest}} {shapes(line.inputs)} → {shapes(line.outputs)}"
                         for line in self.lines)

    def gradient(self, loss, wrt, *, tear=False):
        """[∂loss/∂t for t in wrt]; loss is a tensor with one entry.

        tear    remove each line once it is read or passed over, so that what it saved is freed for
                the gradients that are still to come. The tape can then be read only once.

        Every gradient has the shape and dtype of its tensor. The first is ∂loss/∂loss = 1, made by
        the backend's `ones`. A line none of whose outputs the loss depends on is passed over; where
        it depends on some, the gradient of the others is 0, made by the backend's `zeros`.

        The arrays are for reading: two entries may be one array, where a sum passed dy to both.
        Raises InputError if loss has more than one entry or does not depend on some t.
        """
        if loss.data.size != 1:
            raise InputError(f"gradient: the loss has shape {tuple(loss.shape)}, expected one "
                             "number; take its mean or sum first")
        kernels = backend.module()
        wanted = {id(t) for t in wrt}
        grads = {id(loss): kernels.ones(loss.shape, loss.dtype)}     # ∂loss/∂loss
        lines = self.lines if tear else list(self.lines)
        while lines:
            line = lines.pop()
            dys = [grads.get(id(y)) if id(y) in wanted else grads.pop(id(y), None)
                   for y in line.outputs]
            if all(dy is None for dy in dys):
                continue                                    # the loss does not depend on it
            dys = [kernels.zeros(y.shape, y.dtype) if dy is None else dy
                   for dy, y in zip(dys, line.outputs)]
            dxs = line.backward(dys[0] if len(dys) == 1 else tuple(dys), line.saved)
            for x, dx in zip(line.inputs, dxs, strict=True):
                if isinstance(x, Tensor) and dx is not None:
                    assert dx.shape == x.shape, f"{line.op}: gradient {dx.shape} for {x}"
                    known = grads.get(id(x))
                    grads[id(x)] = dx if known is None else kernels.add(known, dx)[0]
            del line, dys, dxs                              # nothing here outlives its use
        missing = [t for t in wrt if id(t) not in grads]
        if missing:
            raise InputError(f"gradient: the loss does not depend on {missing}")
        return [grads[id(t)] for t in wrt]


def apply(op, *inputs, **settings):
    """Run `op` and write it down on the innermost open tape, if one is open.

    The op's pair is backend.lookup(op), and its forward(*arrays, **settings) returns (y, saved): y
    is an array or, of an op with several outputs, a tuple of arrays.

    Returns y as a Tensor, or as a tuple of Tensors.
    """
    forward, backward = backend.lookup(op)
    y, saved = forward(*(x.data if isinstance(x, Tensor) else x for x in inputs), **settings)
    outputs = tuple(map(Tensor, y)) if isinstance(y, tuple) else (Tensor(y),)
    tapes = _open.get()
    if tapes:
        tapes[-1].lines.append(Line(op, inputs, outputs, saved, backward))
    return outputs if isinstance(y, tuple) else outputs[0]

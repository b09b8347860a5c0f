"""Many arrays in one: parameters, gradients and moments that one launch can reach.

A model has hundreds of parameters, most of them small, and a launch costs as much as updating a
hundred thousand numbers. So an optimizer's buffers lie one behind the other in one array, the
matrices first (they decay, the vectors do not); the parameters move into another of the same
layout, and the gradients of a step are copied into a third. Then the norm of all gradients is one
sum, and an AdamW step two launches: the matrices, the vectors. To everyone else the pieces are
arrays as before.
"""

import math

from kernels.cuda.arrays import array, empty, zeros
from nanollm.errors import InputError


class Flat(dict):
    """{path: view} of one array, `whole`. Setting a path copies into its view.

    matrices, vectors    the two parts of `whole`
    """

    def __init__(self, arrays, new):
        """Room, by `new` (empty or zeros), for {path: array or tensor}."""
        dtypes = {a.dtype for a in arrays.values()}
        if len(dtypes) > 1:
            raise InputError("a model's parameters have several dtypes, "
                             f"{' and '.join(sorted(map(str, dtypes)))}; move them to one with "
                             "model.to(dtype)")
        shapes = {path: tuple(a.shape) for path, a in arrays.items()}
        ends, at = {}, 0
        for path, shape in sorted(shapes.items(), key=lambda item: len(item[1]) < 2):
            ends[path] = at = at + math.prod(shape)
        self.whole = new((at,), *dtypes)
        for path, shape in shapes.items():
            view = self.whole[ends[path] - math.prod(shape):ends[path]]
            super().__setitem__(path, view.reshape(shape))
        middle = sum(math.prod(shape) for shape in shapes.values() if len(shape) > 1)
        self.matrices, self.vectors = self.whole[:middle], self.whole[middle:]

    def __setitem__(self, path, a):
        if a is not self[path]:
            self[path].copy_to_device(array(a))


class Buffers(Flat):
    """An optimizer's numbers, zero at first, and where the parameters live."""

    def __init__(self, tensors):
        super().__init__(tensors, zeros)
        self.parameters = None

    def adopt(self, tensors):
        """Make the tensors' arrays views of one Flat, where they are not; returns it."""
        if self.parameters is None:
            self.parameters = Flat(tensors, empty)
        for path, t in tensors.items():
            if t.dtype != self.whole.dtype:
                raise InputError(f"{path} is {t.dtype}, but the optimizer's state "
                                 f"{self.whole.dtype}; make a new state after model.to")
            self.parameters[path] = t.data
            t.data = self.parameters[path]
        return self.parameters


def buffers(tensors):
    return Buffers(tensors)


def gather(arrays):
    if isinstance(arrays, Flat):
        return arrays
    flat = Flat(arrays, empty)
    for path, a in arrays.items():
        flat[path] = a
    return flat


def wholes(gathered):
    return [gather(gathered).whole]


def together(tensors, gradients, *states):
    if not states or any(state.keys() != tensors.keys() for state in states):
        for path, t in tensors.items():                         # some of them: each alone
            yield t.data.ndim, t.data, gradients[path], *(state[path] for state in states)
        return
    if list(gradients) != list(states[0]):                      # the layout follows the order
        gradients = {path: gradients[path] for path in states[0]}
    parts = [states[0].adopt(tensors), gather(gradients), *states]
    yield 2, *(part.matrices for part in parts)
    yield 1, *(part.vectors for part in parts)


def number(x):
    return x


def append_(room, x, start):
    (B, _, C), end = x.shape, start + x.shape[1]
    for b in range(B):
        room[b, start:end].copy_to_device(x[b])
    if B == 1:
        return room[0, :end].reshape(1, end, C)
    past = empty((B, end, C), room.dtype)
    for b in range(B):
        past[b].copy_to_device(room[b, :end])
    return past

"""Who meets whom in a loop over `prange`: a race that is found without any luck.

Numba gives the turns of such a loop to threads, and says neither how many turns one thread takes
nor which thread is faster. So a kernel is right only if no turn touches a number that another turn
of the same loop writes. Whether two threads really collide is a matter of luck; whether two turns
touch the same number is not. Here the kernel runs as plain Python, one turn after another, on
arrays that note which turn reads and writes which of their numbers.
"""

import types
from typing import NamedTuple
from unittest import mock

import numpy as np


class Meeting(NamedTuple):
    """Two turns that touch one number, at least one of which writes it."""

    array: str                                   # its name in the kernel
    index: tuple
    turns: tuple                                 # the two, as they came here
    writes: tuple                                # whether each of them writes the number


class Watched(np.ndarray):
    """An array that tells `turns` of each number that is read or written; so do its views."""

    turns = None

    def __array_finalize__(self, source):
        if isinstance(source, Watched):
            source.turns.take(self)

    def __getitem__(self, index):
        found = super().__getitem__(index)
        if not (isinstance(found, np.ndarray) and np.may_share_memory(found, self)):
            self.turns.note(addresses(self)[index], False)      # numbers, not a view of them
        return found

    def __setitem__(self, index, value):
        if isinstance(value, Watched):
            self.turns.note(addresses(value), False)
        self.turns.note(addresses(self)[index], True)
        super().__setitem__(index, value)

    def fill(self, value):
        self[...] = value

    def __array_ufunc__(self, ufunc, method, *inputs, out=(), **settings):
        for arrays, writes in (inputs, False), (out, True):
            for array in arrays:
                if isinstance(array, Watched):
                    self.turns.note(addresses(array), writes)
        bare = [a.view(np.ndarray) if isinstance(a, Watched) else a for a in inputs]
        if out:
            settings["out"] = tuple(a.view(np.ndarray) if isinstance(a, Watched) else a
                                    for a in out)
        result = getattr(ufunc, method)(*bare, **settings)
        return out[0] if out else result


class Turns:
    """The loops over prange of one call: `started` of them, and the first `meeting`, if any."""

    def __init__(self):
        self.started, self.turn, self.meeting = 0, None, None
        self.arrays, self.numbers = {}, {}       # name → array; address → {turn: does it write?}
        self.kept = []                           # alive, so that no address is used twice

    def take(self, array):
        array.turns = self
        self.kept.append(array)

    def watched(self, array):
        array = array.view(Watched)
        self.take(array)
        return array

    def prange(self, *bounds):
        """prange; inside another one it is a plain range, as in Numba."""
        if self.turn is not None:
            yield from range(*bounds)
            return
        self.started += 1
        self.numbers.clear()                     # the loop before has ended, for all threads
        for self.turn in range(*bounds):
            yield self.turn
        self.turn = None

    def note(self, touched, writes):
        """The running turn touches the numbers at these addresses."""
        if self.turn is None or self.meeting:
            return
        for address in np.ravel(touched).tolist():
            seen = self.numbers.setdefault(address, {})
            for turn, wrote in seen.items():
                if turn != self.turn and (writes or wrote):
                    self.meeting = Meeting(*self.place(address), (turn, self.turn), (wrote, writes))
                    return
            seen[self.turn] = writes or seen.get(self.turn, False)

    def place(self, address):
        """(name, index) of a number."""
        for name, array in self.arrays.items():
            at = np.argwhere(addresses(array) == address)
            if at.size:
                return name, tuple(at[0].tolist())
        return "an array that the kernel makes", ()


def addresses(array):
    """Where each number of an array lies, as an array of its shape."""
    at = np.full(array.shape, array.__array_interface__["data"][0], np.int64)
    for axis, step in enumerate(array.strides):
        at += np.arange(array.shape[axis]).reshape(-1, *(1,) * (array.ndim - axis - 1)) * step
    return at


class WatchedNumPy:
    """NumPy, whose new arrays are watched as well."""

    def __init__(self, turns):
        self._turns = turns

    def __getattr__(self, name):
        found = getattr(np, name)
        if isinstance(found, type) or not callable(found):
            return found

        def call(*inputs, **settings):
            made = found(*inputs, **settings)
            return self._turns.watched(made) if type(made) is np.ndarray else made
        return call


def watch(kernel, **arrays):
    """The Turns of kernel(*arrays), run as plain Python; None if it cannot be run so.

    One that asks for its thread's number cannot: plain Python has no threads to tell apart.
    """
    import numba
    if "get_thread_id" in kernel.py_func.__code__.co_names:
        return None
    turns = Turns()
    turns.arrays = {name: turns.watched(array) for name, array in arrays.items()}
    run = plain(kernel, {numba.prange: turns.prange, np: WatchedNumPy(turns)})
    try:
        with mock.patch.object(numba, "prange", turns.prange):
            run(*turns.arrays.values())
    except Exception:
        return None
    return turns


def plain(kernel, instead):
    """A compiled function, and those that it calls, as plain Python functions.

    instead    {what a name of the module stands for: what it stands for now}
    """
    names = dict(kernel.py_func.__globals__)

    def bare(compiled):
        function = compiled.py_func
        return types.FunctionType(function.__code__, names, function.__name__,
                                  function.__defaults__, function.__closure__)

    for name, value in kernel.py_func.__globals__.items():
        if hasattr(value, "py_func"):
            names[name] = bare(value)
        else:
            names[name] = next((new for old, new in instead.items() if value is old), value)
    return bare(kernel)

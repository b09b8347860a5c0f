"""`empty(shape, dtype)`: uninitialized arrays from a pool of buffers.

A new large array is made of pages that the system first fills with zeros, one fault a page: for
400 KB that takes longer than most kernels do. But a training step needs the very arrays of the step
before. So buffers are kept, and

    a buffer is free when nobody but the pool refers to it.

CPython counts references, and arrays, their views, and views of those all refer to the object that
owns the memory (NumPy's `base`), so one count tells. Nothing needs to be given back, and code that
knows nothing of the pool is safe with it.

Each size has its own shelf of buffers, a ring. The search begins at the buffer handed out last: if
that was for a passing result, it is free again and still in the cache. In a training step three
looks are enough on average. Sizes are rounded up by an eighth at most, so that a sequence growing
by a token a time does not need a shelf a token.

Of each size the pool holds what was once in use at the same time, and no more. When it has to make
a buffer, it drops the free ones of every size that nobody has asked for in a minute.

Each thread has a pool of its own, from which nobody else takes, so no lock is needed.
"""

import math
import sys
import threading
from time import monotonic
from weakref import WeakSet

import numpy as np

TINY = 4096                                      # bytes; up to there NumPy's own way is as fast
LINE = 64                                        # bytes of a line of cache, and of a SIMD register
MINUTE = 60                                      # seconds
getrefcount = getattr(sys, "getrefcount", None)


def make(size):
    """A new buffer: a view that begins where a line of cache does; its base owns the memory."""
    owner = np.empty(size + LINE, np.uint8)
    skip = -owner.ctypes.data % LINE
    return owner[skip:skip + size]


def count_when_free():
    """What `getrefcount` says of a buffer without users; None where it cannot be relied on.

    It depends on the version of Python, so it is tried out. Other Pythons do not count references,
    and one without a global lock does not count them exactly.
    """
    if getrefcount is None or not getattr(sys, "_is_gil_enabled", lambda: True)():
        return None
    buffers = [make(TINY)]
    free = getrefcount(buffers[0].base)
    array = np.ndarray((2, 3), np.float32, buffers[0])
    used = getrefcount(buffers[0].base)
    array = array.T[1:]                          # only a view of a view is left
    viewed = getrefcount(buffers[0].base)
    del array
    again = getrefcount(buffers[0].base)
    return free if (used, viewed, again) == (free + 1, free + 1, free) else None


FREE = count_when_free()


class Shelf:
    """The buffers of one size."""

    def __init__(self):
        self.buffers = []
        self.last = 0                            # which was handed out last, and when
        self.asked = 0.0

    def drop_free(self):
        """On a new list, as the shelf's thread may be walking along the old one."""
        self.buffers = [b for b in self.buffers if getrefcount(b.base) > FREE]


class Pool:
    """The shelves of one thread, by size."""

    def __init__(self):
        self.shelves = {}
        _pools.add(self)

    def take(self, size):
        """A buffer that is free; the caller makes its array before anything else happens."""
        if size not in self.shelves:
            self.shelves[size] = Shelf()
        shelf = self.shelves[size]
        shelf.asked = monotonic()
        buffers, n = shelf.buffers, len(shelf.buffers)
        start = shelf.last if shelf.last < n else 0
        for i in range(start - n, start):        # below 0 Python counts from the end: a ring
            if getrefcount(buffers[i].base) == FREE:
                shelf.last = i % n
                return buffers[i]
        for other in self.shelves.values():
            if other.asked < shelf.asked - MINUTE:
                other.drop_free()
        shelf.last = n
        buffers.append(make(size))
        return buffers[n]


class Mine(threading.local):
    """`pool` is a different one in each thread."""

    def __init__(self):
        self.pool = Pool()


_pools = WeakSet()                               # of all threads that are alive
_mine = Mine()


def empty(shape, dtype=np.float32):
    """An array as np.empty makes it: C-contiguous, with any numbers in it."""
    dtype = np.dtype(dtype)
    shape = (shape,) if isinstance(shape, int) else shape
    size = math.prod(shape) * dtype.itemsize
    if size < TINY or FREE is None:
        return np.empty(shape, dtype)
    step = 1 << size.bit_length() - 4            # size is 8 to 16 steps
    return np.ndarray(shape, dtype, _mine.pool.take(-(-size // step) * step))


def release():
    """Drop every buffer, of any thread, that is free."""
    for pool in list(_pools):
        for shelf in list(pool.shelves.values()):
            shelf.drop_free()


def held():
    """How many bytes the pools of all threads hold, free or in use."""
    return sum(b.nbytes for pool in list(_pools) for shelf in list(pool.shelves.values())
               for b in shelf.buffers)

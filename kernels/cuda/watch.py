"""Who touches which number, and when: the simulator writes down each access of a launch.

It runs blocks one after another and the threads of a block by turns, so a race rarely gives a wrong
number there, as it would on a GPU. But it sees every access, to device arrays and to shared memory.
So it can say what a GPU does not:

outside     the first access beyond an array (a GPU reads and writes what lies there)
races       pairs of accesses to one number by two threads, one of which writes, that may come in
            either order: of two blocks, or of one block with no wait (syncthreads) in between
uneven      blocks whose threads did not all come to the same number of waits (a GPU may hang)

    with watch() as launches:                    one Launch for each kernel launched inside
        kernel[grid, threads](x, y)
    launches[0].races

Shared memory is full of NaN at the start of a block: reading what no thread has written shows.
Atomic operations are not written down, for they come one after another. Nor are negative indices
let through, which Python counts from the end.
"""

import inspect
import linecache
import re
import sys
import threading
from contextlib import contextmanager
from functools import cached_property
from itertools import islice
from typing import NamedTuple

import numpy as np

from kernels.cuda import device
from nanollm.errors import InputError


class Access(NamedTuple):
    array: str                                   # its name in the kernel
    shared: bool                                 # is it one of shared memory, a block's own?
    index: tuple
    writes: bool
    block: tuple                                 # (x, y, z), as are threads
    thread: tuple
    waits: int                                   # that the thread had passed

    def meets(self, other):
        """May the two come in either order?"""
        return (self.block, self.thread) != (other.block, other.thread) and (
            self.block != other.block or self.waits == other.waits)


class Launch:
    """What one launch did: its accesses, in the order in which the simulator ran them."""

    def __init__(self, kernel, grid, threads):
        self.kernel, self.grid, self.threads = kernel, grid, threads
        self.accesses, self.outside, self.waits = [], None, {}
        self.arrays, self.near = {}, {}          # name → (first address, the array); shared ones

    @cached_property
    def races(self):
        """[(write, other access)]: for each number where threads race, a pair, of writes if any."""
        numbers, found = {}, []
        for access in dict.fromkeys(self.accesses):
            place = access.array, access.index, access.block if access.shared else None
            numbers.setdefault(place, []).append(access)
        for accesses in numbers.values():
            writes = [access for access in accesses if access.writes]
            pairs = ((a, b) for others in (writes, accesses) for a in writes for b in others
                     if a.meets(b))
            found += list(islice(pairs, 1))
        return found

    @property
    def uneven(self):
        """{block: [waits that threads have passed]} where they are not all the same."""
        blocks = {}
        for (block, _), count in self.waits.items():
            blocks.setdefault(block, set()).add(count)
        return {block: sorted(counts) for block, counts in blocks.items() if len(counts) > 1}

    def note(self, array, index, writes):
        """Write the access down, if it is one to a number; InputError if there is none there."""
        numbers = array._item._ary
        index = index if isinstance(index, tuple) else (index,)
        if not all(isinstance(i, int | np.integer) for i in index):
            return                               # slices are views, and are asked again
        inside = len(index) <= numbers.ndim and all(
            0 <= i < n for i, n in zip(index, numbers.shape))
        if inside and len(index) < numbers.ndim:
            return
        thread = threading.current_thread()
        name, index = self.place(numbers, tuple(map(int, index)), inside)
        access = Access(name, name in self.near, index, writes, tuple(thread.blockIdx),
                        tuple(thread.threadIdx), getattr(thread, "waits", 0))
        if not inside:
            self.outside = self.outside or access
            raise IndexError(f"index {', '.join(map(str, index))} is outside of {name}")
        self.accesses.append(access)

    def place(self, numbers, index, inside):
        """(name, index) of numbers[index] in the array that `numbers` is, or is a view of."""
        first = address(numbers)
        for name, (start, whole) in [*self.near.items(), *self.arrays.items()]:
            if start <= first < start + max(whole.nbytes, 1):
                if inside and whole.flags.c_contiguous:
                    at = first - start + sum(i * step for i, step in zip(index, numbers.strides))
                    index = np.unravel_index(at // whole.itemsize, whole.shape)
                return name, tuple(map(int, index))
        return "an array", index


@contextmanager
def watch():
    """Yields a list that gets a Launch for each kernel launched inside the `with` block."""
    if not device.SIMULATED:
        raise InputError("only Numba's simulator sees each access; " + device.INSTEAD)
    from numba.cuda.simulator.cudadrv.devicearray import FakeCUDAArray
    from numba.cuda.simulator.cudadrv.devicearray import FakeWithinKernelCUDAArray as Array
    from numba.cuda.simulator.kernel import BlockManager, BlockThread, FakeCUDAKernel as Kernel
    from numba.cuda.simulator.kernel import _get_kernel_context
    from numba.cuda.simulator.kernelapi import FakeCUDAShared as Shared
    kept = [(Array, "__getitem__"), (Array, "__setitem__"), (Kernel, "__call__"),
            (BlockManager, "run"), (BlockThread, "syncthreads"), (Shared, "array")]
    kept = [(owner, name, getattr(owner, name)) for owner, name in kept]
    read, write, call, run_block, wait, _ = (function for *_, function in kept)
    launches = []

    def noted_read(array, index):
        if not is_atomic(sys._getframe(1)):
            launches[-1].note(array, index, False)
        return read(array, index)

    def noted_write(array, index, value):
        if not is_atomic(sys._getframe(1)):
            launches[-1].note(array, index, True)
        write(array, index, value)

    def noted_call(kernel, *arguments):
        if not kernel._device:
            launches.append(Launch(kernel.__name__, kernel.grid_dim, kernel.block_dim))
        return call(kernel, *arguments)

    def noted_block(manager, block, *arguments):
        launch = launches[-1]
        for name, array in zip(inspect.signature(manager._f).parameters, arguments):
            if isinstance(array, Array):
                launch.arrays[name] = address(array._item._ary), array._item._ary
        launch.near = {}
        _get_kernel_context().shared._allocations.clear()
        for thread in np.ndindex(*manager._block_dim):
            launch.waits[(*block,), thread] = 0
        run_block(manager, block, *arguments)

    def noted_wait(thread):
        wait(thread)
        thread.waits = getattr(thread, "waits", 0) + 1
        launches[-1].waits[tuple(thread.blockIdx), tuple(thread.threadIdx)] = thread.waits

    def noted_shared(self, shape, dtype):
        frame, near = sys._getframe(1), launches[-1].near

        def named(shape, dtype):
            numbers = poisoned(shape, dtype)
            near[variable(frame, near)] = address(numbers), numbers
            return numbers

        return Array(FakeCUDAArray(device.shared_numbers(self, frame, shape, dtype, named)))

    replaced = (noted_read, noted_write, noted_call, noted_block, noted_wait, noted_shared)
    for (owner, name, _), function in zip(kept, replaced):
        setattr(owner, name, function)
    try:
        yield launches
    finally:
        for owner, name, function in kept:
            setattr(owner, name, function)


def address(numbers):
    return numbers.__array_interface__["data"][0]


def is_atomic(frame):
    return frame.f_globals["__name__"].endswith("kernelapi")


def poisoned(shape, dtype):
    """Memory that holds nothing one should use."""
    numbers = np.empty(shape, dtype)
    numbers.fill(np.nan if numbers.dtype.kind == "f" else np.iinfo(numbers.dtype).max)
    return numbers


def variable(frame, taken):
    """The name that the line of `frame` gives to its shared array: the first that is not taken."""
    line = linecache.getline(frame.f_code.co_filename, frame.f_lineno)
    found = re.match(r"[\s(]*(\w[\w\s,]*?)[\s)]*=", line)
    names = re.findall(r"\w+", found[1]) if found else []
    unnamed = f"shared memory of line {frame.f_lineno}"
    return next((name for name in names if name not in taken), unnamed)

"""Do two threads of a launch meet at one number? The simulator is asked to watch.

It runs blocks one after another and threads by turns, so a race rarely gives a wrong number here,
as it would on a GPU. But it sees each access: no two threads may write the same number, and none
may read what another writes, unless both are of one block and a wait (syncthreads) lies between.
The numbers of device arrays are watched, shared memory is not.
"""

import threading
from typing import Any, NamedTuple

import numpy as np
import pytest

from cases import CASES, STEPS, Draw, seed
from judges import Arrays, counters, pair, situation
from kernels import cuda
from kernels.cuda.block import THREADS, by_entry
from kernels.cuda.device import SIMULATED, cuda as device

pytestmark = pytest.mark.skipif(not SIMULATED, reason="only the simulator sees each access")

REPEATS = [
    ("embedding", "two words, many times", lambda r: ([r.ids(2, 3, 40), r.normal(2, 3)], {})),
    ("embedding", "one word", lambda r: ([r.ids(1, 30), r.normal(1, 10)], {})),
    ("embedding", "one word, in parts", lambda r: ([r.ids(1, 130), r.normal(1, 3)], {})),
]


def first_rows(table, count):
    """The first rows of each op that the backend has."""
    ops = {}
    for row in table:
        if hasattr(cuda, row[0]):
            ops.setdefault(row[0], []).append(row)
    return [row for rows in ops.values() for row in rows[:count]]


def label(row):
    return f"{row[0]}, {row[1]}"


class Access(NamedTuple):
    thread: Any
    block: tuple
    waits: int                                   # that the thread has passed

    def meets(self, other):
        return self.thread is not other.thread and (
            self.block != other.block or self.waits == other.waits)


class Watch:
    """Who wrote and who read each number (by its address) in the launch that is running."""

    def __init__(self):
        self.writers, self.readers, self.races = {}, {}, []

    def note(self, book, array, index):
        numbers = array._item._ary
        index = index if isinstance(index, tuple) else (index,)
        if len(index) == numbers.ndim:           # else it is a view, and is asked again
            place = numbers.__array_interface__["data"][0] + sum(
                int(i) * step for i, step in zip(index, numbers.strides))
            thread = threading.current_thread()
            block = (thread.blockIdx.x, thread.blockIdx.y, thread.blockIdx.z)
            access = Access(thread, block, getattr(thread, "waits", 0))
            book.setdefault(place, set()).add(access)

    def end_launch(self, kernel):
        for place, writers in self.writers.items():
            all_of_them = writers | self.readers.get(place, set())
            if any(a.meets(b) for a in writers for b in all_of_them):
                self.races.append(kernel.__name__)
        self.writers, self.readers = {}, {}


@pytest.fixture
def watch(monkeypatch):
    from numba.cuda.simulator.cudadrv.devicearray import FakeWithinKernelCUDAArray as Array
    from numba.cuda.simulator.kernel import BlockThread as Thread, FakeCUDAKernel as Kernel
    watch = Watch()
    read, write, run = Array.__getitem__, Array.__setitem__, Kernel.__call__
    wait = Thread.syncthreads

    def noted_read(array, index):
        watch.note(watch.readers, array, index)
        return read(array, index)

    def noted_write(array, index, value):
        watch.note(watch.writers, array, index)
        write(array, index, value)

    def watched_run(kernel, *arguments):
        result = run(kernel, *arguments)
        if not kernel._device:
            watch.end_launch(kernel)
        return result

    def counted_wait(thread):
        wait(thread)
        thread.waits = getattr(thread, "waits", 0) + 1

    monkeypatch.setattr(Thread, "syncthreads", counted_wait)
    monkeypatch.setattr(Array, "__getitem__", noted_read)
    monkeypatch.setattr(Array, "__setitem__", noted_write)
    monkeypatch.setattr(Kernel, "__call__", watched_run)
    return watch


@pytest.mark.parametrize("row", first_rows(CASES, 2) + REPEATS, ids=label)
def test_no_two_threads_of_an_op_meet(row, watch):
    arrays = Arrays("cuda")
    inputs, settings, dy = situation(row, "float32")
    forward, backward = pair("cuda", row[0])
    _, saved = forward(*map(arrays.put, inputs), **settings)
    backward(arrays.put(dy), saved)
    assert not watch.races


@pytest.mark.parametrize("row", first_rows(STEPS, 2), ids=label)
def test_no_two_threads_of_a_step_meet(row, watch):
    op, _, make = row
    inputs, settings = make(Draw(seed(row), np.float32))
    arrays = [None if x is None else cuda.array(x) for x in inputs]
    getattr(cuda, op)(*arrays, **settings, **counters(op, inputs))
    assert not watch.races


def test_no_two_threads_that_draw_a_mask_meet(watch):
    cuda.keep(np.random.default_rng(0), (3, 7), 0.5)
    assert not watch.races


@device.jit
def _racing_sum(x, y):
    i = device.grid(1)
    if i < x.size:
        y[0] += x[i]


@device.jit
def _racing_shift(x):
    i = device.grid(1)
    if i + 1 < x.size:
        x[i] = x[i + 1]


@device.jit
def _turn(x, y):                                 # y = x, then x = y moved by one
    i = device.grid(1)
    y[i] = x[i]
    device.syncthreads()
    x[i] = y[(i + 1) % x.size]


def test_a_race_is_seen(watch):
    x, y = cuda.ones(20), cuda.zeros(1)
    by_entry(_racing_sum, x.size, x, y)
    assert set(watch.races) == {"_racing_sum"}
    by_entry(_racing_shift, x.size, x)
    assert set(watch.races) == {"_racing_sum", "_racing_shift"}


def test_a_wait_prevents_a_race_within_a_block_and_not_between_blocks(watch):
    x, y = cuda.ones(THREADS), cuda.zeros(THREADS)
    by_entry(_turn, THREADS, x, y)
    assert not watch.races
    x, y = cuda.ones(2 * THREADS), cuda.zeros(2 * THREADS)
    by_entry(_turn, 2 * THREADS, x, y)
    assert set(watch.races) == {"_turn"}

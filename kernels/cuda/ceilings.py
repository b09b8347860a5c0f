"""What this GPU can do at best: bytes it copies and multiply-adds it does in a second.

Both are measured by kernels that do nothing else, so that a share of them says how good a kernel is
and not how good the card is.

The device's own clock is read by events, which are work in the same queue as kernels: an event has
the time at which the device came to it. An idle device comes to the first event at once, and then
waits for Python, whose launches take longer than most kernels. So the device first gets a load that
keeps it busy until everything that is timed stands in the queue.
"""

import time
from functools import cache

import numpy as np

from kernels.cuda.arrays import empty, zeros
from kernels.cuda.block import THREADS, by_entry, flat, launch
from kernels.cuda.device import SIMULATED, cuda

SIZE = 2 ** 8 if SIMULATED else 2 ** 27          # numbers: half a gigabyte, more than any cache
BLOCKS = 2 if SIMULATED else 8192
TURNS = 4 if SIMULATED else 4096
CHAINS = 8                                       # independent sums, so that none has to wait
MOST = 32                                        # launches of a load, a millisecond each or longer


@cuda.jit
def _copy(x, y):                                 # (N,) → (N,)
    i = cuda.grid(1)
    if i < y.size:
        y[i] = x[i]


@cuda.jit
def _multiply_add(factor, y):                    # a number → (blocks · THREADS,)
    i, of = cuda.grid(1), y.dtype.type
    one = of(1)
    s0 = of(cuda.threadIdx.x)                    # all begin elsewhere: no two chains are the same
    s1, s2, s3, s4 = s0 + one, s0 + of(2), s0 + of(3), s0 + of(4)
    s5, s6, s7 = s0 + of(5), s0 + of(6), s0 + of(7)
    n = 0
    while n < TURNS:                             # cheaper to count than `for`
        s0, s1, s2, s3 = (s0 * factor + one, s1 * factor + one, s2 * factor + one,
                          s3 * factor + one)
        s4, s5, s6, s7 = (s4 * factor + one, s5 * factor + one, s6 * factor + one,
                          s7 * factor + one)
        n += 1
    y[i] = ((s0 + s1) + (s2 + s3)) + ((s4 + s5) + (s6 + s7))


@cache
def results():
    """Where the multiply-adds' sums go."""
    return empty((BLOCKS, THREADS))


def multiply_add():
    y = results()
    launch(_multiply_add, BLOCKS, y.dtype.type(0.5), flat(y))


def lap(run, loads):
    """(ms, alone) of run() behind so many loads.

    alone    whether Python was done before the device was through with the loads, so that ms are
             the device's alone.
    """
    first, start, end = cuda.event(), cuda.event(), cuda.event()
    began = time.perf_counter()
    first.record()
    for _ in range(loads):
        multiply_add()
    start.record()
    run()
    end.record()
    queued = 1e3 * (time.perf_counter() - began)
    end.synchronize()
    return cuda.event_elapsed_time(start, end), queued < cuda.event_elapsed_time(first, start)


def timed(run, times=5):
    """(ms, alone): the median of run() by the device's clock, after a warm-up.

    alone is False where no load helps: run() itself waits for the device, or copies to it.
    """
    run()
    multiply_add()                               # both are compiled now
    loads = 1
    while loads < MOST and not lap(run, loads)[1]:
        loads *= 2
    found = [lap(run, loads) for _ in range(times)]
    return float(np.median([ms for ms, _ in found])), 2 * sum(alone for _, alone in found) > times


def milliseconds(run, times=5):
    return timed(run, times)[0]


def copy_rate():
    """Bytes a second, read and written, of a copy within the GPU's memory."""
    x, y = zeros(SIZE), empty(SIZE)
    ms = milliseconds(lambda: by_entry(_copy, SIZE, x, y), times=20)
    return 2 * x.dtype.itemsize * SIZE / ms * 1e3


def arithmetic_rate():
    """Float32 operations a second: two for each multiply-add."""
    return 2 * CHAINS * TURNS * results().size / milliseconds(multiply_add, times=10) * 1e3

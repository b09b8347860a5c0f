"""How a kernel is cut into blocks of threads, and what the threads of one block do together.

A kernel by entry has one thread for each entry of its result. A kernel by row has one block for
each row of a matrix: its thread t takes entries t, t + THREADS, t + 2 THREADS, ..., so that
neighbors read neighboring memory, and then the block adds up (or takes the maximum of) what its
threads found, in one of two ways:

shuffle     The 32 threads of a warp run in step and can read each other's registers: 5 exchanges,
            each with a thread half as far away as before, leave every thread with the result of
            its warp. The warps then meet in shared memory, a slot each, with one wait.
tree        Half of the threads take over the values of the other half, log2(THREADS) times, with a
            wait each time. Numba's simulator, which knows no warps, takes this way.

The order of additions is fixed in both, so that equal inputs give equal bits.
"""

import math
from collections import Counter
from contextlib import contextmanager

from kernels.cuda.device import FAILURE, SIMULATED, cuda, failed

WARP = 32                                        # threads that run in step, on every GPU
THREADS = 8 if SIMULATED else 128                # of a block: a power of two, fixed when compiled
SLOTS = THREADS if SIMULATED else THREADS // WARP    # of the shared memory of a sum or a maximum
ALL = 0xffffffff                                 # threads of a warp that take part: a bit each


def by_entry(kernel, entries, *arguments):
    """Run kernel(*arguments) with a thread for each of `entries`, and the last block's rest."""
    launch(kernel, -(-entries // THREADS), *arguments)


def by_row(kernel, rows, *arguments):
    """Run kernel(*arguments) with a block for each of `rows`."""
    launch(kernel, rows, *arguments)


def launch(kernel, blocks, *arguments):
    launch_grid(kernel, blocks, THREADS, *arguments)


def launch_grid(kernel, grid, threads, *arguments):
    """Run kernel(*arguments) in a grid of blocks of threads, each a number or up to three."""
    if math.prod(grid) if isinstance(grid, tuple) else grid:     # the driver refuses to run none
        for counter in counters:
            counter[name(kernel)] += 1
        try:
            kernel[grid, threads](*arguments)
        except FAILURE as error:
            raise failed(error) from None


def name(kernel):
    """File and function of a kernel, such as "softmax._softmax"."""
    function = kernel.py_func
    file = function.__module__.rpartition(".")[2]
    return f"{file}.{function.__qualname__}".replace(".<locals>.kernel", "")


counters = []                                    # of the `with counted()` blocks that are open


@contextmanager
def counted():
    """Yields a Counter {kernel: launches} of the launches inside the `with` block."""
    counter = Counter()
    counters.append(counter)
    try:
        yield counter
    finally:
        counters.remove(counter)


def as_rows(x):
    """(..., K) → (N, K), a view: arrays of this backend are C-contiguous."""
    *lead, K = x.shape
    return x.reshape(math.prod(lead), K)


def flat(x):
    """(...) → (N,), a view."""
    return x.reshape(x.size)


@cuda.jit(device=True)
def tree_max(value, scratch):
    t = cuda.threadIdx.x
    scratch[t] = value
    cuda.syncthreads()
    half = THREADS // 2
    while half > 0:
        if t < half:
            scratch[t] = max(scratch[t], scratch[t + half])
        cuda.syncthreads()
        half //= 2
    result = scratch[0]
    cuda.syncthreads()                           # all have read before any writes again
    return result


@cuda.jit(device=True)
def tree_sum(value, scratch):
    t = cuda.threadIdx.x
    scratch[t] = value
    cuda.syncthreads()
    half = THREADS // 2
    while half > 0:
        if t < half:
            scratch[t] += scratch[t + half]
        cuda.syncthreads()
        half //= 2
    result = scratch[0]
    cuda.syncthreads()                           # all have read before any writes again
    return result


@cuda.jit(device=True)
def shuffle_max(value, scratch):
    for distance in (16, 8, 4, 2, 1):
        value = max(value, cuda.shfl_xor_sync(ALL, value, distance))
    scratch[cuda.threadIdx.x // WARP] = value    # all of a warp write the same
    cuda.syncthreads()
    result = scratch[0]
    for warp in range(1, THREADS // WARP):
        result = max(result, scratch[warp])
    cuda.syncthreads()                           # all have read before any writes again
    return result


@cuda.jit(device=True)
def shuffle_sum(value, scratch):
    for distance in (16, 8, 4, 2, 1):
        value += cuda.shfl_xor_sync(ALL, value, distance)
    scratch[cuda.threadIdx.x // WARP] = value    # all of a warp write the same
    cuda.syncthreads()
    result = scratch[0]
    for warp in range(1, THREADS // WARP):
        result += scratch[warp]
    cuda.syncthreads()                           # all have read before any writes again
    return result


# The maximum and the sum of `value` over the threads of a block of THREADS, all of which must come
# here; scratch is shared, (SLOTS,), of the value's dtype.
block_max, block_sum = (tree_max, tree_sum) if SIMULATED else (shuffle_max, shuffle_sum)

"""How a kernel is cut into blocks of threads, and what the threads of one block do together.

A kernel by entry has one thread for each entry of its result. A kernel by row has one block for
each row of a matrix: its thread t takes entries t, t + THREADS, t + 2 THREADS, ..., so that
neighbors read neighboring memory, and then the block adds up (or takes the maximum of) what its
threads found, in shared memory. A tree does it: half of the threads take over the values of the
other half, log2(THREADS) times. Warp shuffles would be quicker, but Numba's simulator has none, and
these kernels must run without a GPU.
"""

import math

from kernels.cuda.device import SIMULATED, cuda

THREADS = 8 if SIMULATED else 128                # of a block: a power of two, fixed when compiled


def by_entry(kernel, entries, *arguments):
    """Run kernel(*arguments) with a thread for each of `entries`, and the last block's rest."""
    launch(kernel, -(-entries // THREADS), *arguments)


def by_row(kernel, rows, *arguments):
    """Run kernel(*arguments) with a block for each of `rows`."""
    launch(kernel, rows, *arguments)


def launch(kernel, blocks, *arguments):
    if blocks:                                   # the driver refuses to run none
        kernel[blocks, THREADS](*arguments)


def as_rows(x):
    """(..., K) → (N, K), a view: arrays of this backend are C-contiguous."""
    *lead, K = x.shape
    return x.reshape(math.prod(lead), K)


@cuda.jit(device=True)
def block_max(value, scratch):
    """The maximum of `value` over the threads of the block; scratch is shared, (THREADS,)."""
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
def block_sum(value, scratch):
    """The sum of `value` over the threads of the block; scratch is shared, (THREADS,)."""
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

"""Reduce: the sum of a block's numbers, in log2 rounds.

Task        y[b] = the sum of the numbers of block b: x[b · THREADS], ..., x[b · THREADS + THREADS -
            1], as far as x goes. Two threads must not add into one number; so the numbers are added
            as a tree: THREADS / 2 threads each add a number of the other half to theirs, then half
            of them, then half of those, until one is left.
Launch      block_sums[blocks, THREADS](x, y), THREADS a power of two
Memory      thread t reads x[b · THREADS + t] once, into shared memory: 0 where x has ended. In each
            round threads t < half do part[t] += part[t + half]. Thread 0 writes y[b].
New         a wait in a loop: after each round, for all threads, those too that have nothing to add
Shapes      x (N,)  →  y (blocks,)
"""

from kernels.cuda.device import cuda

THREADS = 8


@cuda.jit
def block_sums(x, y):
    part = cuda.shared.array(THREADS, x.dtype)
    t, b = cuda.threadIdx.x, cuda.blockIdx.x
    i = b * THREADS + t
    part[t] = x[i] if i < x.size else x.dtype.type(0)
    cuda.syncthreads()
    half = THREADS // 2
    while half > 0:
        if t < half:
            part[t] += part[t + half]
        cuda.syncthreads()
        half //= 2
    if t == 0:
        y[b] = part[0]

"""Scan: all running sums of a block at once, in log2 rounds.

Task        y[i] = the sum of the numbers of its block up to and with x[i]: the cumulative sum that
            top-p sampling needs. In the round with distance 1, each number gets its left neighbor
            added; then every number is the sum of 2; with distance 2, of 4; then of 8.
Launch      running_sums[blocks, THREADS](x, y), THREADS a power of two; the last block may reach
            beyond the end
Memory      thread t reads x[b · THREADS + t] once, into shared memory: 0 where x has ended. In each
            round it reads part[t - distance], if there is one, and part[t]; all wait; it writes
            part[t]; all wait. In the end it writes y[b · THREADS + t].
New         two waits a round: one so that nobody writes what another has yet to read, and one so
            that nobody reads what another has yet to write
Source      Hillis & Steele 1986, Data parallel algorithms, section "Parallel prefix"
Shapes      x (N,)  →  y (N,)
"""

from kernels.cuda.device import cuda

THREADS = 8


@cuda.jit
def running_sums(x, y):
    part = cuda.shared.array(THREADS, x.dtype)
    t, zero = cuda.threadIdx.x, x.dtype.type(0)
    i = cuda.blockIdx.x * THREADS + t
    part[t] = x[i] if i < x.size else zero
    cuda.syncthreads()
    distance = 1
    while distance < THREADS:
        left = part[t - distance] if t >= distance else zero
        cuda.syncthreads()
        part[t] += left
        cuda.syncthreads()
        distance *= 2
    if i < y.size:
        y[i] = part[t]

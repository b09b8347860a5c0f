"""Softmax: a block for each row, two reductions, one result.

Task        y[n, k] = exp(x[n, k] - m) / Σ_j exp(x[n, j] - m), m the largest of row n. A row may be
            longer than a block has threads, or shorter.
Launch      softmax[N, THREADS](x, y): block n has row n, THREADS a power of two
Memory      thread t takes the entries t, t + THREADS, t + 2 THREADS, ... of the row, so neighbors
            read side by side. It finds the largest of its own; the block finds the largest of those
            in shared memory, as a tree; the same for the sum; then it writes its entries. x is read
            three times, y written once. Nothing else is in memory.
New         a loop with a stride; a scratch array used twice: everyone must have read the first
            result before anyone writes the second into it. A thread without entries brings the
            neutral number: LOWEST for the maximum, 0 for the sum.
Shapes      x (N, K)  →  y (N, K)
"""

import math

from kernels.cuda.device import cuda

THREADS = 8
LOWEST = -3e38                                   # below any score


@cuda.jit
def softmax(x, y):
    scratch = cuda.shared.array(THREADS, x.dtype)
    n, t, K = cuda.blockIdx.x, cuda.threadIdx.x, x.shape[1]

    largest = x.dtype.type(LOWEST)
    for k in range(t, K, THREADS):
        largest = max(largest, x[n, k])
    scratch[t] = largest
    cuda.syncthreads()
    half = THREADS // 2
    while half > 0:
        if t < half:
            scratch[t] = max(scratch[t], scratch[t + half])
        cuda.syncthreads()
        half //= 2
    m = scratch[0]
    cuda.syncthreads()

    total = x.dtype.type(0)
    for k in range(t, K, THREADS):
        total += math.exp(x[n, k] - m)
    scratch[t] = total
    cuda.syncthreads()
    half = THREADS // 2
    while half > 0:
        if t < half:
            scratch[t] += scratch[t + half]
        cuda.syncthreads()
        half //= 2

    for k in range(t, K, THREADS):
        y[n, k] = math.exp(x[n, k] - m) / scratch[0]

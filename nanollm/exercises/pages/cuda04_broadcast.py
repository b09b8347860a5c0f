"""Broadcast: threads in two directions, and which of them is x.

Task        y[n, k] = x[n, k] + b[k], the bias of a linear layer, for each row the same.
Launch      add_bias[(across, down), (SIDE, SIDE)](x, b, y): blocks of SIDE x SIDE threads, as many
            as cover the matrix; both edges may stick out
Memory      the thread at column k and row n reads x[n, k] and b[k] and writes y[n, k]. Threads that
            differ by 1 in threadIdx.x run side by side, and a row lies in memory side by side: so x
            is the direction of the columns. Then the reads of neighbors come in one piece
            (coalesced); the other way around each would be a piece of its own.
New         cuda.threadIdx.y, blockIdx.y, blockDim.y; cuda.grid(2) gives the pair (in x, in y)
Shapes      x (N, K), b (K,)  →  y (N, K)
"""

from kernels.cuda.device import cuda


@cuda.jit
def add_bias(x, b, y):
    k = cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x
    n = cuda.blockIdx.y * cuda.blockDim.y + cuda.threadIdx.y
    if n < y.shape[0] and k < y.shape[1]:
        y[n, k] = x[n, k] + b[k]

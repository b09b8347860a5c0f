"""Shared memory: a transposition in which nobody steps through memory.

Task        y[k, n] = x[n, k]. Written at once, either the reads or the writes of neighbors lie N or
            K numbers apart. So a block brings a tile of x into shared memory row by row, all wait,
            and it writes the tile's columns as rows of y.
Launch      transpose[(across, down), (SIDE, SIDE)](x, y): a block for each tile of SIDE x SIDE of x
Memory      thread (tx, ty) of the tile that begins at x[n0, k0] reads x[n0 + ty, k0 + tx] into
            tile[ty, tx], and writes tile[tx, ty] to y[k0 + ty, n0 + tx]: both times tx runs along
            memory. What lies beyond x or y is neither read nor written.
New         cuda.shared.array(shape, dtype): one array for all threads of a block, its shape a
            number or a name of the module, for a GPU must know it before the kernel runs.
            cuda.syncthreads(): nobody goes on before all threads of the block are here, so all of
            them must come: guard the reads and the writes, never the wait.
Shapes      x (N, K)  →  y (K, N)
"""

from kernels.cuda.device import cuda

SIDE = 4
TILE = SIDE, SIDE


@cuda.jit
def transpose(x, y):
    tile = cuda.shared.array(TILE, x.dtype)
    N, K = x.shape
    tx, ty = cuda.threadIdx.x, cuda.threadIdx.y
    k0, n0 = cuda.blockIdx.x * SIDE, cuda.blockIdx.y * SIDE
    if n0 + ty < N and k0 + tx < K:
        tile[ty, tx] = x[n0 + ty, k0 + tx]
    cuda.syncthreads()
    if k0 + ty < K and n0 + tx < N:
        y[k0 + ty, n0 + tx] = tile[tx, ty]

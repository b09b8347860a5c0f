"""Matrix product: tiles of both factors in shared memory.

Task        y = a b, y[m, n] = Σ_k a[m, k] b[k, n]. A thread an entry, alone, would read 2 K numbers
            from memory. A block of SIDE x SIDE threads needs the same SIDE rows of a and SIDE
            columns of b: it walks along k in steps of SIDE, and at each step brings a tile of a and
            one of b into shared memory, from which every number is used SIDE times.
Launch      matmul[(across, down), (SIDE, SIDE)](a, b, y): a block for each tile of y
Memory      thread (tx, ty) is responsible for y[m, n], m = blockIdx.y · SIDE + ty, n = blockIdx.x ·
            SIDE + tx. At step k it reads a[m, k + tx] and b[k + ty, n], or takes 0 beyond the
            edges; both are coalesced. A block reads each number that it needs once.
New         nothing: 04 to 07 together. Two waits a step: the tiles are complete before anyone uses
            them, and everyone has used them before they are overwritten.
Shapes      a (M, K), b (K, N)  →  y (M, N)
"""

from kernels.cuda.device import cuda

SIDE = 4
TILE = SIDE, SIDE


@cuda.jit
def matmul(a, b, y):
    near_a = cuda.shared.array(TILE, y.dtype)
    near_b = cuda.shared.array(TILE, y.dtype)
    M, N = y.shape
    K = a.shape[1]
    tx, ty, zero = cuda.threadIdx.x, cuda.threadIdx.y, y.dtype.type(0)
    n, m = cuda.blockIdx.x * SIDE + tx, cuda.blockIdx.y * SIDE + ty
    total = zero
    for k in range(0, K, SIDE):
        near_a[ty, tx] = a[m, k + tx] if m < M and k + tx < K else zero
        near_b[ty, tx] = b[k + ty, n] if k + ty < K and n < N else zero
        cuda.syncthreads()
        for i in range(SIDE):
            total += near_a[ty, i] * near_b[i, tx]
        cuda.syncthreads()
    if m < M and n < N:
        y[m, n] = total

"""Window: each result needs a few neighbors, and blocks need a few more at their edge.

Task        y[i] = w[0] x[i] + w[1] x[i-1] + ... + w[WIDTH-1] x[i-WIDTH+1], a causal filter: no
            position sees a later one. Before x[0] there is nothing, which counts as 0.
Launch      causal_filter[blocks, THREADS](x, w, y), the last block may reach beyond the end
Memory      a block needs THREADS + WIDTH - 1 numbers of x: its own, and WIDTH - 1 before them. It
            reads each of them once into shared memory: every thread its own, and the first WIDTH -
            1 threads one more. w is small and may be read by everyone.
New         a tile with an edge (halo). near[t + WIDTH - 1] is the number of thread t itself.
Shapes      x (N,), w (WIDTH,)  →  y (N,)
"""

from kernels.cuda.device import cuda

THREADS, WIDTH = 8, 3
NEAR = THREADS + WIDTH - 1


@cuda.jit
def causal_filter(x, w, y):
    near = cuda.shared.array(NEAR, x.dtype)
    t, zero = cuda.threadIdx.x, x.dtype.type(0)
    i = cuda.blockIdx.x * THREADS + t
    near[t + WIDTH - 1] = x[i] if i < x.size else zero
    if t < WIDTH - 1:
        before = i - (WIDTH - 1)
        near[t] = x[before] if before >= 0 else zero
    cuda.syncthreads()
    if i < y.size:
        total = zero
        for j in range(WIDTH):
            total += w[j] * near[t + WIDTH - 1 - j]
        y[i] = total

"""Grid: many blocks, and a number for each thread of all of them.

Task        w[i] = w[i] - lr dw[i], a step of gradient descent, in place: w holds its own result.
Launch      sgd_step[blocks, threads](w, dw, lr) with blocks · threads ≥ N; the last block may reach
            beyond the end
Memory      thread t of block b has b blocks before it, i = b · threads + t: it reads w[i] and dw[i]
            and writes w[i]
New         cuda.blockIdx.x is the number of the block, cuda.blockDim.x how many threads a block
            has. cuda.grid(1) computes i from them: use it once you know how.
Shapes      w (N,), dw (N,), lr a number  →  w (N,)
"""

from kernels.cuda.device import cuda


@cuda.jit
def sgd_step(w, dw, lr):
    i = cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x
    if i < w.size:
        w[i] -= lr * dw[i]

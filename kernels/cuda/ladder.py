"""The ladder of the matrix product: y = a b, from a thread an entry to the tensor cores.

A product of n x n matrices is 2 n³ flops, and could be done with 12 n² bytes read and written, n/6
flops a byte. How many flops a byte each rung really makes from memory decides its speed, until
the arithmetic itself is the limit: an H100 has 67 TFLOP/s in float32 and 3.35 TB/s, so 20 flops a
byte are needed from memory.

1 naive          a thread an entry. At each k, 8 bytes for 2 flops: ¼ flop a byte. Neighbors ask
                 for the same a and for b's side by side, and caches answer most of it.
2 shared tiles   a block of 16 x 16 threads keeps a tile of a and one of b in shared memory; each
                 number that was read serves 16 threads: 4 flops a byte of memory. But each
                 multiply-add still reads two numbers from shared memory: ¼ flop a byte there.
3 registers      products.py, what the backend uses: a thread has 8 x 8 results, a block 128 x 128.
                 32 flops a byte of memory, 2 a byte of shared memory.
4 tensor cores   tensor_cores.py: 32 threads multiply small matrices in one instruction, in TF32,
                 which keeps 10 of a float32's 23 bits after the point.

    python -m kernels.cuda.ladder [n]            times the rungs on n x n matrices (4096)
"""

import sys
from functools import partial

import numpy as np

from kernels.cuda.arrays import array, empty, numpy
from kernels.cuda.block import launch_grid
from kernels.cuda.ceilings import milliseconds
from kernels.cuda.device import SIMULATED, cuda
from kernels.cuda.products import product
from kernels.cuda.tensor_cores import tensor_core_product
from nanollm.errors import InputError

SIDE = 4 if SIMULATED else 16                    # a block has SIDE x SIDE threads
TILE = SIDE, SIDE


@cuda.jit
def _naive(a, b, y):                             # (M, K), (K, N) → (M, N)
    n, m = cuda.grid(2)
    if m < y.shape[0] and n < y.shape[1]:
        total = y.dtype.type(0)
        for k in range(a.shape[1]):
            total += a[m, k] * b[k, n]
        y[m, n] = total


@cuda.jit
def _shared_tiles(a, b, y):                      # (M, K), (K, N) → (M, N)
    near_a = cuda.shared.array(TILE, y.dtype)
    near_b = cuda.shared.array(TILE, y.dtype)
    n, m = cuda.grid(2)
    K = a.shape[1]
    row, column = cuda.threadIdx.y, cuda.threadIdx.x
    zero = y.dtype.type(0)
    total = zero
    for k in range(0, K, SIDE):
        near_a[row, column] = a[m, k + column] if m < y.shape[0] and k + column < K else zero
        near_b[row, column] = b[k + row, n] if k + row < K and n < y.shape[1] else zero
        cuda.syncthreads()                       # the tiles are complete
        for i in range(SIDE):
            total += near_a[row, i] * near_b[i, column]
        cuda.syncthreads()                       # all have read them
    if m < y.shape[0] and n < y.shape[1]:
        y[m, n] = total


def rung(kernel):
    """The product by a kernel that has a thread for each entry."""
    def run(a, b):
        M, N = a.shape[0], b.shape[1]
        y = empty((M, N), a.dtype)
        launch_grid(kernel, (-(-N // SIDE), -(-M // SIDE)), TILE, a, b, y)
        return y
    return run


RUNGS = {                                        # name → y (M, N) of a (M, K), b (K, N)
    "naive": rung(_naive),
    "shared tiles": rung(_shared_tiles),
    "registers": product,
    "tensor cores, TF32": tensor_core_product,
}


def main(n):
    r = np.random.default_rng(1)
    a, b = (r.standard_normal((n, n), np.float32) for _ in range(2))
    exact = a[:64].astype(np.float64) @ b        # enough rows to see an error
    a, b = array(a), array(b)
    for name, run in RUNGS.items():
        try:
            error = np.abs(numpy(run(a, b))[:64] - exact).max() / np.abs(exact).max()
        except InputError as problem:            # a GPU without such tensor cores
            print(f"{name:20} {problem}")
            continue
        line = f"{name:20} error {error:.0e}"
        if not SIMULATED:                        # whose time says nothing about a GPU
            ms = milliseconds(partial(run, a, b))
            line += f" {ms:9.3f} ms {2e-9 * n ** 3 / ms:7.2f} TFLOP/s"
        print(line)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 16 if SIMULATED else 4096)

"""The matrix product on tensor cores: a warp multiplies 16 x 8 by 8 x 8 in one instruction.

Tensor cores (from compute capability 8.0 on for float32) take matrices from the registers of a
warp's 32 threads: each holds a fragment of them, 4 numbers of a, 2 of b, 4 of the result. Which
numbers is the instruction's layout (PTX ISA, mma.m16n8k8 for .tf32): with g = lane // 4 and
q = lane % 4, thread `lane` holds

    a (16, 8)   a[g, q], a[g + 8, q], a[g, q + 4], a[g + 8, q + 4]
    b (8, 8)    b[q, g], b[q + 4, g]
    c (16, 8)   c[g, 2q], c[g, 2q + 1], c[g + 8, 2q], c[g + 8, 2q + 1]

The factors are rounded to TF32, 10 bits after the point, the sum is float32: an error of about
5e-4 a factor, which is why this is a rung of the ladder and not the product of the backend. One
instruction is 2048 flops, where a multiply-add of 32 threads is 64.

Memory is walked as in products.py: slabs of 8 along K, two of them in shared memory, while the
next is on its way. A block makes 128 x 128 results, its 8 warps 64 x 32 each, that is 4 x 4
instructions for 4 + 4 fragments. A row in shared memory has 8 numbers more than a tile, which puts
the 32 numbers of a fragment (q rows, g columns) in 32 different banks.

In the simulator the warp's matrices meet in shared memory, so that the layout is tested there.
"""

from functools import cache

import numpy as np

from kernels.cuda.arrays import empty, zeros
from kernels.cuda.block import launch_grid
from kernels.cuda.device import SIMULATED, cuda
from kernels.cuda.products import aligned, carrier
from kernels.cuda.vectors import aligned_shared, put_entries, several
from nanollm.errors import InputError

WARP = 32
SLAB = 8                                         # the instruction's K
DOWN, ACROSS = 2, 4                              # warps of a block
ROWS, COLUMNS = (2, 2) if SIMULATED else (4, 4)  # instructions of a warp for a slab
TILE = 16 * ROWS * DOWN                          # and 8 COLUMNS ACROSS: tiles are square
THREADS = WARP * DOWN * ACROSS
NEEDS = 8, 0                                     # compute capability
FLOAT32 = np.dtype(np.float32)

if SIMULATED:
    WARPS_A, WARPS_B = (DOWN * ACROSS, 16, SLAB), (DOWN * ACROSS, SLAB, 8)

    def tf32(x):
        """x with 10 bits after the point, the nearest (of two, the larger)."""
        bits = np.float32(x).view(np.uint32)
        return np.uint32((int(bits) + 0x1000) & 0xffffe000).view(np.float32)

    @cuda.jit(device=True)
    def multiply_one(c, a, b):
        """c + a b, all as fragments."""
        near_a = cuda.shared.array(WARPS_A, np.float32)
        near_b = cuda.shared.array(WARPS_B, np.float32)
        warp, lane = cuda.threadIdx.x // WARP, cuda.threadIdx.x % WARP
        g, q = lane // 4, lane % 4
        for i in range(4):
            near_a[warp, g + i % 2 * 8, q + i // 2 * 4] = a[i]
        for i in range(2):
            near_b[warp, q + i * 4, g] = b[i]
        cuda.syncthreads()
        y = near_a[warp] @ near_b[warp]
        cuda.syncthreads()
        return tuple(c[i] + y[g + i // 2 * 8, 2 * q + i % 2] for i in range(4))

    def multiply_add(c, a, b):
        """c_ij + a_i b_j for tuples of fragments."""
        return tuple(tuple(multiply_one(c_ij, a_i, b_j) for c_ij, b_j in zip(row, b))
                     for row, a_i in zip(c, a))

else:
    from llvmlite import ir
    from numba import types
    from numba.core import cgutils
    from numba.cuda.extending import intrinsic

    WORD, NUMBER = ir.IntType(32), ir.FloatType()

    @intrinsic
    def tf32(typing, x):
        def write(context, builder, sig, args):
            form = ir.FunctionType(WORD, [NUMBER])
            word = builder.asm(form, "cvt.rna.tf32.f32 $0, $1;", "=r,f", args, False)
            return builder.bitcast(word, NUMBER)
        return types.float32(types.float32), write

    def multiply_one(builder, c, a, b):
        """The instruction; c, a and b are fragments."""
        c, a, b = (cgutils.unpack_tuple(builder, x) for x in (c, a, b))
        form = ir.FunctionType(ir.LiteralStructType([NUMBER] * 4), [WORD] * 6 + [NUMBER] * 4)
        y = builder.asm(form, "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 "
                        "{$0, $1, $2, $3}, {$4, $5, $6, $7}, {$8, $9}, {$10, $11, $12, $13};",
                        "=f,=f,=f,=f,r,r,r,r,r,r,f,f,f,f",
                        [builder.bitcast(x, WORD) for x in a + b] + c, True)
        return cgutils.unpack_tuple(builder, y)

    @intrinsic
    def multiply_add(typing, c, a, b):
        def write(context, builder, sig, args):
            rows, a_fragments, b_fragments = (cgutils.unpack_tuple(builder, x) for x in args)
            return context.make_tuple(builder, c, [context.make_tuple(builder, c[0], [
                context.make_tuple(builder, c[0][0], multiply_one(builder, c_ij, a_i, b_j))
                for c_ij, b_j in zip(cgutils.unpack_tuple(builder, row), b_fragments)])
                for row, a_i in zip(rows, a_fragments)])
        return c(c, a, b), write


@cuda.jit(device=True)
def fragment_of_a(slabs, k, m):
    """From a slab of a, (K, M): the fragment for the thread that begins at a[m, k]."""
    return (tf32(slabs[k, m]), tf32(slabs[k, m + 8]),
            tf32(slabs[k + 4, m]), tf32(slabs[k + 4, m + 8]))


@cuda.jit(device=True)
def fragment_of_b(slabs, k, n):
    return tf32(slabs[k, n]), tf32(slabs[k + 4, n])


@cache
def by_warps(vectors):
    """The kernel; `vectors` says whether a and b can be read in vectors."""
    fetch_a, put_a = carrier(FLOAT32, TILE, SLAB, False, vectors)
    fetch_b, put_b = carrier(FLOAT32, TILE, SLAB, True, vectors)
    fragments_of_a = several(fragment_of_a, ROWS, 16)
    fragments_of_b = several(fragment_of_b, COLUMNS, 8)
    shared = aligned_shared((4 * SLAB, TILE + 8), FLOAT32)
    ZEROS = (((FLOAT32.type(0),) * 4,) * COLUMNS,) * ROWS

    @cuda.jit
    def kernel(a, b, y):                         # (M, K), (K, N) → (M, N)
        slabs = shared()                         # a, b, and a, b of the next slab
        K, across = a.shape[1], (y.shape[1] + TILE - 1) // TILE
        m0, n0 = cuda.blockIdx.x // across * TILE, cuda.blockIdx.x % across * TILE
        warp, lane = cuda.threadIdx.x // WARP, cuda.threadIdx.x % WARP
        g, q = lane // 4, lane % 4
        row, column = warp // ACROSS * (16 * ROWS), warp % ACROSS * (8 * COLUMNS)
        c, at, k = ZEROS, 0, 0
        next_a, next_b = fetch_a(a, 0, a.shape[0], m0, k), fetch_b(b, 0, K, n0, k)
        while k < K:
            put_a(slabs, at, next_a)
            put_b(slabs, at + SLAB, next_b)
            cuda.syncthreads()                   # all have also left the slab before this one
            k += SLAB
            next_a, next_b = fetch_a(a, 0, a.shape[0], m0, k), fetch_b(b, 0, K, n0, k)
            c = multiply_add(c, fragments_of_a(slabs, at + q, row + g),
                             fragments_of_b(slabs, at + SLAB + q, column + g))
            at = 2 * SLAB - at
        for i in range(ROWS):
            for j in range(COLUMNS):
                m, n = m0 + row + 16 * i + g, n0 + column + 8 * j + 2 * q
                if m < y.shape[0]:
                    put_entries(y, m, n, c[i][j][:2])
                if m + 8 < y.shape[0]:
                    put_entries(y, m + 8, n, c[i][j][2:])

    kernel.needs = NEEDS
    return kernel


def tensor_core_product(a, b):
    """y (M, N) = a (M, K) b (K, N) in float32, its factors rounded to TF32."""
    if a.dtype != FLOAT32 or b.dtype != FLOAT32:
        raise InputError(f"tensor cores: {a.dtype} times {b.dtype}; they are used for float32 here")
    if not SIMULATED and cuda.get_current_device().compute_capability < NEEDS:
        raise InputError("tensor cores: TF32 needs a GPU of compute capability 8.0 or later; "
                         "products.product serves every GPU")
    (M, K), N = a.shape, b.shape[1]
    if K == 0:
        return zeros((M, N), FLOAT32)
    y = empty((M, N), FLOAT32)
    launch_grid(by_warps(aligned(a) and aligned(b)), -(-M // TILE) * -(-N // TILE), THREADS,
                a, b, y)
    return y

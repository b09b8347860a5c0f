"""The matrix product on the GPU: each thread has 64 results in registers.

A product of n x n matrices is 2 n³ flops over 12 n² bytes, but only if what was read is used often
while it is near. The ladder (kernels/cuda/ladder.py) climbs there; this is its top rung but one.

Memory → shared memory: a block makes a tile of 128 x 128 results. It walks along K in slabs of 8
and holds two, one being multiplied, one being written; its 256 threads fetch the slab after that
into registers, 16 bytes each, while they multiply. A tile costs (128 + 128) 4 bytes for 2 · 128²
flops at each k: 32 flops a byte, and where an H100 makes 20 before memory is the limit, it is met.
Shared memory → registers: a thread has 8 x 8 results. At each k it reads 8 + 8 numbers, in four
loads of 16 bytes, for 64 multiply-adds: 2 flops a byte, where one result a thread has ¼; and who
reads the same number as a neighbor is served with it. Its 8 columns are two groups of 4, half a
tile apart, so that neighbors read neighboring 16 bytes.
Registers: at most 126 of them a thread where all rows are whole vectors (float32, sm_80 and sm_90,
one batch axis or none), so two blocks share a multiprocessor; up to 139, and one block, where y's
are not and a is turned. Of 80 instructions in the innermost loop 64 are multiply-adds.

Vectors of 16 bytes need rows of whole vectors. With a vocabulary of 50,257 those of the head and of
its scores are not, those of x and of dx are: so each of a, b and y has its own kind of access, and
what is odd goes number by number at no price for the others.

In shared memory both slabs are (K, 128), each row for one k. So a matrix that is given turned
needs no transposition: whether its rows run along K decides how it is carried there, and one
kernel serves y = x w, dx = dy wᵀ and dw = xᵀ dy. What lies beyond a matrix is read as 0.

Two kinds of shapes need another shape of work:
- few tiles, but long sums (dw: K is all tokens): K is cut into P parts, for each its own blocks
  with results in a table (P, M, N), which is added up in order. P weighs full rounds of blocks
  against the cost of the table. Sums have the same bits in each run on the same GPU.
- few rows (decoding): nothing is used twice, so w is read once, as fast as memory gives it: 16
  columns a block, whose 256 threads take a sixteenth of K each, and one launch.
"""

import math
from functools import cache

import numpy as np

from kernels.cuda.arrays import INTERFACE, empty, zeros
from kernels.cuda.block import as_rows, launch_grid
from kernels.cuda.broadcast import fold, place
from kernels.cuda.device import SIMULATED, cuda
from kernels.cuda.shape import sum_axis
from kernels.cuda.vectors import BYTES, add_outer, aligned_shared, entry, load
from kernels.cuda.vectors import put_entries, several, store, width
from nanollm.errors import InputError

SIDE = 4 if SIMULATED else 16                    # a block has SIDE x SIDE threads
SLAB = SIDE // 2                                 # a slab's k: each thread fetches one vector of it
FEW = SIDE // 2                                  # rows for which nothing is worth keeping near
BLOCKS = 2                                       # that share a multiprocessor
SHORTEST = 32 * SLAB                             # part of K that is worth a block of its own
TABLE = 8 * SLAB                                 # what a table costs a block, in steps along K


def carrier(dtype, tile, slab, straight, aligned):
    """(fetch, put): a thread's vector of a slab, from memory to a register to shared memory.

    `straight` is a matrix (K, ...), whose rows are what the slab wants; else it is (..., K).
    """
    WIDTH, entries = width(dtype), several(entry, width(dtype))
    ACROSS = (tile if straight else slab) // WIDTH       # vectors in a row of what is fetched
    NOTHING = (dtype.type(0),) * WIDTH

    @cuda.jit(device=True)
    def fetch(x, top, bottom, outer, k):
        """From the matrix in the rows top ... bottom of x."""
        t = cuda.threadIdx.x
        i = t // ACROSS + (k if straight else outer) + top
        j = t % ACROSS * WIDTH + (outer if straight else k)
        if i >= bottom or j >= x.shape[1]:
            return NOTHING
        return load(x, i, j) if aligned else entries(x, i, j)

    @cuda.jit(device=True)
    def put(slabs, at, values):
        """To the slab that begins in row `at`."""
        t = cuda.threadIdx.x
        i, j = t // ACROSS, t % ACROSS * WIDTH
        if straight:
            store(slabs, at + i, j, values)
        else:
            for n in range(WIDTH):
                slabs[at + j + n, i] = values[n]

    return fetch, put


@cache
def by_tiles(dtype, a_turned, b_turned, a_aligned, b_aligned, y_aligned):
    """The kernel for a block of SIDE x SIDE threads, each with 8 x 8 results (4 x 4 in float64)."""
    WIDTH, entries = width(dtype), several(entry, width(dtype))
    HALF = SIDE * WIDTH
    TILE, RESULTS, NEXT = 2 * HALF, 2 * WIDTH, 2 * SLAB
    ZEROS = ((dtype.type(0),) * RESULTS,) * RESULTS
    ONES = (dtype.type(1),) * RESULTS
    shared = aligned_shared((2 * NEXT, TILE + WIDTH), dtype)     # the odd vector: fewer conflicts
    fetch_a, put_a = carrier(dtype, TILE, SLAB, a_turned, a_aligned)
    fetch_b, put_b = carrier(dtype, TILE, SLAB, not b_turned, b_aligned)

    @cuda.jit(device=True)
    def put_result(y, i, j, values):
        if y_aligned:
            if j < y.shape[1]:
                store(y, i, j, values)
        else:
            put_entries(y, i, j, values)

    @cuda.jit
    def kernel(a, b, bias, y, sizes, matrices, a_steps, b_steps):
        slabs = shared()                         # a, b, and a, b of the next slab
        M, N, K, P = sizes
        down, across = (M + TILE - 1) // TILE, (N + TILE - 1) // TILE
        tile, rest = cuda.blockIdx.x % (down * across), cuda.blockIdx.x // (down * across)
        part, z = rest % P, rest // P            # which part of K of which product of the batch
        if down < across:                        # those that run together read the same columns
            m0, n0 = tile % down * TILE, tile // down * TILE
        else:
            m0, n0 = tile // across * TILE, tile % across * TILE
        a_top, b_top = place(z, matrices, a_steps), place(z, matrices, b_steps)
        a_rows, b_rows = K if a_turned else M, N if b_turned else K
        a_top, b_top = a_top * a_rows, b_top * b_rows
        length = (K + SLAB * P - 1) // (SLAB * P) * SLAB
        row, column = cuda.threadIdx.x // SIDE * WIDTH, cuda.threadIdx.x % SIDE * WIDTH

        c = ZEROS
        if part < bias.shape[0]:                 # it has a row, or none: part 0 adds it
            c = add_outer(c, ONES, entries(bias, part, n0 + column)
                          + entries(bias, part, n0 + column + HALF))
        at, k, end = 0, part * length, min(K, (part + 1) * length)
        next_a = fetch_a(a, a_top, a_top + a_rows, m0, k)
        next_b = fetch_b(b, b_top, b_top + b_rows, n0, k)
        while k < end:
            put_a(slabs, at, next_a)
            put_b(slabs, at + SLAB, next_b)
            cuda.syncthreads()                   # all have also left the slab before this one
            k += SLAB
            next_a = fetch_a(a, a_top, a_top + a_rows, m0, k)
            next_b = fetch_b(b, b_top, b_top + b_rows, n0, k)
            for i in range(at, at + SLAB):
                c = add_outer(c, load(slabs, i, row) + load(slabs, i, row + HALF),
                              load(slabs, i + SLAB, column) + load(slabs, i + SLAB, column + HALF))
            at = NEXT - at

        top = (part * (cuda.gridDim.x // (down * across * P)) + z) * M
        for i in range(RESULTS):
            m = m0 + row + i % WIDTH + i // WIDTH * HALF
            if m < M:
                put_result(y, top + m, n0 + column, c[i][:WIDTH])
                put_result(y, top + m, n0 + column + HALF, c[i][WIDTH:])

    return kernel


@cache
def by_few_rows(dtype, M, b_turned):
    """The kernel for M rows: SIDE columns a block, a share of K for each of its threads."""
    SHAPE = M, SIDE, SIDE

    @cuda.jit
    def kernel(a, b, bias, y, matrices, a_steps, b_steps):
        sums = cuda.shared.array(SHAPE, dtype)   # [row, share of K, column]
        N, K, t = y.shape[1], a.shape[1], cuda.threadIdx.x
        groups = (N + SIDE - 1) // SIDE
        z, n0 = cuda.blockIdx.x // groups, cuda.blockIdx.x % groups * SIDE
        a_top, b_top = place(z, matrices, a_steps) * M, place(z, matrices, b_steps)
        column, share = (t // SIDE, t % SIDE) if b_turned else (t % SIDE, t // SIDE)
        n = n0 + column
        totals = cuda.local.array(M, dtype)
        for m in range(M):
            totals[m] = dtype.type(0)
        if n < N:
            for k in range(share, K, SIDE):
                weight = b[b_top * N + n, k] if b_turned else b[b_top * K + k, n]
                for m in range(M):
                    totals[m] += a[a_top + m, k] * weight
        for m in range(M):
            sums[m, share, column] = totals[m]
        cuda.syncthreads()
        m, column = t // SIDE, t % SIDE
        n = n0 + column
        if m < M and n < N:
            total = bias[0, n] if bias.shape[0] else dtype.type(0)
            for i in range(SIDE):
                total += sums[m, i, column]
            y[z * M + m, n] = total

    return kernel


def product(a, b, bias=None, *, a_turned=False, b_turned=False):
    """a b + bias, for each matrix of the batch: a (..., M, K), b (..., K, N), bias (N,).

    `a_turned`: a is given as aᵀ (..., K, M). `b_turned`: b is given as bᵀ (..., N, K).
    """
    if a.dtype != b.dtype:
        raise InputError(f"matrix product: {a.dtype} times {b.dtype}; backend cuda wants one type "
                         "(convert one of them with astype)")
    K, M = a.shape[-2:] if a_turned else reversed(a.shape[-2:])
    N = b.shape[b.ndim - 2 if b_turned else b.ndim - 1]
    lead = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    shape, Z = (*lead, M, N), math.prod(lead)
    if K == 0 and bias is None:
        return zeros(shape, a.dtype)
    if M * N * Z == 0:
        return empty(shape, a.dtype)
    bias = none(a.dtype) if bias is None else bias.reshape(1, N)
    batch = fold(lead, a.shape[:-2], b.shape[:-2])
    if M <= FEW and not a_turned:
        y = empty(shape, a.dtype)
        launch_grid(by_few_rows(a.dtype, M, b_turned), Z * -(-N // SIDE), SIDE * SIDE,
                    matrix(a), matrix(b), bias, matrix(y), *batch)
        return y
    tile = 2 * SIDE * width(a.dtype)
    tiles = -(-M // tile) * -(-N // tile) * Z
    P = parts(tiles, K)
    y = empty((P, *shape), a.dtype) if P > 1 else empty(shape, a.dtype)
    kernel = by_tiles(a.dtype, a_turned, b_turned, aligned(a), aligned(b), aligned(y))
    launch_grid(kernel, tiles * P, SIDE * SIDE, matrix(a), matrix(b), bias, matrix(y),
                (M, N, K, P), *batch)
    return sum_axis(y, 0).reshape(shape) if P > 1 else y


def matrix(x):
    """The matrices of x, one below the other; a view."""
    return x if x.ndim == 2 else as_rows(x)


def aligned(x):
    """Can all of x be read in vectors?"""
    return (x.shape[x.ndim - 1] % width(x.dtype) == 0
            and getattr(x, INTERFACE)["data"][0] % BYTES == 0)


@cache
def none(dtype):
    """The bias (0, N) that is not there."""
    return cuda.device_array((0, 1), dtype)


@cache
def parts(tiles, K):
    """Into how many parts K is best cut for so many tiles."""
    together = BLOCKS * multiprocessors()

    def steps(P):
        """How long it takes: rounds of blocks, times what each does."""
        return -(-tiles * P // together) * (K / P + (TABLE if P > 1 else 0))

    return min(range(1, max(1, min(64, K // SHORTEST)) + 1), key=steps)


@cache
def multiprocessors():
    return 2 if SIMULATED else cuda.get_current_device().MULTIPROCESSOR_COUNT

"""What the attention kernels share: tiles in shared memory, and the two products between them.

A block has a near tile, rows of q (or of k) of one head that it keeps, and walks along the far
ones, rows of k and v (or of q and dy). Two products alternate:

products    c (FAR, NEAR) = far · nearᵀ           the scores, a sum over the D columns
weigh       y (NEAR, D) += weightsᵀ · far         the mean of v, a sum over the FAR rows

The results of both stay in registers, as tuples (registers.py): of c a thread has the rows
tx, tx + ACROSS, ... and the columns ty, ty + DOWN, ...; of y it has R rows side by side, and of
their columns a vector, ACROSS vectors further another one, and so on. Between them c becomes
weights, in shared memory, where each thread finds a whole column of it: so the softmax of a query
is the work of one thread.

Operations per byte, D = 64 in float32, R = 8, C = 4: for 4 steps of the scores' sum a thread reads
8 + 4 vectors of 16 bytes for 128 multiply-adds, for 4 of the mean's 8 + 8 vectors for 256: 1⅓ and
2 flops a byte of shared memory. From memory come 2 FAR rows for 4 · NEAR · FAR · D flops: 32 flops
a byte, more than an H100 needs (ladder.py). So arithmetic and shared memory are the limit.

Rows in shared memory are longer than they need by a vector. The 8 rows that neighbors read at the
same column then begin in different banks, and so do the numbers that they put into c.
"""

from functools import cache

from kernels.cuda.broadcast import place
from kernels.cuda.device import SIMULATED, cuda
from kernels.cuda.registers import add_inner, below, beside, device, putter, row_of, scale_rows
from kernels.cuda.vectors import add_outer, aligned_shared, load, store, width
from nanollm.errors import InputError

DOWN, ACROSS = (2, 2) if SIMULATED else (8, 8)   # threads of a block
THREADS = DOWN * ACROSS
SHARED = 48 * 1024                               # bytes of shared memory that every GPU has
REGISTERS = 64                                   # of a thread that results may take
SHAPES = ((2, 6),) if SIMULATED else ((8, 4), (4, 4), (4, 2), (2, 2), (2, 1), (1, 1))   # R, C


def shared_weights(shape, dtype):
    """A device function that returns more shared memory (the simulator knows it by its line)."""
    if not SIMULATED:
        return aligned_shared(shape, dtype)

    def memory(): return cuda.shared.array(shape, dtype)
    return memory


def padded(D, dtype):
    """D rounded up to whole vectors for all threads of a row."""
    step = ACROSS * width(dtype)
    return -(-D // step) * step


@cache
def shape(dtype, D, near, far, weights, results):
    """(R, C) for so many near, far and weight tiles and results, or None if no tile is so small."""
    wide, WIDTH = padded(D, dtype), width(dtype)
    fitting = [(R, C) for R, C in SHAPES if SHARED >= dtype.itemsize * (
        (near * DOWN * R + far * ACROSS * C) * (wide + WIDTH)
        + weights * (ACROSS * C + 1) * (DOWN * R + WIDTH))]
    light = [(R, C) for R, C in fitting
             if results * R * wide // ACROSS * dtype.itemsize <= 4 * REGISTERS]
    return (light or fitting[-1:] or [None])[0]


FORWARD, BACKWARD = (1, 2, 1, 1), (2, 2, 2, 2)   # near, far and weight tiles, results


def expect_room(dtype, D):
    """Raise InputError if a head is too wide for shared memory."""
    if shape(dtype, D, *BACKWARD) is None:
        widest = max(d for d in range(1, D) if shape(dtype, d, *BACKWARD))
        raise InputError(f"attention: a head of {D} columns in {dtype}; backend cuda keeps rows of "
                         f"a head in shared memory, which takes up to {widest} (use more heads)")


def spaced(one, count):
    """A device function: the tuple one(..., e), one(..., e + THREADS), ..., `count` of them."""
    if count == 1:
        def results(x, top, rows, first, e): return (one(x, top, rows, first, e),)
    else:
        half, rest, far = spaced(one, count // 2), spaced(one, count - count // 2), count // 2

        def results(x, top, rows, first, e):
            return half(x, top, rows, first, e) + rest(x, top, rows, first, e + far * THREADS)
    return device(results)


@cache
def fetcher(dtype, D, aligned, ROWS):
    """fetch(x, top, rows, first, tile): the columns first:first + D of x, from row `top` on, into
    a tile of ROWS rows, and zeros where D or `rows` end. `aligned`: x can be read in vectors."""
    WIDTH, ZERO = width(dtype), dtype.type(0)
    VECTORS, NOTHING = padded(D, dtype) // WIDTH, (ZERO,) * WIDTH
    COUNT = ROWS * VECTORS // THREADS            # a thread's vectors: all of them are asked for,
    TOGETHER = next(n for n in range(8, 0, -1) if COUNT % n == 0)    # so many, before one is stored

    @device
    def vector(x, top, rows, first, e):
        i, j = e // VECTORS, e % VECTORS * WIDTH
        values = load(x, top + min(i, rows - 1), first + min(j, D - WIDTH))
        return values if i < rows and j < D else NOTHING

    vectors = spaced(vector, TOGETHER)

    @device
    def fetch(x, top, rows, first, tile):
        for begin in range(0, COUNT, TOGETHER):
            e = cuda.threadIdx.x + begin * THREADS
            values = vectors(x, top, rows, first, e)
            for n in range(TOGETHER):
                at = e + n * THREADS
                store(tile, at // VECTORS, at % VECTORS * WIDTH, values[n])

    @device
    def fetch_entries(x, top, rows, first, tile):
        for e in range(cuda.threadIdx.x, ROWS * VECTORS * WIDTH, THREADS):
            i, j = e // (VECTORS * WIDTH), e % (VECTORS * WIDTH)
            tile[i, j] = x[top + i, first + j] if i < rows and j < D else ZERO

    return fetch if aligned else fetch_entries


@cache
def saver(dtype, D, aligned):
    """save(tile, x, top, rows, first): fetch's way back, for as many rows as the tile has."""
    WIDTH = width(dtype)
    VECTORS = padded(D, dtype) // WIDTH

    @device
    def save(tile, x, top, rows, first):
        for e in range(cuda.threadIdx.x, min(tile.shape[0], rows) * VECTORS, THREADS):
            i, j = e // VECTORS, e % VECTORS * WIDTH
            if j < D:
                store(x, top + i, first + j, load(tile, i, j))

    @device
    def save_entries(tile, x, top, rows, first):
        for e in range(cuda.threadIdx.x, min(tile.shape[0], rows) * D, THREADS):
            x[top + e // D, first + e % D] = tile[e // D, e % D]

    return save if aligned else save_entries


@cache
def multipliers(dtype, D, R, C):
    """(products, weigh, rescale, put_c, put_y), for c, y and tiles as in this file's docstring."""
    WIDE, WIDTH = padded(D, dtype), width(dtype)
    ZEROS = ((dtype.type(0),) * R,) * C
    FAR, STEP = ACROSS * C, ACROSS * WIDTH
    near_rows, far_rows = below(load, R, DOWN), below(load, C, ACROSS)
    weights_of, row_part = row_of(R, dtype), beside(load, WIDE // STEP, STEP)
    write_c, write_y = putter(ACROSS, DOWN, 1), putter(1, STEP, WIDTH)

    @device
    def products(far, near):                     # (FAR, D), (NEAR, D) → a thread's part of c
        tx, ty, c = cuda.threadIdx.x % ACROSS, cuda.threadIdx.x // ACROSS, ZEROS
        for d in range(0, WIDE, WIDTH):
            c = add_inner(c, far_rows(far, tx, d), near_rows(near, ty, d))
        return c

    @device
    def weigh(y, weights, far):                  # weights (FAR, NEAR), far (FAR, D)
        tx, ty = cuda.threadIdx.x % ACROSS, cuda.threadIdx.x // ACROSS
        for i in range(FAR):
            y = add_outer(y, weights_of(weights, i, ty * R), row_part(far, i, tx * WIDTH))
        return y

    @device
    def rescale(y, weights):                     # by the factors (NEAR,) below the weights
        return scale_rows(y, weights_of(weights, FAR, cuda.threadIdx.x // ACROSS * R))

    @device
    def put_c(tile, c):                          # (FAR, NEAR)
        write_c(tile, cuda.threadIdx.x % ACROSS, cuda.threadIdx.x // ACROSS, c)

    @device
    def put_y(tile, y):                          # (NEAR, D)
        write_y(tile, cuda.threadIdx.x // ACROSS * R, cuda.threadIdx.x % ACROSS * WIDTH, y)

    return products, weigh, rescale, put_c, put_y


@device
def keys_seen(t, sizes):
    """Query t may look at this many of the first keys, if the mask allows."""
    T, S, _, causal = sizes
    if t >= T:
        return 0
    return min(S, t + 1 + S - T) if causal else S


@device
def allowed(mask, z, t, s, steps):
    """Does the mask, if there is one, let query t of sequence z look at key s?"""
    sizes, moves, matrix, t_step, s_step = steps
    if matrix == 0:
        return True
    return mask[place(z, sizes, moves) * matrix + t * t_step + s * s_step]

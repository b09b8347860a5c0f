"""Shape ops on the GPU: what moves numbers, and sums in which no thread waits for another.

The mathematics is in nanollm/ops/shape.py. Arrays of this backend are C-contiguous, so reshape is a
view, and the others copy: transpose, concat and split have a thread for each entry of the result.

A matrix that is transposed so would be written along its rows but read down its columns, each
number in another piece of memory, of which the rest is thrown away. So where the last two axes
change places a block takes a tile, TILE rows and columns: it reads the rows into shared memory,
waits, and writes the columns as rows. (The tile has a column too many: without it, a column's
numbers would all lie in the same of the 32 banks of shared memory and come one after another.)
Axes that stay side by side are first folded into one, as in broadcast.py.

An axis is summed with what lies before it folded into A and what lies behind it into B: x (A, K, B)
becomes (A, K / TERMS, B), each thread adding up to TERMS numbers, and so on until one is left. The
order of additions is always the same. The numbers that neighbors read stand side by side: for
B = 1, thread p reads x[p], x[p + P], ... of P threads. A mean is a sum with its factor 1/n put in
by the first pass. Backward is one write of dx.
"""

import builtins
import math

from kernels.cuda.arrays import empty
from kernels.cuda.block import THREADS, by_entry, flat, launch
from kernels.cuda.broadcast import fold, merge, place
from kernels.cuda.device import SIMULATED, cuda
from nanollm.ops.shape import check_concat, check_reshape, check_split, check_transpose

TERMS = 64
TILE = 4 if SIMULATED else 32                    # THREADS threads move it, a few rows at a time
WIDE = TILE + 1                                  # numbers from one row of a tile to the next


@cuda.jit
def _move(x, y, sizes, steps):                   # flat; x's steps along the axes of y
    i = cuda.grid(1)
    if i < y.size:
        y[i] = x[place(i, sizes, steps)]


@cuda.jit
def _swap(x, y):                                 # (A, M, N) → (A, N, M), a block a tile
    tile = cuda.shared.array((TILE, WIDE), x.dtype)
    A, M, N = x.shape
    across, down = (N + TILE - 1) // TILE, (M + TILE - 1) // TILE
    b, column, row = cuda.blockIdx.x, cuda.threadIdx.x % TILE, cuda.threadIdx.x // TILE
    a, m, n = b // (across * down), b // across % down * TILE, b % across * TILE
    for i in range(row, TILE, THREADS // TILE):
        if m + i < M and n + column < N:
            tile[i, column] = x[a, m + i, n + column]
    cuda.syncthreads()
    for i in range(row, TILE, THREADS // TILE):
        if n + i < N and m + column < M:
            y[a, n + i, m + column] = tile[column, i]


@cuda.jit
def _copy(x, x_first, y, y_first, width):        # columns of x (A, K) into those of y (A, L)
    i = cuda.grid(1)
    if i < x.shape[0] * width:
        a, k = i // width, i % width
        y[a, y_first + k] = x[a, x_first + k]


def reshape(x, *, shape):
    return x.reshape(check_reshape(x, shape)), (x.shape,)


def reshape_backward(dy, saved):
    (shape,) = saved
    return (dy.reshape(tuple(shape)),)


def transpose(x, *, axes):
    axes = check_transpose(x, axes)
    shape = tuple(x.shape[a] for a in axes)
    moves = [math.prod(x.shape[a + 1:]) for a in axes]          # in x, for a step along y's axes
    sizes, steps = merge(shape, moves)
    if len(sizes) == 1 or x.size == 0:
        return x.reshape(shape), (axes,)                        # the same order in memory
    y = empty(shape, x.dtype)
    N, M = sizes[-2:]
    if steps[-2:] == (1, N) and len(sizes) < 4 and (len(sizes) == 2 or steps[0] == M * N):
        A = x.size // (M * N)
        tiles = A * -(-M // TILE) * -(-N // TILE)
        launch(_swap, tiles, x.reshape(A, M, N), y.reshape(A, N, M))
    else:
        by_entry(_move, y.size, flat(x), flat(y), sizes, steps)
    return y, (axes,)


def transpose_backward(dy, saved):
    (axes,) = saved
    dx, _ = transpose(dy, axes=sorted(range(len(axes)), key=axes.__getitem__))
    return (dx,)


def columns(x, axis):
    """(..., K, ...) → (A, K · B): what lies along `axis` and behind it in one row."""
    return x.reshape(math.prod(x.shape[:axis]), math.prod(x.shape[axis:]))


def join(xs, axis):
    """The arrays side by side along `axis`."""
    shape = list(xs[0].shape)
    shape[axis] = builtins.sum(x.shape[axis] for x in xs)
    y, first = empty(shape, xs[0].dtype), 0
    for x in xs:
        part = columns(x, axis)
        by_entry(_copy, x.size, part, 0, columns(y, axis), first, part.shape[1])
        first += part.shape[1]
    return y


def cut(x, sizes, axis):
    """x in pieces of these sizes along `axis`."""
    first, pieces = 0, []
    for size in sizes:
        y = empty((*x.shape[:axis], size, *x.shape[axis + 1:]), x.dtype)
        part = columns(y, axis)
        by_entry(_copy, y.size, columns(x, axis), first, part, 0, part.shape[1])
        first += part.shape[1]
        pieces.append(y)
    return tuple(pieces)


def concat(*xs, axis=-1):
    axis = check_concat(xs, axis)
    return join(xs, axis), (axis, [x.shape[axis] for x in xs])


def concat_backward(dy, saved):
    axis, sizes = saved
    return cut(dy, sizes, axis)


def split(x, *, parts, axis=-1):
    axis = check_split(x, parts, axis)
    return cut(x, [x.shape[axis] // parts] * parts, axis), (axis,)


def split_backward(dy, saved):
    (axis,) = saved
    return (join(dy, axis),)


@cuda.jit
def _add_up(x, factor, y):                       # (A, K, B) → (A, P, B)
    i = cuda.grid(1)
    P, B = y.shape[1], y.shape[2]
    if i < y.size:
        a, p, b = i // (P * B), i // B % P, i % B
        total = x.dtype.type(0)
        for k in range(p, x.shape[1], P):
            total += x[a, k, b]
        y[a, p, b] = factor * total


@cuda.jit
def _spread(dy, factor, dx, sizes, steps):       # any shape → any shape, flat
    i = cuda.grid(1)
    if i < dx.size:
        dx[i] = factor * dy[place(i, sizes, steps)]


def groups(K):
    """How many threads share K terms."""
    return max(1, -(-K // TERMS))


def sum_axis(x, axis, factor=1):
    """factor Σ x along one axis, which is kept with size 1."""
    before, K, behind = x.shape[:axis], x.shape[axis], x.shape[axis + 1:]
    A, B = math.prod(before), math.prod(behind)
    x = x.reshape(A, K, B)
    while True:
        P = groups(K)
        y = empty((A, P, B), x.dtype)
        by_entry(_add_up, y.size, x, x.dtype.type(factor), y)
        if P == 1:
            return y.reshape(*before, 1, *behind)
        x, K, factor = y, P, 1


def sum_axes(x, axes, factor=1):
    """factor Σ x along several axes, which are kept with size 1."""
    for axis in axes:
        if x.shape[axis] != 1:
            x, factor = sum_axis(x, axis, factor), 1
    return x


def which(axis, ndim):
    """The axes that `axis` (None, a number or several) means, as numbers from 0 up."""
    if axis is None:
        return range(ndim)
    return sorted(a % ndim for a in (axis if isinstance(axis, tuple) else (axis,)))


def reduce(x, axis, keepdims, factor):
    axes = which(axis, x.ndim)
    y = sum_axes(x, axes, factor)
    kept = tuple(y.shape)
    if not keepdims:
        y = y.reshape(tuple(n for i, n in enumerate(kept) if i not in axes))
    return y, (x.shape, kept)


def spread(dy, saved, factor):
    shape, kept = saved
    dx = empty(shape, dy.dtype)
    sizes, steps = fold(shape, kept)
    by_entry(_spread, dx.size, flat(dy), dy.dtype.type(factor), flat(dx), sizes, steps)
    return (dx,)


def sum(x, *, axis=None, keepdims=False):
    return reduce(x, axis, keepdims, 1)


def sum_backward(dy, saved):
    return spread(dy, saved, 1)


def mean(x, *, axis=None, keepdims=False):
    n = math.prod(x.shape[a] for a in which(axis, x.ndim))
    y, saved = reduce(x, axis, keepdims, 1 / n if n else math.nan)
    return y, (n, saved)


def mean_backward(dy, saved):
    n, saved = saved
    return spread(dy, saved, 1 / n if n else math.nan)

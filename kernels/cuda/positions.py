"""Positions on the GPU: the rows from `start` on are a view of w, added like a bias.

The mathematics is in nanollm/ops/positions.py. Backward is one launch: a thread for each entry of
dw adds up its column over the sequences, neighbors reading neighbors, or writes 0 where the row
was not asked for.
"""

from kernels.cuda.arrays import empty
from kernels.cuda.block import by_entry
from kernels.cuda.device import cuda
from kernels.cuda.elementwise import add
from nanollm.ops.positions import check_positions


@cuda.jit
def _backward(dy, start, dw):                    # (B, T, C) → (context, C)
    i = cuda.grid(1)
    if i < dw.size:
        C = dw.shape[1]
        row, c = i // C, i % C
        t = row - start
        total = dy.dtype.type(0)
        if 0 <= t < dy.shape[1]:
            for b in range(dy.shape[0]):
                total += dy[b, t, c]
        dw[row, c] = total


def positions(x, w, *, start=0):
    T = check_positions(x, w, start)
    y, _ = add(x, w[start:start + T])
    return y, (w.shape, start)


def positions_backward(dy, saved):
    shape, start = saved
    T, C = dy.shape[dy.ndim - 2:]
    dw = empty(shape, dy.dtype)
    sequences = dy.size // (T * C) if dy.size else 0
    by_entry(_backward, dw.size, dy.reshape(sequences, T, C), start, dw)
    return dy, dw

"""Embedding on the GPU: a block copies a row; backward has a block for each token that occurs.

The mathematics is in nanollm/ops/embedding.py. Two tokens with the same id add into the same row of
dw. Threads that do so at once need atomic additions, and these come in another order in each run:
the last bits of the weights would change from run to run. So the ids are sorted, on the host, where
their original is kept, by a sort that leaves equal ids in the order of the text. The block of an id
adds up its rows of dy in this order and writes the sum; the rows of all other ids are zeros.

Forward sorts, not backward: there the ids have only just come, and one more copy to the device,
which waits for all kernels before it, finds it idle.
"""

import numpy as np

from kernels.cuda.arrays import array, empty, host, zeros
from kernels.cuda.block import THREADS, as_rows, by_row, flat
from kernels.cuda.device import cuda
from nanollm.ops.checks import expect, expect_ids


@cuda.jit
def _forward(ids, w, y):                         # (N,), (V, C) → (N, C)
    n = cuda.blockIdx.x
    for c in range(cuda.threadIdx.x, w.shape[1], THREADS):
        y[n, c] = w[ids[n], c]


@cuda.jit
def _backward(dy, ids, order, starts, dw):       # (N, C), (N,), (N,), (U + 1,) → (V, C)
    u = cuda.blockIdx.x
    first, last = starts[u], starts[u + 1]
    for c in range(cuda.threadIdx.x, dw.shape[1], THREADS):
        total = dy.dtype.type(0)
        for i in range(first, last):
            total += dy[order[i], c]
        dw[ids[order[first]], c] = total


def sort(ids):
    """On the device: the places of ids (N,) in sorted order, then where each new id starts."""
    order = np.argsort(ids, kind="stable")
    starts = np.flatnonzero(np.diff(ids[order], prepend=-1))
    return array(np.concatenate((order, starts, [ids.size])))


def embedding(ids, w):
    numbers = host(ids)
    expect_ids("embedding", numbers, w.shape[0])
    y = empty((*ids.shape, w.shape[1]), w.dtype)
    by_row(_forward, ids.size, flat(ids), w, y.reshape(ids.size, w.shape[1]))
    return y, (ids, sort(numbers.reshape(-1)), w.shape[0])


def embedding_backward(dy, saved):
    ids, places, V = saved
    N, C = ids.size, dy.shape[dy.ndim - 1]
    expect("embedding_backward", "dy", dy, (*ids.shape, C))
    dw = zeros((V, C), dy.dtype)
    order, starts = places[:N], places[N:]
    by_row(_backward, starts.size - 1, as_rows(dy), flat(ids), order, starts, dw)
    return None, dw

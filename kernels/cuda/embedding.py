"""Embedding on the GPU: a block copies a row; backward adds up sorted rows, a part a thread.

The mathematics is in nanollm/ops/embedding.py. Two tokens with the same id add into the same row of
dw. Threads that do so at once need atomic additions, and these come in another order in each run:
the last bits of the weights would change from run to run. So the ids are sorted, on the host, where
their original is kept, by a sort that leaves equal ids in the order of the text.

The rows of dy that belong to one id are many if it is a space: they are cut into parts of at most
TERMS, and a thread adds up one column of a part. Where all ids have one part, these are the rows
of dw; else they go into a table, whose rows are added up in the same way, in their order, until
each id has one. The rows of all ids that do not occur are zeros.

Forward sorts, not backward: there the ids have only just come, and one more copy to the device,
which waits for all kernels before it, finds it idle.
"""

import numpy as np

from kernels.cuda.arrays import array, empty, host, zeros
from kernels.cuda.block import THREADS, as_rows, by_entry, by_row, flat
from kernels.cuda.device import cuda
from kernels.cuda.shape import TERMS
from nanollm.ops.checks import expect, expect_ids


@cuda.jit
def _forward(ids, w, y):                         # (N,), (V, C) → (N, C)
    n = cuda.blockIdx.x
    for c in range(cuda.threadIdx.x, w.shape[1], THREADS):
        y[n, c] = w[ids[n], c]


@cuda.jit
def _add_parts(x, order, starts, places, y):     # (N, C), (N,), (P + 1,), (P,) → P rows of (·, C)
    i = cuda.grid(1)
    C, P = x.shape[1], starts.size - 1
    if i < P * C:
        p, c = i // C, i % C
        total = x.dtype.type(0)
        for n in range(starts[p], starts[p + 1]):
            total += x[order[n], c]
        y[places[p], c] = total


def plan(ids):
    """For each pass: the order of N rows, where P parts start in it, and where their sums go."""
    order = np.argsort(ids, kind="stable")
    ids, passes = ids[order].astype(np.int64), []
    while True:
        first = np.flatnonzero(np.diff(ids, prepend=-1))                        # of each id
        count = np.diff(first, append=ids.size)
        rank = np.arange(ids.size) - np.repeat(first, count)                    # among its equals
        starts = np.flatnonzero(rank % TERMS == 0)
        last = starts.size == first.size
        places = ids[starts] if last else np.arange(starts.size)
        passes.append((order, np.append(starts, ids.size), places))
        if last:
            return passes
        order, ids = places, ids[starts]


def embedding(ids, w):
    numbers = host(ids)
    expect_ids("embedding", numbers, w.shape[0])
    y = empty((*ids.shape, w.shape[1]), w.dtype)
    by_row(_forward, ids.size, flat(ids), w, y.reshape(ids.size, w.shape[1]))
    passes = plan(numbers.reshape(-1))
    sizes = [(order.size, places.size) for order, _, places in passes]
    joined = array(np.concatenate([part for parts in passes for part in parts]))    # one copy
    return y, (ids, joined, sizes, w.shape[0])


def embedding_backward(dy, saved):
    ids, joined, sizes, V = saved
    C, at = dy.shape[dy.ndim - 1], 0
    expect("embedding_backward", "dy", dy, (*ids.shape, C))
    x, dw = as_rows(dy), zeros((V, C), dy.dtype)
    for N, P in sizes:
        starts, places, end = at + N, at + N + P + 1, at + N + 2 * P + 1
        y = dw if end == joined.size else empty((P, C), dy.dtype)
        by_entry(_add_parts, P * C, x, joined[at:starts], joined[starts:places],
                 joined[places:end], y)
        x, at = y, end
    return None, dw

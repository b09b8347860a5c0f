"""Embedding on the CPU: rows copied out, gradients added in by one thread a column range.

The mathematics is in nanollm/ops/embedding.py. Two threads must not add into the same row of dw,
and two tokens may have the same id: so threads split the columns, and each walks over all ids.
"""

import numpy as np

from kernels.cpu.compile import kernel
from kernels.cpu.elementwise import flat
from kernels.cpu.memory import empty
from kernels.cpu.rows import as_rows
from kernels.cpu.threads import run, share_count
from nanollm.ops.checks import expect, expect_ids

ENOUGH = 2 ** 18                                 # numbers a thread must get


@kernel
def _backward(dy, ids, dw):                      # (N, C), (N,) → (V, C)
    for v in range(dw.shape[0]):
        dw[v, :] = 0
    for n in range(ids.size):
        for c in range(dw.shape[1]):
            dw[ids[n], c] += dy[n, c]


def embedding(ids, w):
    expect_ids("embedding", ids, w.shape[0])
    y = empty((*ids.shape, w.shape[1]), w.dtype)
    np.take(w, flat(ids), axis=0, out=as_rows(y), mode="clip")   # "raise" would copy first
    return y, (ids, w.shape[0])


def embedding_backward(dy, saved):
    ids, V = saved
    C = dy.shape[-1]
    expect("embedding_backward", "dy", dy, (*ids.shape, C))
    rows, flat_ids, dw = as_rows(dy), flat(ids), empty((V, C), dy.dtype)
    shares = max(1, min(share_count(), C, (dw.size + rows.size) // ENOUGH))
    cuts = [slice(C * i // shares, C * (i + 1) // shares) for i in range(shares)]
    run(lambda c=c: _backward(rows[:, c], flat_ids, dw[:, c]) for c in cuts)
    return None, dw

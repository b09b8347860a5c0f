"""Scatter: the backward of an embedding, on several threads, and a race.

Task        dw[v] = the sum of all dy[n] with ids[n] = v, and 0 for a token that does not occur. The
            turns of the loop over `prange` are shared among the threads. It is wrong now and then.
            Find out which turns meet at which number, and share the work so that no two ever do:
            the answer must be right for every ids, also if all of them are the same.
Shapes      ids (N,) int64, dy (N, C)  →  dw (V, C), which holds anything at first
Saved       nothing: the kernel writes into dw and returns nothing
"""

from numba import njit, prange


@njit(parallel=True)
def scatter(ids, dy, dw):
    for c in prange(dw.shape[1]):
        for v in range(dw.shape[0]):
            dw[v, c] = 0
        for n in range(ids.size):
            dw[ids[n], c] += dy[n, c]

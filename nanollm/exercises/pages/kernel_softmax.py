"""Softmax as a compiled loop: a row stays in cache while three loops walk over it.

Task        y[n, k] = exp(x[n, k] - m) / Σ_j exp(x[n, j] - m),   m = max_j x[n, j]
            For each row: find m; write exp(x - m) into y and add it up on the way; multiply the row
            of y by 1 / sum. No array is made: what is stored is y.
            The sum of a row is a chain, each addition waits for the one before. SIMD needs as many
            sums as it has lanes, added up at the end: another order, so other last digits. The
            compiler may do so only if it is told that sums may be reordered: "reassoc" among the
            fastmath flags. Not fastmath=True: that promises that no inf and no nan occurs, and a
            masked score is -inf.
Shapes      x (N, K)  →  y (N, K), float32 or float64
Saved       nothing: the kernel writes into y and returns nothing
"""

from numba import njit

from kernels.scalar import exp

OPTIONS = {"error_model": "numpy", "fastmath": {"reassoc", "nsz"}}    # what the compiler may do


@njit(**OPTIONS)
def softmax(x, y):
    N, K = x.shape
    for n in range(N):
        m = x[n, 0]
        for k in range(1, K):
            m = max(m, x[n, k])
        total = x.dtype.type(0)
        for k in range(K):
            e = exp(x[n, k] - m)
            y[n, k] = e
            total += e
        scale = x.dtype.type(1) / total
        for k in range(K):
            y[n, k] *= scale

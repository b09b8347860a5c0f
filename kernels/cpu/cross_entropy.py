"""Cross-entropy on the CPU: no probabilities are stored.

The mathematics is in nanollm/ops/cross_entropy.py. Saved are the scores and one number a row, their
log-sum-exp; backward computes exp(x - lse) as it writes dx. With a vocabulary of 50,257 the scores
are the largest array of a training step, and reading them once more costs less than a second one.
"""

import numpy as np

from kernels.cpu.compile import kernel
from kernels.cpu.elementwise import flat
from kernels.cpu.memory import empty
from kernels.cpu.rows import as_rows, empty_like
from kernels.cpu.softmax import logsumexp_rows
from kernels.cpu.threads import by_rows
from kernels.scalar import exp
from nanollm.ops.cross_entropy import check_cross_entropy


@kernel
def _losses(x, targets, lse, ignore):            # (N, V), (N,), (N,) → Σ losses, how many
    total, n = 0.0, 0
    for row in range(x.shape[0]):
        if targets[row] != ignore:
            total += lse[row] - x[row, targets[row]]
            n += 1
    return total, n


@kernel
def _backward(x, targets, lse, dx, ignore, scale):   # (N, V), (N,), (N,) → (N, V)
    N, V = x.shape
    scale = x.dtype.type(scale)
    for n in range(N):
        if targets[n] == ignore:
            for v in range(V):
                dx[n, v] = 0
        else:
            for v in range(V):
                dx[n, v] = scale * exp(x[n, v] - lse[n])
            dx[n, targets[n]] -= scale


def cross_entropy(x, targets, *, ignore=-1):
    check_cross_entropy(x, targets, ignore)
    rows, flat_targets = as_rows(x), flat(targets)
    lse = empty((len(rows),), x.dtype)
    by_rows(logsumexp_rows, (rows, lse))
    total, n = _losses(rows, flat_targets, lse, ignore)
    n = max(n, 1)
    return x.dtype.type(total / n), (x, flat_targets, lse, n, ignore)


def cross_entropy_backward(dy, saved):
    x, flat_targets, lse, n, ignore = saved
    dx = empty_like(x)
    by_rows(_backward, (as_rows(x), flat_targets, lse, as_rows(dx)), ignore, float(dy) / n)
    return dx, None

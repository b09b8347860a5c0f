"""Cross-entropy on the CPU: no probabilities are stored.

The mathematics is in nanollm/ops/cross_entropy.py. Saved are the scores and two numbers a row,
their maximum m and the sum of exp(x - m); backward computes p = exp(x - m) / sum as it writes dx.
With a vocabulary of 50,257 the scores are the largest array of a training step, and reading them
once more costs less than a second one.
"""

import math

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
def _losses(x, targets, m, total, ignore):       # (N, V), (N,) ×3 → Σ losses, how many
    loss, counted = 0.0, 0
    for n in range(x.shape[0]):
        if targets[n] != ignore:
            loss += math.log(np.float64(total[n])) + np.float64(m[n] - x[n, targets[n]])
            counted += 1
    return loss, counted


@kernel
def _backward(x, targets, m, total, dx, ignore, dy):   # (N, V), (N,) ×3 → (N, V)
    N, V = x.shape
    dy = x.dtype.type(dy)
    for n in range(N):
        scale = dy / total[n]
        if targets[n] == ignore:
            for v in range(V):
                dx[n, v] = 0
        else:
            for v in range(V):
                dx[n, v] = scale * exp(x[n, v] - m[n])
            dx[n, targets[n]] -= dy


def cross_entropy(x, targets, *, ignore=-1):
    check_cross_entropy(x, targets, ignore)
    rows, flat_targets = as_rows(x), flat(targets)
    m, total = empty((2, len(rows)), x.dtype)
    by_rows(logsumexp_rows, (rows, m, total))
    loss, counted = _losses(rows, flat_targets, m, total, ignore)
    counted = max(counted, 1)
    return x.dtype.type(loss / counted), (x, flat_targets, m, total, counted, ignore)


def cross_entropy_backward(dy, saved):
    x, flat_targets, m, total, counted, ignore = saved
    dx = empty_like(x)
    by_rows(_backward, (as_rows(x), flat_targets, m, total, as_rows(dx)), ignore,
            float(dy) / counted)
    return dx, None

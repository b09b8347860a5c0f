"""Cross-entropy on the GPU: no probabilities are stored.

The mathematics is in nanollm/ops/cross_entropy.py. A block reads a row of scores once, for its
maximum m and the sum of exp(x - m), and these two numbers are saved; backward reads the scores once
more, computes p = exp(x - m) / sum and writes dx. With a vocabulary of 50,257 the scores are the
largest array of a training step. Targets are checked and counted on the host, where their original
is kept: nothing waits.
"""

import math

from kernels.cuda.arrays import empty, host
from kernels.cuda.block import SLOTS, THREADS, as_rows, by_row, flat
from kernels.cuda.device import cuda
from kernels.cuda.shape import sum_axis
from kernels.cuda.softmax import max_and_total
from nanollm.ops.cross_entropy import check_cross_entropy


@cuda.jit
def _losses(x, targets, ignore, m, total, losses):   # (N, V), (N,) → (N,) ×3
    scratch = cuda.shared.array(SLOTS, x.dtype)
    n = cuda.blockIdx.x
    highest, sum_exp = max_and_total(x, n, scratch)
    if cuda.threadIdx.x == 0:
        m[n] = highest
        total[n] = sum_exp
        if targets[n] == ignore:
            losses[n] = x.dtype.type(0)
        else:
            losses[n] = math.log(sum_exp) + (highest - x[n, targets[n]])


@cuda.jit
def _backward(dy, x, targets, ignore, m, total, share, dx):  # (1,), (N, V), (N,) ... → (N, V)
    n = cuda.blockIdx.x
    target = targets[n]
    factor = x.dtype.type(0) if target == ignore else share * dy[0]
    for v in range(cuda.threadIdx.x, x.shape[1], THREADS):
        p = math.exp(x[n, v] - m[n]) / total[n]
        if v == target:
            p -= x.dtype.type(1)
        dx[n, v] = factor * p


def cross_entropy(x, targets, *, ignore=-1):
    numbers = host(targets)
    check_cross_entropy(x, numbers, ignore)
    rows, share = as_rows(x), 1 / max(int((numbers != ignore).sum()), 1)
    N = rows.shape[0]
    m, total, losses = (empty((N,), x.dtype) for _ in range(3))
    by_row(_losses, N, rows, flat(targets), ignore, m, total, losses)
    return sum_axis(losses, 0, share).reshape(()), (x, targets, ignore, m, total, share)


def cross_entropy_backward(dy, saved):
    x, targets, ignore, m, total, share = saved
    dx = empty(x.shape, x.dtype)
    by_row(_backward, m.size, flat(dy), as_rows(x), flat(targets), ignore, m, total,
           x.dtype.type(share), as_rows(dx))
    return dx, None

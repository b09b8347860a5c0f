"""The puzzles' checks accept other right answers than ours, and work without the record too."""

import math
from types import SimpleNamespace

import numpy as np
import pytest

from kernels.cuda.device import cuda
from nanollm.exercises import catalog, of_cuda
from nanollm.exercises.spec import Wrong

THREADS, SIDE, WIDTH = 8, 4, 3
NEAR, PAIR, TILE = THREADS + WIDTH - 1, (2, THREADS), (SIDE, SIDE)
LOWEST = -3e38


@cuda.jit
def relu(x, y):
    i = cuda.grid(1)
    y[i] = max(x[i], 0)


@cuda.jit
def sgd_step(w, dw, lr):                         # a loop over the grid
    for i in range(cuda.grid(1), w.shape[0], cuda.gridsize(1)):
        w[i] = w[i] - lr * dw[i]


@cuda.jit
def add_bias(x, b, y):                           # b comes through shared memory
    near = cuda.shared.array(SIDE, x.dtype)
    k, n = cuda.grid(2)
    if cuda.threadIdx.y == 0 and k < b.size:
        near[cuda.threadIdx.x] = b[k]
    cuda.syncthreads()
    if n < y.shape[0] and k < y.shape[1]:
        y[n, k] = x[n, k] + near[cuda.threadIdx.x]


@cuda.jit
def transpose(x, y):                             # turned on the way in
    tile = cuda.shared.array(TILE, x.dtype)
    k, n = cuda.grid(2)
    tx, ty = cuda.threadIdx.x, cuda.threadIdx.y
    if n < x.shape[0] and k < x.shape[1]:
        tile[tx, ty] = x[n, k]
    cuda.syncthreads()
    row, column = cuda.blockIdx.x * SIDE + ty, cuda.blockIdx.y * SIDE + tx
    if row < y.shape[0] and column < y.shape[1]:
        y[row, column] = tile[ty, tx]


@cuda.jit
def causal_filter(x, w, y):                      # all threads bring the edge
    near = cuda.shared.array(NEAR, x.dtype)
    first = cuda.blockIdx.x * THREADS - (WIDTH - 1)
    for j in range(cuda.threadIdx.x, NEAR, THREADS):
        near[j] = x[first + j] if 0 <= first + j < x.size else 0
    cuda.syncthreads()
    i = cuda.grid(1)
    if i < y.size:
        y[i] = (w[0] * near[cuda.threadIdx.x + 2] + w[1] * near[cuda.threadIdx.x + 1]
                + w[2] * near[cuda.threadIdx.x])


@cuda.jit
def block_sums(x, y):                            # neighbors first; the last round without a wait
    part = cuda.shared.array(THREADS, x.dtype)
    t, i = cuda.threadIdx.x, cuda.grid(1)
    part[t] = x[i] if i < x.size else 0
    cuda.syncthreads()
    step = 1
    while step < THREADS // 2:
        if t % (2 * step) == 0:
            part[t] += part[t + step]
        cuda.syncthreads()
        step *= 2
    if t == 0:
        y[cuda.blockIdx.x] = part[0] + part[step]


@cuda.jit
def running_sums(x, y):                          # two arrays in turns, one wait a round
    parts = cuda.shared.array(PAIR, x.dtype)
    t, i = cuda.threadIdx.x, cuda.grid(1)
    now, distance = 0, 1
    parts[now, t] = x[i] if i < x.size else 0
    cuda.syncthreads()
    while distance < THREADS:
        left = parts[now, t - distance] if t >= distance else 0
        parts[1 - now, t] = parts[now, t] + left
        cuda.syncthreads()
        now, distance = 1 - now, 2 * distance
    if i < y.size:
        y[i] = parts[now, t]


@cuda.jit
def matmul(a, b, y):                             # two arrays in one line; zeros by if and else
    near_a, near_b = cuda.shared.array(TILE, y.dtype), cuda.shared.array(TILE, y.dtype)
    n, m = cuda.grid(2)
    tx, ty = cuda.threadIdx.x, cuda.threadIdx.y
    total = y.dtype.type(0)
    for step in range((a.shape[1] + SIDE - 1) // SIDE):
        k = step * SIDE
        if m < a.shape[0] and k + tx < a.shape[1]:
            near_a[ty, tx] = a[m, k + tx]
        else:
            near_a[ty, tx] = 0
        if n < b.shape[1] and k + ty < b.shape[0]:
            near_b[ty, tx] = b[k + ty, n]
        else:
            near_b[ty, tx] = 0
        cuda.syncthreads()
        for i in range(SIDE):
            total += near_a[ty, i] * near_b[i, tx]
        cuda.syncthreads()
    if m < y.shape[0] and n < y.shape[1]:
        y[m, n] = total


@cuda.jit
def softmax(x, y):                               # one walk for both, one tree of pairs
    pairs = cuda.shared.array(PAIR, x.dtype)
    n, t = cuda.blockIdx.x, cuda.threadIdx.x
    m, s = x.dtype.type(LOWEST), x.dtype.type(0)
    for k in range(t, x.shape[1], THREADS):
        higher = max(m, x[n, k])
        s = s * math.exp(m - higher) + math.exp(x[n, k] - higher)
        m = higher
    pairs[0, t], pairs[1, t] = m, s
    cuda.syncthreads()
    half = THREADS // 2
    while half > 0:
        if t < half:
            m, other = pairs[0, t], pairs[0, t + half]
            higher = max(m, other)
            pairs[1, t] = (pairs[1, t] * math.exp(m - higher)
                           + pairs[1, t + half] * math.exp(other - higher))
            pairs[0, t] = higher
        cuda.syncthreads()
        half //= 2
    for k in range(t, x.shape[1], THREADS):
        y[n, k] = math.exp(x[n, k] - pairs[0, 0]) / pairs[1, 0]


ANSWERS = [relu, sgd_step, add_bias, transpose, causal_filter, block_sums, running_sums, matmul,
           softmax]


def puzzle(kernel):
    """The exercise that asks for a kernel of this name, and a module that has it."""
    (exercise,) = (e for e in catalog.all_of_them()
                   if e.group == "cuda" and e.blanks == (kernel.__name__,))
    return exercise, SimpleNamespace(**{kernel.__name__: kernel})


@pytest.mark.parametrize("kernel", ANSWERS, ids=lambda kernel: kernel.__name__)
def test_another_right_answer_passes(kernel):
    exercise, student = puzzle(kernel)
    for check in exercise.checks:
        check(student)


@pytest.mark.parametrize("kernel", ANSWERS, ids=lambda kernel: kernel.__name__)
def test_values_are_checked_where_there_is_no_record(kernel, monkeypatch):
    exercise, student = puzzle(kernel)
    values = next(check for check in exercise.checks if check.__name__ == "values")
    monkeypatch.setattr(of_cuda, "REAL", True)
    values(student)


@cuda.jit
def add(x, h, y):
    i = cuda.threadIdx.x
    if i < y.size:
        y[i] = x[i] - h[i]


def test_a_wrong_value_is_told_where_there_is_no_record(monkeypatch):
    exercise, student = puzzle(add)
    monkeypatch.setattr(of_cuda, "REAL", True)
    values = next(check for check in exercise.checks if check.__name__ == "values")
    with pytest.raises(Wrong, match=r"y\[0\] is wrong"):
        values(student)


def test_an_output_is_full_of_nan_before_the_launch():
    assert np.isnan(of_cuda.nothing(2, 3)).all()

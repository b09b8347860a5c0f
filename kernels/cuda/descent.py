"""Gradient descent on the GPU: one thread an entry, each number read once and written once.

The mathematics is in nanollm/ops/descent.py. The norm of all gradients decides about the clipping
factor, and the factor goes into every step; if the host asked for the norm in between, it would
wait for the whole backward pass, and the device then for the host. So squared_norm and clip_factor
leave their numbers on the device, arrays of shape (), and the steps read `scale` from there.

squared_norm: at most BLOCKS blocks walk over x together, each leaves one sum, and one more block
adds these up.
"""

import math
from functools import lru_cache

from kernels.cuda.arrays import empty, full, zeros
from kernels.cuda.block import SLOTS, THREADS, block_sum, by_entry, flat, launch
from kernels.cuda.device import SIMULATED, cuda
from nanollm.ops.checks import expect

BLOCKS = 4 if SIMULATED else 1024


@cuda.jit
def _sgd(w, dw, lr, scale):                      # (N,) twice; scale (1,), here and below
    i = cuda.grid(1)
    if i < w.size:
        w[i] -= lr * (scale[0] * dw[i])


@cuda.jit
def _momentum(w, dw, u, lr, mu, scale):          # (N,) ×3
    i = cuda.grid(1)
    if i < w.size:
        new = mu * u[i] + scale[0] * dw[i]
        u[i] = new
        w[i] -= lr * new


@cuda.jit
def _sum_squares(x, sums):                       # (N,) → (blocks,)
    scratch = cuda.shared.array(SLOTS, x.dtype)
    total = x.dtype.type(0)
    for i in range(cuda.grid(1), x.size, cuda.gridsize(1)):
        total += x[i] * x[i]
    total = block_sum(total, scratch)
    if cuda.threadIdx.x == 0:
        sums[cuda.blockIdx.x] = total


@cuda.jit
def _add_up(sums, y):                            # (blocks,) → (1,), in one block
    scratch = cuda.shared.array(SLOTS, sums.dtype)
    total = sums.dtype.type(0)
    for i in range(cuda.threadIdx.x, sums.size, THREADS):
        total += sums[i]
    total = block_sum(total, scratch)
    if cuda.threadIdx.x == 0:
        y[0] = total


@cuda.jit
def _clip_factor(squared, limit, most, y):       # (1,) → (1,)
    i = cuda.grid(1)
    if i < y.size:
        norm = math.sqrt(squared[i])
        y[i] = limit / norm if most * norm > limit else most


@lru_cache(maxsize=16)
def constant(value, dtype):
    """A number on the device, (1,), kept for the next who asks."""
    return full((1,), dtype, value)


def on_device(scale, dtype):
    """`scale`, a number here or clip_factor's on the device, as an array (1,)."""
    return scale.reshape(1) if hasattr(scale, "copy_to_host") else constant(float(scale), dtype)


def sgd_(w, dw, *, lr, scale=1.0):
    expect("sgd_", "dw", dw, w.shape)
    by_entry(_sgd, w.size, flat(w), flat(dw), w.dtype.type(lr), on_device(scale, w.dtype))


def momentum_(w, dw, u, *, lr, mu=0.9, scale=1.0):
    expect("momentum_", "dw", dw, w.shape)
    expect("momentum_", "u", u, w.shape)
    of = w.dtype.type
    by_entry(_momentum, w.size, flat(w), flat(dw), flat(u), of(lr), of(mu),
             on_device(scale, w.dtype))


def squared_norm(x):
    if x.size == 0:
        return zeros((), x.dtype)
    blocks = min(BLOCKS, -(-x.size // THREADS))
    sums, y = empty((blocks,), x.dtype), empty((), x.dtype)
    launch(_sum_squares, blocks, flat(x), sums)
    launch(_add_up, 1, sums, flat(y))
    return y


def clip_factor(squared, *, limit, most=1.0):
    y, of = empty((), squared.dtype), squared.dtype.type
    by_entry(_clip_factor, 1, flat(squared), of(limit or math.inf), of(most), flat(y))
    return y

"""Adam on the GPU: decay, both moments and the step in one launch, a thread a weight.

The mathematics is in nanollm/ops/adam.py. Memory is the cost: w, dw, m and v are read once, w, m
and v written once, 28 bytes a weight in float32. The divisions by 1 - βᵗ go into the rate and into
ε, as in kernels/cpu/adam.py. `scale` is read from the device, where clip_factor leaves it.
"""

import math

from kernels.cuda.block import by_entry, flat
from kernels.cuda.descent import on_device
from kernels.cuda.device import cuda
from nanollm.ops.adam import check_adam


@cuda.jit
def _adamw(w, dw, m, v, rate, left, beta1, new1, beta2, new2, eps, scale):   # (N,) ×4; scale (1,)
    i = cuda.grid(1)
    if i < w.size:
        g = scale[0] * dw[i]
        mean = beta1 * m[i] + new1 * g
        square = beta2 * v[i] + new2 * (g * g)
        m[i] = mean
        v[i] = square
        w[i] = left * w[i] - rate * mean / (math.sqrt(square) + eps)


def adam_(w, dw, m, v, *, lr, t, beta1=0.9, beta2=0.999, eps=1e-8, scale=1.0):
    check_adam("adam_", w, dw, m, v)
    adamw_(w, dw, m, v, lr=lr, t=t, beta1=beta1, beta2=beta2, eps=eps, decay=0.0, scale=scale)


def adamw_(w, dw, m, v, *, lr, t, beta1=0.9, beta2=0.999, eps=1e-8, decay=0.01, scale=1.0):
    check_adam("adamw_", w, dw, m, v)
    c = math.sqrt(1 - beta2 ** t)
    numbers = (lr * c / (1 - beta1 ** t), 1 - lr * decay, beta1, 1 - beta1, beta2, 1 - beta2,
               c * eps)                          # in float64: 1 - 0.999 loses four digits of seven
    by_entry(_adamw, w.size, flat(w), flat(dw), flat(m), flat(v), *map(w.dtype.type, numbers),
             on_device(scale, w.dtype))

"""Adam on the CPU: decay, both moments and the step in one walk, shared among the threads.

The mathematics is in nanollm/ops/adam.py. Memory is the cost: w, dw, m and v are read once, w, m
and v written once, 28 bytes a weight in float32, where the page makes a dozen passes. The divisions
by 1 - βᵗ are the same for all weights and go into the rate and into ε: with c = √(1 - β₂ᵗ),
η m̂ / (√v̂ + ε) = (η c / (1 - β₁ᵗ)) m / (√v + c ε).
"""

import math

from kernels.cpu.compile import kernel
from kernels.cpu.descent import in_place
from kernels.cpu.elementwise import flat
from kernels.cpu.threads import by_rows
from nanollm.ops.adam import check_adam


@kernel
def _adamw(w, dw, m, v, rate, keep, beta1, beta2, eps, scale):   # (N,) ×4
    of = w.dtype.type
    new1, new2 = of(1 - beta1), of(1 - beta2)    # in float64: 1 - 0.999 loses four digits of seven
    beta1, beta2, scale = of(beta1), of(beta2), of(scale)
    rate, keep, eps = of(rate), of(keep), of(eps)
    for n in range(w.size):
        g = scale * dw[n]
        m[n] = beta1 * m[n] + new1 * g
        v[n] = beta2 * v[n] + new2 * (g * g)
        w[n] = keep * w[n] - rate * m[n] / (math.sqrt(v[n]) + eps)


def adam_(w, dw, m, v, *, lr, t, beta1=0.9, beta2=0.999, eps=1e-8, scale=1.0):
    check_adam("adam_", w, dw, m, v)
    adamw_(w, dw, m, v, lr=lr, t=t, beta1=beta1, beta2=beta2, eps=eps, decay=0.0, scale=scale)


def adamw_(w, dw, m, v, *, lr, t, beta1=0.9, beta2=0.999, eps=1e-8, decay=0.01, scale=1.0):
    check_adam("adamw_", w, dw, m, v)
    c = math.sqrt(1 - beta2 ** t)
    by_rows(_adamw, (in_place(w), flat(dw), in_place(m), in_place(v)),
            lr * c / (1 - beta1 ** t), 1 - lr * decay, beta1, beta2, c * eps, float(scale))

"""Dropout on the CPU: one walk.

The mathematics is in nanollm/ops/dropout.py. NumPy makes two passes, and an array between them.
"""

from kernels.cpu.compile import kernel
from kernels.cpu.elementwise import flat
from kernels.cpu.rows import empty_like
from kernels.cpu.threads import by_rows
from nanollm.ops.dropout import check_dropout


@kernel
def _keep(x, keep, y, scale):                    # (N,) ×3
    scale, zero = x.dtype.type(scale), x.dtype.type(0)
    for n in range(x.size):
        y[n] = scale * x[n] if keep[n] else zero


def dropout(x, keep, *, rate):
    check_dropout(x, keep, rate)
    y = empty_like(x)
    by_rows(_keep, (flat(x), flat(keep), flat(y)), 1 / (1 - rate))
    return y, (keep, rate)


def dropout_backward(dy, saved):
    keep, rate = saved
    dx = empty_like(dy)
    by_rows(_keep, (flat(dy), flat(keep), flat(dx)), 1 / (1 - rate))
    return dx, None

"""Dropout on the GPU: one walk; and the mask is drawn where it is used.

The mathematics is in nanollm/ops/dropout.py. To draw on the host would copy a byte an entry to the
device, which takes longer than the op. Here one number from the host's generator is the key of
Philox (philox.py), and thread i makes entries 4 i to 4 i + 3 from its count i: equal seeds give
equal masks, however many threads there are, though not those of the other backends.
"""

from kernels.cuda.arrays import empty
from kernels.cuda.block import by_entry, flat
from kernels.cuda.device import cuda
from kernels.cuda.philox import philox
from nanollm.ops.dropout import check_dropout, check_rate


@cuda.jit
def _scale_kept(x, keep, scale, y):              # (N,), (N,) → (N,)
    i = cuda.grid(1)
    if i < y.size:
        y[i] = scale * x[i] if keep[i] else x.dtype.type(0)


@cuda.jit
def _keep(key, threshold, y):                    # → (N,)
    i = cuda.grid(1)
    if 4 * i < y.size:
        draws = philox(i, 0, key)
        for j in range(4):
            if 4 * i + j < y.size:
                y[4 * i + j] = draws[j] >= threshold


def keep(rng, shape, rate):
    check_rate(rate)
    y = empty(shape, bool)
    key, threshold = int(rng.integers(2 ** 63)), round(rate * 2 ** 32)
    by_entry(_keep, -(-y.size // 4), key, threshold, flat(y))
    return y


def scale_kept(x, keep, rate):
    y = empty(x.shape, x.dtype)
    by_entry(_scale_kept, y.size, flat(x), flat(keep), x.dtype.type(1 / (1 - rate)), flat(y))
    return y


def dropout(x, keep, *, rate):
    check_dropout(x, keep, rate)
    return scale_kept(x, keep, rate), (keep, rate)


def dropout_backward(dy, saved):
    keep, rate = saved
    return scale_kept(dy, keep, rate), None

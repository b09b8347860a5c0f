"""What this GPU can do at best: bytes it copies and multiply-adds it does in a second.

Both are measured by kernels that do nothing else, so that a share of them says how good a kernel is
and not how good the card is.
"""

from kernels.cuda.arrays import empty, zeros
from kernels.cuda.block import THREADS, by_entry, flat, launch
from kernels.cuda.device import SIMULATED, cuda
from kernels.cuda.ladder import milliseconds

SIZE = 2 ** 8 if SIMULATED else 2 ** 27          # numbers: half a gigabyte, more than any cache
BLOCKS = 2 if SIMULATED else 8192
TURNS = 4 if SIMULATED else 4096
CHAINS = 8                                       # independent sums, so that none has to wait


@cuda.jit
def _copy(x, y):                                 # (N,) → (N,)
    i = cuda.grid(1)
    if i < y.size:
        y[i] = x[i]


@cuda.jit
def _multiply_add(factor, y):                    # a number → (blocks · THREADS,)
    i = cuda.grid(1)
    one = y.dtype.type(1)
    s0, s1, s2, s3 = one, one, one, one
    s4, s5, s6, s7 = one, one, one, one
    for _ in range(TURNS):
        s0, s1, s2, s3 = (s0 * factor + one, s1 * factor + one, s2 * factor + one,
                          s3 * factor + one)
        s4, s5, s6, s7 = (s4 * factor + one, s5 * factor + one, s6 * factor + one,
                          s7 * factor + one)
    y[i] = ((s0 + s1) + (s2 + s3)) + ((s4 + s5) + (s6 + s7))


def copy_rate():
    """Bytes a second, read and written, of a copy within the GPU's memory."""
    x, y = zeros(SIZE), empty(SIZE)
    ms = milliseconds(lambda: by_entry(_copy, SIZE, x, y), times=20)
    return 2 * x.dtype.itemsize * SIZE / ms * 1e3


def arithmetic_rate():
    """Float32 operations a second: two for each multiply-add."""
    y = empty((BLOCKS, THREADS))
    ms = milliseconds(lambda: launch(_multiply_add, BLOCKS, y.dtype.type(0.5), flat(y)), times=10)
    return 2 * CHAINS * TURNS * y.size / ms * 1e3

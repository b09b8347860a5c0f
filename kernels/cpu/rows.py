"""Most kernels see a batch of rows: fold every leading axis into one."""

import math

import numpy as np

from kernels.cpu.memory import empty
from nanollm.errors import InputError


def as_rows(x):
    """(..., K) → (N, K), C-contiguous; a view unless x had another layout.

    (N is counted rather than left to reshape(-1, K), which cannot know it where K is 0.)
    """
    return np.ascontiguousarray(x).reshape(math.prod(x.shape[:-1]), math.prod(x.shape[-1:]))


def empty_like(x):
    """An uninitialized array of x's shape and dtype, always C-contiguous, for a kernel to fill.

    (np.empty_like keeps a transposed layout; `as_rows` of it would be a copy,
    and a kernel's writes would be lost.)

    Raises InputError for another dtype than float32 and float64.
    """
    if x.dtype.char not in "fd":
        raise InputError(f"the kernels compute in float32 or float64, but got {x.dtype}: convert "
                         "it first, x.astype(np.float32)")
    return empty(x.shape, x.dtype)

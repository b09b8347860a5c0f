"""Arrays of the NumPy backend: how they are made, and how they are read back.

Every backend has these names. On the CPU they cost nothing; on a GPU `array` copies to the device
and `numpy` copies back.
"""

import sys

import numpy as np


def activate():
    """Called when this backend is chosen: BLAS gets its threads back, if kernels.cpu took them."""
    if "kernels.cpu.threads" in sys.modules:
        threads = sys.modules["kernels.cpu.threads"]
        threads.blas_threads(threads.count())


def array(x):
    """The backend's array with the numbers of x."""
    return np.asarray(x, order="C")


def numpy(x):
    """A NumPy array with the numbers of the backend's array x."""
    return np.asarray(x)


def empty(shape, dtype=np.float32):
    return np.empty(shape, dtype)


def zeros(shape, dtype=np.float32):
    return np.zeros(shape, dtype)


def ones(shape, dtype=np.float32):
    return np.ones(shape, dtype)

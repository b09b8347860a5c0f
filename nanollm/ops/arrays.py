"""Arrays of the NumPy backend: how they are made, read back, kept together and appended to.

Every backend has these names. On the CPU they cost nothing; on a GPU `array` copies to the device,
`numpy` copies back, and what is kept together lies in one piece of memory (kernels/cuda/flat.py).
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


def number(x):
    """The one number of x, as a float. On a GPU x itself: reading it would wait for the device."""
    return float(x)


def empty(shape, dtype=np.float32):
    return np.empty(shape, dtype)


def zeros(shape, dtype=np.float32):
    return np.zeros(shape, dtype)


def ones(shape, dtype=np.float32):
    return np.ones(shape, dtype)


def buffers(tensors):
    """{path: zeros like the tensor}: what an optimizer remembers of each parameter."""
    return {path: zeros(t.shape, t.dtype) for path, t in tensors.items()}


def gather(arrays):
    """The dict {path: array}, so that `wholes` of it are few."""
    return arrays


def wholes(gathered):
    """Arrays that hold all numbers of a gathered dict."""
    return list(gathered.values())


def together(tensors, gradients, *states):
    """For each array that a step updates at once: (axes, w, dw, its part of each state).

    tensors {path: Tensor}, gradients and states {path: array}; here each tensor is alone.
    """
    for path, t in tensors.items():
        yield t.data.ndim, t.data, gradients[path], *(state[path] for state in states)


def append_(room, x, start):
    """Write x (B, T, C) into room (B, context, C) from row `start` on; returns all rows so far."""
    end = start + x.shape[1]
    room[:, start:end] = x
    return room[:, :end]

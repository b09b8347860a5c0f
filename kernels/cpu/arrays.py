"""Arrays of the CPU backend: NumPy's, with `empty` from a pool of buffers (memory.py)."""

from kernels.cpu.memory import empty
from kernels.cpu.threads import blas_threads
from nanollm.ops.arrays import append_, array, buffers, gather, number, numpy, ones, together
from nanollm.ops.arrays import wholes, zeros


def activate():
    """BLAS runs on one thread a call: the threads are ours (threads.py)."""
    blas_threads(1)

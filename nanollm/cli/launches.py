"""How many kernels does a step launch on the GPU? Each costs 5 to 20 µs, whatever it does."""

from collections import Counter
from contextlib import contextmanager


@contextmanager
def counted():
    """Yields a Counter {kernel: launches}, of the launches inside the `with` block."""
    from kernels.cuda import block
    seen, launch, launch_grid = Counter(), block.launch, block.launch_grid

    def counting(run):
        def call(kernel, *arguments):
            seen[getattr(kernel, "__name__", None) or kernel.py_func.__name__] += 1
            run(kernel, *arguments)
        return call

    block.launch, block.launch_grid = counting(launch), counting(launch_grid)
    try:
        yield seen
    finally:
        block.launch, block.launch_grid = launch, launch_grid

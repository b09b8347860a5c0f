"""nanollm: large language models from scratch, in NumPy, with kernels in Numba.

Importing it loads neither numba nor matplotlib: a kernel package is imported on first use.
"""

"""What cannot be beaten: the matrix products of a training step, the bytes of a decoding step.

A training step contains its matrix products, and BLAS is the fastest there is for them: their time
alone is a floor. Decoding one token reads every weight once: the time to read as many bytes is one.
Both are measured on this machine, in the same run as what is compared with them.
"""

from concurrent.futures import ThreadPoolExecutor

import numpy as np


def products(config, batch):
    """() → None: the matrix products of one training step of a GPT, forward and backward.

    A linear layer has y = x w, dx = dy wᵀ and dw = xᵀ dy; attention has two forward and four
    backward, for each head of each sequence.
    """
    B, T, C, H, V = batch, config.context, config.width, config.heads, config.vocab
    F = config.hidden
    rng, todo = np.random.default_rng(0), []

    def normal(*shape):
        return rng.standard_normal(shape, np.float32)

    def product(a, b):
        todo.append((a, b, np.empty((*a.shape[:-1], b.shape[-1]), np.float32)))

    def linear(inputs, outputs):
        x, w, dy = normal(B * T, inputs), normal(inputs, outputs), normal(B * T, outputs)
        product(x, w)
        product(dy, w.T)
        product(x.T, dy)

    for _ in range(config.depth):
        linear(C, 3 * C)
        x, p = normal(B * H, T, C // H), normal(B * H, T, T)    # x stands for q, k, v, dy
        for _ in range(2):
            product(x, x.swapaxes(1, 2))                        # scores, dp     (B H, T, T)
            product(p, x)                                       # y, dq          (B H, T, D)
            product(p.swapaxes(1, 2), x)                        # dv, dk         (B H, T, D)
        linear(C, C)
        linear(C, F)
        linear(F, C)
    if config.tied:                                             # W = Eᵀ: as it lies in memory
        x, w, dy = normal(B * T, C), normal(V, C), normal(B * T, V)
        product(x, w.T)
        product(dy, w)
        product(dy.T, x)
    else:
        linear(C, V)

    def run():
        for a, b, y in todo:
            np.matmul(a, b, out=y)
    return run


def reading(size, threads):
    """(() → None, times): reads `size` bytes `times` times, each thread its share of them.

    The dot product of an array with itself loads each number once. Where the bytes fit into a
    cache they stay there, as a small model's weights do.
    """
    parts = np.array_split(np.ones(max(size // 4, threads), np.float32), threads)
    times, pool = max(1, 2 ** 28 // size), ThreadPoolExecutor(threads)

    def read(part):
        for _ in range(times):
            part @ part

    def run():
        list(pool.map(read, parts))
    return run, times

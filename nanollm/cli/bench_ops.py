"""bench ops: each op of a training step, Numba against NumPy.

GFLOP/s where an op is matrix products (a causal mask halves them), else GB/s: the bytes of what goes
in and comes out, each once.
"""

import math

import numpy as np

from nanollm import backend
from nanollm.cli.bench import sizes
from nanollm.cli.timing import in_turns


def cases(config, batch):
    """{op: (inputs, settings)} at the sizes that a training step of this model has."""
    B, T, C, V, H, F = (batch, config.context, config.width, config.vocab, config.heads,
                        config.hidden)
    rng = np.random.default_rng(0)

    def n(*shape):
        return rng.standard_normal(shape, np.float32)

    def ids(*shape):
        return rng.integers(0, V, shape)

    tokens, row = n(B, T, C), n(C)
    weights = n(F, C)
    return {
        "add": ([tokens, n(B, T, C)], {}),
        "mul": ([tokens, n(B, T, C)], {}),
        "relu": ([n(B, T, F)], {}),
        "tanh": ([n(B, T, F)], {}),
        "sigmoid": ([n(B, T, F)], {}),
        "gelu": ([n(B, T, F)], {}),
        "bias_gelu": ([n(B, T, F), n(F)], {}),
        "linear": ([tokens, n(C, F), n(F)], {}),
        "matmul": ([n(B * H, T, C // H), n(B * H, C // H, T)], {}),
        "embedding": ([ids(B, T), n(V, C)], {}),
        "layernorm": ([tokens, row, row], {}),
        "residual_layernorm": ([tokens, n(B, T, C), row, row], {}),
        "softmax": ([n(B, T, V)], {}),
        "logsumexp": ([n(B, T, V)], {}),
        "cross_entropy": ([n(B, T, V), ids(B, T)], {}),
        "attention": ([tokens, n(B, T, C), n(B, T, C), None], {"heads": H, "causal": True}),
        "self_attention": ([n(B, T, 3 * C), None], {"heads": H, "causal": True}),
        "dropout": ([tokens, rng.random((B, T, C)) > 0.1], {"rate": 0.1}),
        "sgd_": ([weights, n(F, C)], {"lr": 1e-3}),
        "momentum_": ([weights, n(F, C), n(F, C)], {"lr": 1e-3}),
        "adamw_": ([weights, n(F, C), n(F, C), n(F, C) ** 2], {"lr": 1e-3, "t": 1}),
        "squared_norm": ([weights], {}),
    }


def rows(args):
    return [row for size in sizes(args) for case in cases(*size[1:]).items()
            for row in both_passes(size[0], *case)]


def both_passes(label, op, case):
    """A row for the op, and one for its backward if it has one."""
    inputs, settings = case
    forward, backward, arrays = {}, {}, {}
    for name in "numpy", "numba":
        module = backend.module(name)
        forward[name] = lambda f=getattr(module, op): f(*inputs, **settings)
        if hasattr(module, op + "_backward"):
            with backend.use(name):
                y, saved = forward[name]()
            dy = np.ones_like(y)
            backward[name] = lambda f=getattr(module, op + "_backward"), s=saved, d=dy: f(d, s)
            arrays = {"": [*inputs, y], " backward": [*inputs, dy, *inputs]}
    yield row(label, op, forward, arrays.get("", inputs), flops(op, inputs, settings))
    if backward:
        yield row(label, op + " backward", backward, arrays[" backward"],
                  2 * flops(op, inputs, settings))


def row(label, name, calls, arrays, operations):
    times = in_turns(calls, rounds=50, seconds=0.5)
    size = sum(a.nbytes for a in arrays if a is not None)
    return {"setting": label, "op": name, "numpy µs": 1e6 * times["numpy"],
            "numba µs": 1e6 * times["numba"], "ratio": times["numpy"] / times["numba"],
            "GB/s": None if operations else size / times["numba"] / 1e9,
            "GFLOP/s": operations / times["numba"] / 1e9 if operations else None}


def flops(op, inputs, settings):
    """Multiplications and additions in the matrix products of the forward, 0 if it has none."""
    shapes = [a.shape for a in inputs if a is not None]
    if op in ("linear", "matmul"):
        return 2 * math.prod(shapes[0]) * shapes[1][-1]
    if op in ("attention", "self_attention"):
        B, T, C = shapes[0]
        return 2 * B * T * T * (C if op == "attention" else C // 3)
    return 0

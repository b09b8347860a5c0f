"""bench ops: each op of a training step, Numba against NumPy.

GFLOP/s where an op is matrix products (a causal mask halves them), else GB/s: the bytes of what
goes in and comes out, each once; neither where nothing is computed (add's backward hands dy on).
"""

from functools import partial

import numpy as np

from nanollm import backend
from nanollm.cli.timing import in_turns

FREE = 2e-6                                     # seconds: a call that returns what it was given


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
    }


def rows(sizes):
    return [row for label, config, batch in sizes for case in cases(config, batch).items()
            for row in both_passes(label, *case)]


def both_passes(label, op, case):
    """A row for the op, and one for its backward if it has one."""
    inputs, settings = case
    work, forward, backward = products(op, inputs), {}, {}
    for name in "numpy", "numba":
        module = backend.module(name)
        forward[name] = partial(getattr(module, op), *inputs, **settings)
        if not op.endswith("_"):
            y, saved = forward[name]()
            dy = tuple(map(np.ones_like, y)) if isinstance(y, tuple) else np.ones_like(y)
            backward[name] = partial(getattr(module, op + "_backward"), dy, saved)
    if not backward:
        yield row(label, op, forward, inputs, work)
        return
    ys = list(y) if isinstance(y, tuple) else [y]
    yield row(label, op, forward, inputs + ys, work)
    yield row(label, op + " backward", backward, inputs + inputs + ys, 2 * work)


def row(label, name, calls, arrays, work):
    """arrays: what must be read or written; work: operations of matrix products, if any."""
    times = in_turns(calls, rounds=50, seconds=0.5, prepare=backend.use)
    size = sum(a.nbytes for a in arrays if a is not None) if times["numba"] > FREE else 0
    return {"setting": label, "op": name, "numpy µs": 1e6 * times["numpy"],
            "numba µs": 1e6 * times["numba"], "ratio": times["numpy"] / times["numba"],
            "GB/s": size / times["numba"] / 1e9 if size and not work else None,
            "GFLOP/s": work / times["numba"] / 1e9 if work else None}


def products(op, inputs):
    """Operations in the forward's matrix products: a multiplication and an addition a term."""
    if op in ("linear", "matmul"):
        return 2 * inputs[0].size * inputs[1].shape[-1]
    if op in ("attention", "self_attention"):                   # causal: half of 4 T C a token
        B, T, C = inputs[0].shape
        return 2 * B * T * T * (C if op == "attention" else C // 3)
    return 0

"""bench --backend cuda: how fast is it on this GPU? Every number beside a ceiling measured on it.

    copy        bytes read and written a second by a kernel that copies: what an op that computes
                little can reach. (Arrays that fit into the GPU's cache can be faster.)
    arithmetic  multiply-adds a second by a kernel that does nothing else: what products can reach

Times are medians by the device's own clock, after a warm-up. PyTorch, where it can be imported and
has a GPU, is timed in the same run with TF32 off: tests/bench/torch_cuda.py.
"""

import sys
import time
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from statistics import median

import numpy as np

from nanollm import backend, train
from nanollm.cli import bench_ops
from nanollm.cli.bench_train import synthetic
from nanollm.errors import InputError
from nanollm.generate import generate_ids
from nanollm.models.gpt import GPT

RIVAL = Path(__file__).parents[2] / "tests" / "bench"
PROMPT, MOST = 8, 128                           # tokens before the first that is timed; at most


def card():
    """{name, capability, memory, driver} of the GPU."""
    from kernels.cuda.device import SIMULATED, cuda
    if SIMULATED:
        return {"card": "Numba's simulator: the times say nothing of a GPU"}
    device = cuda.get_current_device()
    name = device.name.decode() if isinstance(device.name, bytes) else device.name
    free, total = cuda.current_context().get_memory_info()
    return {"card": name, "capability": ".".join(map(str, device.compute_capability)),
            "memory GB": round(total / 1e9, 1),
            "driver CUDA": ".".join(map(str, cuda.cudadrv.driver.get_version()))}


def rival():
    """tests/bench/torch_cuda.py, or None where PyTorch cannot be imported or has no GPU."""
    if not find_spec("torch") or not (RIVAL / "torch_cuda.py").is_file():
        return None
    sys.path.insert(0, str(RIVAL))
    import torch_cuda
    return torch_cuda if torch_cuda.usable() else None


def ceilings():
    """(rows, bytes a second, operations a second)"""
    from kernels.cuda import ceilings as measured
    copy, arithmetic = measured.copy_rate(), measured.arithmetic_rate()
    rows = [{"ceiling": "copy, GB/s", "measured": copy / 1e9},
            {"ceiling": "arithmetic, float32, TFLOP/s", "measured": arithmetic / 1e12}]
    return rows, copy, arithmetic


def ops(sizes, copy, arithmetic, theirs):
    """A row for each op and each backward."""
    rows = []
    for label, config, batch in sizes:
        for op, (inputs, settings) in bench_ops.cases(config, batch).items():
            rows += op_rows(label, op, inputs, settings, copy, arithmetic, theirs)
    return rows


def op_rows(label, op, inputs, settings, copy, arithmetic, theirs):
    from kernels.cuda.ladder import milliseconds
    kernels, work = backend.module(), bench_ops.products(op, inputs)
    ours = [None if x is None else kernels.array(x) for x in inputs]
    forward = partial(getattr(kernels, op), *ours, **settings)
    calls, sizes = {op: forward}, {op: list(inputs)}
    if not op.endswith("_"):
        y, saved = forward()
        ys = y if isinstance(y, tuple) else (y,)
        dys = tuple(kernels.ones(y.shape, y.dtype) for y in ys)
        calls[op + " backward"] = partial(getattr(kernels, op + "_backward"),
                                          dys if isinstance(y, tuple) else dys[0], saved)
        sizes = {op: [*inputs, *ys], op + " backward": [*inputs, *inputs, *ys]}
    other = theirs.op(op, inputs, settings) if theirs else {}
    for name, call in calls.items():
        times = 1 + name.endswith("backward")
        ms = milliseconds(call, times=20)
        moved = sum(x.size * x.dtype.itemsize for x in sizes[name] if x is not None)
        # what a product can reach is arithmetic, what all else can reach is copying
        rate, most = (times * work, arithmetic) if work else (moved, copy)
        yield {"setting": label, "op": name, "ms": ms,
               "GB/s": None if work else moved / ms / 1e6,
               "TFLOP/s": times * work / ms / 1e9 if work else None,
               "share of ceiling": 1e3 * rate / ms / most,
               "PyTorch ms": other.get(name), "ratio": ratio(other.get(name), ms)}


def ratio(theirs, ours):
    """How many times as fast as PyTorch."""
    return theirs / ours if theirs else None


def ladder(n, arithmetic, theirs):
    """The rungs of the matrix product, and PyTorch's with TF32 off and on."""
    from kernels.cuda.ladder import RUNGS, milliseconds
    r = np.random.default_rng(1)
    host = [r.standard_normal((n, n), np.float32) for _ in range(2)]
    a, b = map(backend.module().array, host)
    measured = {}
    for name, run in RUNGS.items():
        try:
            measured[name] = milliseconds(run, a, b)
        except InputError:                      # a GPU without such tensor cores
            continue
    if theirs:
        measured |= theirs.products(*host)
    work = 2e3 * n ** 3                         # 2 n³ operations, 1,000 ms in a second
    return [{"product": name, "n": n, "ms": ms, "TFLOP/s": work / ms / 1e12,
             "share of arithmetic": work / ms / arithmetic} for name, ms in measured.items()]


def training(sizes, theirs, seconds=20):
    """A whole training step. The device is waited for once, after several."""
    from kernels.cuda.block import counted
    return [training_row(label, config, batch, theirs, seconds, counted)
            for label, config, batch in sizes]


def training_row(label, config, batch, theirs, seconds, counted):
    t = synthetic(config, batch)
    train.step(t).read()                        # compiles
    with counted() as launches:
        train.step(t).read()
    taken, began = [], time.perf_counter()
    while len(taken) < 3 or (len(taken) < 10 and time.perf_counter() - began < seconds):
        before = time.perf_counter()
        for _ in range(2):
            found = train.step(t)
        found.read()
        taken.append((time.perf_counter() - before) / 2)
    step, tokens = median(taken), batch * config.context
    other = theirs.training(config, batch, seconds) if theirs else None
    return {"setting": label, "batch": batch, "step ms": 1e3 * step,
            "tokens/s": round(tokens / step), "launches": launches.total(),
            "PyTorch tokens/s": other and round(tokens / other), "ratio": ratio(other, step)}


def generation(sizes, copy):
    """One text, token by token. Reading the weights once is the floor of a token."""
    return [generation_row(label, config, copy) for label, config, _ in sizes]


def generation_row(label, config, copy):
    model = GPT(config, np.random.default_rng(0))
    looked_up = model.positions.count() + (0 if config.tied else model.embedding.count())
    size, gaps, before = 4 * (model.count() - looked_up), [], None
    for _ in generate_ids(model, np.arange(PROMPT) % config.vocab, temperature=0,
                          tokens=min(MOST, config.context - PROMPT)):
        after = time.perf_counter()
        if before:
            gaps.append(after - before)
        before = after
    token = median(gaps)
    return {"setting": label, "tokens/s": round(1 / token), "ms a token": 1e3 * token,
            "weights MB": size / 1e6, "share of reading": size / copy / token}


def tables(parts, sizes, products=4096):
    """{title: rows} of the parts asked for, one after the other."""
    theirs = rival()
    rows, copy, arithmetic = ceilings()
    yield "ceilings of this card", rows
    if "ops" in parts:
        yield "matrix product, float32", ladder(products, arithmetic, theirs)
        yield "ops", ops(sizes, copy, arithmetic, theirs)
    if "train" in parts:
        yield "training step", training(sizes, theirs)
    if "generate" in parts:
        yield "generation", generation(sizes, copy)

"""bench --backend cuda: how fast is it on this GPU? Every number beside a ceiling measured on it.

    copy        bytes read and written a second by a kernel that copies: what an op that computes
                little can reach. (Arrays that fit into the GPU's cache can be faster.)
    arithmetic  multiply-adds a second by a kernel that does nothing else: what products can reach

Times of products and ops are medians by the device's own clock, after a warm-up, without the time
that Python needs to launch them (kernels/cuda/ceilings.py); a note says where it could not be kept
out. A training step and a token are as the user waits for them. PyTorch, where it can be imported
and has a GPU, is timed in the same run with TF32 off: tests/bench/torch_cuda.py. Each of the two
has the card's memory for itself, and a row for which it is too small says so.

Bytes are those of the arrays that must be read and of those that must be written, each once.
"""

import gc
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
NUMBERS = 124_000_000                           # that a step updates at once: a GPT-2
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


def apart(measure):
    """(measure(), "") or (None, what was wrong with it); its memory goes back to the driver."""
    from kernels.cuda import arrays
    from kernels.cuda.device import SIMULATED, cuda
    try:
        found, problem = measure(), ""
    except InputError as error:
        if "cannot go on" in str(error):        # kernels/cuda/device.py: no memory is another case
            raise
        found, problem = None, str(error).partition(":")[0]
    gc.collect()
    arrays.release()
    if not SIMULATED:                           # the driver gets it when Numba has time, or now
        cuda.current_context().memory_manager.deallocations.clear()
    return found, problem


def ops(sizes, copy, arithmetic, theirs):
    """A row for each op and each backward; steps update NUMBERS numbers at any setting."""
    rows, numbers = [], np.ones(NUMBERS, np.float32)
    for label, config, batch in sizes:
        for op, (inputs, settings) in bench_ops.cases(config, batch).items():
            if op.endswith("_"):                # many more than a cache has room for
                inputs = [numbers] * len(inputs)
            rows += op_rows(label, op, inputs, settings, copy, arithmetic, theirs)
    return rows


def op_rows(label, op, inputs, settings, copy, arithmetic, theirs):
    work = bench_ops.products(op, inputs)
    names = [op] if op.endswith("_") else [op, op + " backward"]
    found, problem = apart(lambda: op_times(op, inputs, settings))
    other = theirs.op(op, inputs, settings) if theirs else {}
    for times, name in enumerate(names, 1):
        ms, alone, moved = found[name] if found else (None, True, None)
        # what a product can reach is arithmetic, what all else can reach is copying
        rate, most = (times * work, arithmetic) if work else (moved, copy)
        yield {"setting": label, "op": name, "ms": ms,
               "GB/s": moved / ms / 1e6 if ms and moved and not work else None,
               "TFLOP/s": times * work / ms / 1e9 if ms and work else None,
               "share of ceiling": 1e3 * rate / ms / most if ms and rate else None,
               "PyTorch ms": other.get(name), "ratio": ratio(other.get(name), ms),
               "note": problem if alone else "with Python's time"}


def op_times(op, inputs, settings):
    """{name: (ms, whether without Python's time, bytes)} of an op and its backward."""
    from kernels.cuda.ceilings import timed
    kernels = backend.module()
    ours = [None if x is None else kernels.array(x) for x in inputs]
    forward = partial(getattr(kernels, op), *ours, **settings)
    if op.endswith("_"):
        return {op: (*timed(forward, times=20), step_bytes(ours))}
    y, saved = forward()
    dy = tuple(map(ones_like, y)) if isinstance(y, tuple) else ones_like(y)
    backward = partial(getattr(kernels, op + "_backward"), dy, saved)
    there, back = forward_bytes(op, ours, y, saved), backward_bytes(dy, saved, backward())
    return {op: (*timed(forward, times=20), there),
            op + " backward": (*timed(backward, times=20), back)}


def ones_like(y):
    return backend.module().ones(y.shape, y.dtype)


def step_bytes(arrays):
    """Of w, dw and the rest all are read, all but dw written."""
    return 2 * sum(x.nbytes for x in arrays) - arrays[1].nbytes


def forward_bytes(op, inputs, y, saved):
    """Inputs are read, y and what else is saved is written."""
    if op == "embedding":                       # as many rows of the table as y has, and the ids
        return inputs[0].nbytes + 2 * y.nbytes
    return sum(pieces(inputs, y, saved).values())


def backward_bytes(dy, saved, results):
    """dy and what was saved is read, what is not the same memory again is written."""
    read = pieces(dy, saved)
    both = read | pieces(results)
    return sum(both.values()) if len(both) > len(read) else 0


def pieces(*things):
    """{address: bytes} of the device's arrays among things and the tuples in them."""
    from kernels.cuda.arrays import INTERFACE
    found = {}
    for x in things:
        if isinstance(x, tuple | list):
            found |= pieces(*x)
        elif getattr(x, "__cuda_ndarray__", False) and x.size:
            found[getattr(x, INTERFACE)["data"][0]] = x.nbytes
    return found


def ratio(theirs, ours):
    """How many times as fast as PyTorch."""
    return theirs / ours if theirs and ours else None


def ladder(n, arithmetic, theirs):
    """The rungs of the matrix product, and PyTorch's with TF32 off and on."""
    from kernels.cuda.ladder import RUNGS
    r = np.random.default_rng(1)
    host = [r.standard_normal((n, n), np.float32) for _ in range(2)]
    found = {name: apart(partial(rung_time, run, host)) for name, run in RUNGS.items()}
    if theirs:
        found |= {name: (ms, "") for name, ms in theirs.products(*host).items()}
    work = 2e3 * n ** 3                         # 2 n³ operations, 1,000 ms in a second
    return [{"product": name, "n": n, "ms": ms, "TFLOP/s": work / ms / 1e12 if ms else None,
             "share of arithmetic": work / ms / arithmetic if ms else None, "note": problem}
            for name, (ms, problem) in found.items()]


def rung_time(run, host):
    from kernels.cuda.ceilings import milliseconds
    return milliseconds(partial(run, *map(backend.module().array, host)))


def training(sizes, theirs, seconds=20):
    """A whole training step. The device is waited for once, after several."""
    return [training_row(label, config, batch, theirs, seconds) for label, config, batch in sizes]


def training_row(label, config, batch, theirs, seconds):
    found, problem = apart(lambda: step_time(config, batch, seconds))
    step, launches = found or (None, None)
    other, tokens = theirs and theirs.training(config, batch, seconds), batch * config.context
    return {"setting": label, "batch": batch, "step ms": step and 1e3 * step,
            "tokens/s": step and round(tokens / step), "launches": launches,
            "PyTorch tokens/s": other and round(tokens / other), "ratio": ratio(other, step),
            "note": problem}


def step_time(config, batch, seconds):
    """(seconds a step takes, kernels that it launches)"""
    from kernels.cuda.block import counted
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
    return median(taken), launches.total()


def generation(sizes, copy):
    """One text, token by token. Reading the weights once is the floor of a token."""
    return [generation_row(label, config, copy) for label, config, _ in sizes]


def generation_row(label, config, copy):
    found, problem = apart(lambda: token_time(config))
    token, size = found or (None, None)
    return {"setting": label, "tokens/s": token and round(1 / token),
            "ms a token": token and 1e3 * token, "weights MB": size and size / 1e6,
            "share of reading": token and size / copy / token, "note": problem}


def token_time(config):
    """(seconds a token takes, bytes of weights that it reads)"""
    model = GPT(config, np.random.default_rng(0))
    looked_up = model.positions.count() + (0 if config.tied else model.embedding.count())
    gaps, before = [], None
    for _ in generate_ids(model, np.arange(PROMPT) % config.vocab, temperature=0,
                          tokens=min(MOST, config.context - PROMPT)):
        after = time.perf_counter()
        if before:
            gaps.append(after - before)
        before = after
    return median(gaps), 4 * (model.count() - looked_up)


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

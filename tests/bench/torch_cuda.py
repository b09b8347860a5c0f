"""PyTorch beside the CUDA kernels: the same ops and training step, timed on the same card.

Used by `python -m nanollm bench --backend cuda` where PyTorch is importable and finds a GPU. TF32
is off, as in nanollm's float32, except where a row says so. The device is kept busy while Python
launches what is timed, as for our kernels: kernels/cuda/ceilings.py says why. What does not fit
into the card's memory has no time, and whatever was taken is given back after each measurement.
"""

import gc
import time
from functools import cache
from statistics import median

import numpy as np
import torch
import torch.nn.functional as F
import torch_gpt

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
LOAD, MOST = 4096, 32                            # a load is a product of such matrices


def usable():
    return torch.cuda.is_available()


def tf32(on):
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = on


def in_heads(x, heads):
    B, T, C = x.shape
    return x.view(B, T, heads, C // heads).transpose(1, 2)


def attention(q, k, v, mask=None, *, heads, causal):
    y = F.scaled_dot_product_attention(*(in_heads(x, heads) for x in (q, k, v)), is_causal=causal)
    return y.transpose(1, 2).reshape(q.shape)


def self_attention(qkv, mask=None, *, heads, causal):
    return attention(*qkv.chunk(3, dim=-1), heads=heads, causal=causal)


def adamw_(w, dw, *, lr, t):
    """One fused step."""
    p = torch.nn.Parameter(w)
    p.grad = dw
    return torch.optim.AdamW([p], lr=lr, fused=True).step


FUNCTIONS = {
    "add": torch.add, "mul": torch.mul, "relu": F.relu, "tanh": torch.tanh,
    "sigmoid": torch.sigmoid, "gelu": lambda x: F.gelu(x, approximate="tanh"),
    "bias_gelu": lambda x, b: F.gelu(x + b, approximate="tanh"),
    "linear": lambda x, w, b: torch.matmul(x, w) + b,
    "matmul": torch.matmul,
    "embedding": F.embedding,
    "layernorm": lambda x, gamma, beta: F.layer_norm(x, gamma.shape, gamma, beta),
    "residual_layernorm": lambda x, h, gamma, beta: F.layer_norm(x + h, gamma.shape, gamma, beta),
    "softmax": lambda x: F.softmax(x, dim=-1),
    "logsumexp": lambda x: torch.logsumexp(x, dim=-1),
    "cross_entropy": lambda x, targets: F.cross_entropy(x.flatten(0, -2), targets.flatten()),
    "attention": attention, "self_attention": self_attention,
}


@cache
def matrices():
    return [torch.ones(LOAD, LOAD, device=DEVICE) for _ in range(2)]


def lap(run, loads):
    """(ms, alone) of run() behind so many loads; alone: Python was done before they were."""
    first, start, end = (torch.cuda.Event(enable_timing=True) for _ in range(3))
    a, y = matrices()
    began = time.perf_counter()
    first.record()
    for _ in range(loads):
        torch.matmul(a, a, out=y)
    start.record()
    run()
    end.record()
    queued = 1e3 * (time.perf_counter() - began)
    end.synchronize()
    return start.elapsed_time(end), queued < first.elapsed_time(start)


def milliseconds(run, times=20):
    """The median time of run(), by the device's clock, after a warm-up."""
    run()
    if DEVICE == "cpu":
        return median(seconds(run) for _ in range(times)) * 1e3
    a, y = matrices()
    torch.matmul(a, a, out=y)                    # warm, too
    loads = 1
    while loads < MOST and not lap(run, loads)[1]:
        loads *= 2
    return median(lap(run, loads)[0] for _ in range(times))


def seconds(run):
    began = time.perf_counter()
    run()
    return time.perf_counter() - began


def apart(measure, otherwise):
    """measure(), or `otherwise` where memory is full; either way nothing of it stays there."""
    try:
        found = measure()
    except torch.OutOfMemoryError:
        found = otherwise
    matrices.cache_clear()
    gc.collect()
    torch.cuda.empty_cache()
    return found


def op(name, inputs, settings):
    """{op: ms, "op backward": ms} of PyTorch's own; {} where it has none, or no room."""
    tf32(False)
    return apart(lambda: op_times(name, inputs, settings), {})


def op_times(name, inputs, settings):
    if name != "adamw_" and name not in FUNCTIONS:
        return {}
    if name == "adamw_":
        inputs = inputs[:2]                      # PyTorch keeps its moments itself
    tensors = [None if x is None else torch.from_numpy(np.ascontiguousarray(x)).to(DEVICE)
               for x in inputs]
    if name == "adamw_":
        return {name: milliseconds(adamw_(*tensors, **settings))}
    leaves = [x.requires_grad_() for x in tensors if x is not None and x.is_floating_point()]
    forward = FUNCTIONS[name]
    with torch.no_grad():
        alone = milliseconds(lambda: forward(*tensors, **settings))
    y = forward(*tensors, **settings)
    dy = torch.ones_like(y)
    back = milliseconds(lambda: torch.autograd.grad(y, leaves, dy, retain_graph=True))
    return {name: alone, name + " backward": back}


def products(a, b):
    """{name: ms} of a matrix product, without and with TF32."""
    found = {name: apart(lambda: product_time(a, b, on), None)
             for name, on in (("PyTorch, TF32 off", False), ("PyTorch, TF32 on", True))}
    tf32(False)
    return found


def product_time(a, b, on):
    a, b = (torch.from_numpy(x).to(DEVICE) for x in (a, b))
    tf32(on)
    return milliseconds(lambda: a @ b, times=10)


def training(config, batch, most):
    """Seconds a training step of the same GPT takes, eager; None where it has no room."""
    tf32(False)
    return apart(lambda: step_time(config, batch, most), None)


def step_time(config, batch, most):
    torch.manual_seed(0)
    model = torch_gpt.GPT(config).to(DEVICE)
    optimizer = torch_gpt.adamw(model, lr=1e-3)
    ids = torch.randint(config.vocab, (batch, config.context + 1), device=DEVICE)
    taken, began = [], time.perf_counter()
    while len(taken) < 4 or (len(taken) < 12 and time.perf_counter() - began < most):
        before = time.perf_counter()
        torch_gpt.training_step(model, optimizer, ids[:, :-1].contiguous(),
                                ids[:, 1:].contiguous())        # reads the loss: waits
        taken.append(time.perf_counter() - before)
    return median(taken[1:])

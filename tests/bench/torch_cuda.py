"""PyTorch beside the CUDA kernels: the same ops and training step, timed on the same card.

Used by `python -m nanollm bench --backend cuda` where PyTorch is importable and finds a GPU. TF32
is off, as in nanollm's float32, except where a row says so.
"""

import time
from statistics import median

import numpy as np
import torch
import torch.nn.functional as F
import torch_gpt

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


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


def adamw_(w, dw, m, v, *, lr, t):
    """One fused step; PyTorch keeps its moments itself."""
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


def milliseconds(run, times=20):
    """The median time of run(), by the device's clock, after a warm-up."""
    run()
    taken = []
    for _ in range(times):
        if DEVICE == "cpu":
            began = time.perf_counter()
            run()
            taken.append(1e3 * (time.perf_counter() - began))
            continue
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        run()
        end.record()
        end.synchronize()
        taken.append(start.elapsed_time(end))
    return median(taken)


def op(name, inputs, settings):
    """{op: ms, "op backward": ms} of PyTorch's own; {} where it has none."""
    tf32(False)
    tensors = [None if x is None else torch.from_numpy(np.ascontiguousarray(x)).to(DEVICE)
               for x in inputs]
    if name == "adamw_":
        return {name: milliseconds(adamw_(*tensors, **settings))}
    if name not in FUNCTIONS:
        return {}
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
    a, b = (torch.from_numpy(x).to(DEVICE) for x in (a, b))
    taken = {}
    for name, on in ("PyTorch, TF32 off", False), ("PyTorch, TF32 on", True):
        tf32(on)
        taken[name] = milliseconds(lambda: a @ b, times=10)
    tf32(False)
    return taken


def training(config, batch, seconds):
    """Seconds a training step of the same GPT takes, eager."""
    tf32(False)
    torch.manual_seed(0)
    model = torch_gpt.GPT(config).to(DEVICE)
    optimizer = torch_gpt.adamw(model, lr=1e-3)
    ids = torch.randint(config.vocab, (batch, config.context + 1), device=DEVICE)
    taken, began = [], time.perf_counter()
    while len(taken) < 4 or (len(taken) < 12 and time.perf_counter() - began < seconds):
        before = time.perf_counter()
        torch_gpt.training_step(model, optimizer, ids[:, :-1].contiguous(),
                                ids[:, 1:].contiguous())        # reads the loss: waits
        taken.append(time.perf_counter() - before)
    return median(taken[1:])

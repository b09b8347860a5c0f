"""Layers: ops with parameters.

A layer is an object whose attributes are its parameters (tensors) and its parts (layers, or lists
of layers). Nothing is registered: `parameters` walks the attributes, and a parameter's name is the
path to it, such as "blocks.0.attention.qkv.w". Calling a layer runs its forward; the tape knows the
backward.
"""

import math

import numpy as np

from nanollm import backend, functional as F
from nanollm.errors import InputError
from nanollm.ops.checks import expect
from nanollm.tape import Tensor


class Layer:
    """Base of all layers: finds the parameters, hands them out and takes them in."""

    def parameters(self, prefix=""):
        """{path: Tensor} of all parameters, in the order in which they were made."""
        found = {}
        for name, part in vars(self).items():
            parts = part if isinstance(part, list) else [part]
            for i, p in enumerate(parts):
                path = f"{prefix}{name}.{i}" if isinstance(part, list) else prefix + name
                if isinstance(p, Tensor):
                    found[path] = p
                elif isinstance(p, Layer):
                    found.update(p.parameters(path + "."))
        return found

    def count(self):
        """How many numbers the parameters hold."""
        return sum(t.data.size for t in self.parameters().values())

    def state_dict(self):
        """{path: NumPy array} of all parameters."""
        return {path: t.numpy() for path, t in self.parameters().items()}

    def load_state_dict(self, arrays):
        """Set all parameters; names and shapes must agree. Raises InputError if they do not."""
        parameters = self.parameters()
        missing, extra = parameters.keys() - arrays.keys(), arrays.keys() - parameters.keys()
        if missing or extra:
            raise InputError(f"these weights belong to another model: missing {sorted(missing)[:3]}"
                             f", not known here {sorted(extra)[:3]}")
        for path, t in parameters.items():
            expect("load_state_dict", path, arrays[path], tuple(t.shape))
        for path, t in parameters.items():
            t.data = backend.module().array(arrays[path].astype(t.dtype))

    def to(self, dtype=None):
        """Move the parameters to the current backend (and to `dtype`); returns the layer."""
        for t in self.parameters().values():
            host = t.data if isinstance(t.data, np.ndarray) else t.numpy()
            t.data = backend.module().array(host.astype(dtype or host.dtype))
        return self


def parameter(values, name):
    """A float32 tensor on the current backend."""
    return Tensor(backend.module().array(np.asarray(values, np.float32)), name)


class Linear(Layer):
    """y = x w + b, w (inputs, outputs) drawn from N(0, std²), b zero or absent."""

    def __init__(self, inputs, outputs, *, rng, bias=True, std=0.02):
        self.w = parameter(rng.normal(0, std, (inputs, outputs)), "w")
        self.b = parameter(np.zeros(outputs), "b") if bias else None

    def __call__(self, x):
        return F.linear(x, self.w, self.b)


class Embedding(Layer):
    """One row of `width` numbers for each of `vocab` ids, drawn from N(0, std²)."""

    def __init__(self, vocab, width, *, rng, std=0.02):
        self.w = parameter(rng.normal(0, std, (vocab, width)), "w")

    def __call__(self, ids):
        return F.embedding(ids, self.w)


class Positions(Layer):
    """x plus a learned row for each of `context` positions."""

    def __init__(self, context, width, *, rng, std=0.02):
        self.w = parameter(rng.normal(0, std, (context, width)), "w")

    def __call__(self, x, start=0):
        return F.positions(x, self.w, start=start)


class LayerNorm(Layer):
    """γ ⊙ x̂ + β, with γ = 1, β = 0 at first; β may be absent."""

    def __init__(self, width, *, bias=True, eps=1e-5):
        self.gamma = parameter(np.ones(width), "gamma")
        self.beta = parameter(np.zeros(width), "beta") if bias else None
        self.eps = eps

    def __call__(self, x, branch=None):
        """layernorm(x); with a branch (s, layernorm(s)), s = x + branch, in one walk."""
        if branch is None:
            return F.layernorm(x, self.gamma, self.beta, eps=self.eps)
        return F.residual_layernorm(x, branch, self.gamma, self.beta, eps=self.eps)


class FeedForward(Layer):
    """GELU(x w1 + b1) w2 + b2: each token thinks for itself, in a wider room."""

    def __init__(self, width, hidden, *, rng, bias=True, exact=False, std_out=0.02):
        self.inner = Linear(width, hidden, rng=rng, bias=bias)
        self.outer = Linear(hidden, width, rng=rng, bias=bias, std=std_out)
        self.exact = exact

    def __call__(self, x):
        z = F.linear(x, self.inner.w)                           # (..., F)
        if self.inner.b is None:
            z = F.gelu(z, exact=self.exact)
        else:
            z = F.bias_gelu(z, self.inner.b, exact=self.exact)
        return self.outer(z)                                    # (..., C)


class SelfAttention(Layer):
    """Queries, keys and values of the same tokens; each looks only at itself and the past."""

    def __init__(self, width, heads, *, rng, bias=True, std_out=0.02):
        self.heads = heads
        self.qkv = Linear(width, 3 * width, rng=rng, bias=bias)
        self.out = Linear(width, width, rng=rng, bias=bias, std=std_out)

    def __call__(self, x, memory=None):
        """memory: a KeyValueCache's room for this layer, for the tokens that came before."""
        qkv = self.qkv(x)                                       # (B, T, 3C)
        if memory is None:
            return self.out(F.self_attention(qkv, heads=self.heads, causal=True))
        q, k, v = F.split(qkv, parts=3)                         # (B, T, C)
        k, v = memory.append_(k.data, v.data)                   # (B, S, C)
        return self.out(F.attention(q, k, v, heads=self.heads, causal=True))

    def weights(self, x):
        """The attention map p (B, H, T, T) of tokens x (B, T, C), for drawing."""
        q, k, v = F.split(self.qkv(x), parts=3)
        return F.attention(q, k, v, heads=self.heads, causal=True, weights=True)[1]


class Block(Layer):
    """A pre-norm Transformer block: x + attention(layernorm(x)), then x + mlp(layernorm(x)).

    The second addition is left to the layernorm that follows it, the next block's or the model's
    last: a block takes (x, branch) and returns (x, branch), where x + branch is the token stream.
    """

    def __init__(self, width, heads, hidden, *, rng, bias=True, dropout=0.0, exact=False,
                 std_out=0.02):
        self.dropout = dropout
        self.norm1 = LayerNorm(width, bias=bias)
        self.attention = SelfAttention(width, heads, rng=rng, bias=bias, std_out=std_out)
        self.norm2 = LayerNorm(width, bias=bias)
        self.mlp = FeedForward(width, hidden, rng=rng, bias=bias, exact=exact, std_out=std_out)

    def __call__(self, x, branch=None, *, rng=None, memory=None):
        if branch is None:
            y = self.norm1(x)                                   # (B, T, C)
        else:
            x, y = self.norm1(x, branch)
        branch = drop(self.attention(y, memory), self.dropout, rng)
        x, y = self.norm2(x, branch)
        return x, drop(self.mlp(y), self.dropout, rng)

    def step(self, x, memory):
        """x (1, C) of one new token, without a tape; its key and value join the memory."""
        kernels, attention, mlp = backend.module(), self.attention, self.mlp
        x = kernels.attention_step_(
            x, self.norm1.gamma.data, data(self.norm1.beta), attention.qkv.w.data,
            data(attention.qkv.b), attention.out.w.data, data(attention.out.b), memory.k[0],
            memory.v[0], length=memory.length, heads=attention.heads, eps=self.norm1.eps)
        memory.length += 1
        return kernels.mlp_step(
            x, self.norm2.gamma.data, data(self.norm2.beta), mlp.inner.w.data, data(mlp.inner.b),
            mlp.outer.w.data, data(mlp.outer.b), exact=mlp.exact, eps=self.norm2.eps)


def data(tensor):
    """The tensor's array, or None where there is no tensor."""
    return None if tensor is None else tensor.data


def drop(x, rate, rng):
    """Dropout while training: only with a generator and a rate above 0."""
    if rng is None or rate == 0:
        return x
    return F.dropout(x, backend.module().keep(rng, tuple(x.shape), rate), rate=rate)


def residual_std(depth):
    """GPT-2's deviation for weights that write into the residual stream, 2 · depth of them.

    Independent branches add their variances: 1/√(2 depth) each keeps the sum's deviation at 0.02.
    Source: Radford et al. 2019, section 2.3.
    """
    return 0.02 / math.sqrt(2 * depth)

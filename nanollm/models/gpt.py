"""GPT: a stack of Transformer blocks that predicts the next token.

Equation    x = E[ids] + P;   for each block  x ← x + attention(layernorm(x)),
                                              x ← x + mlp(layernorm(x));
            logits = layernorm(x) W,   W = Eᵀ if the head is tied to the embedding
Shapes      ids (B, T) → logits (B, T, V); T at most `context`
Source      Radford et al. 2019 (GPT-2), section 2.3; weight tying: Press & Wolf 2017
"""

from dataclasses import asdict, dataclass

import numpy as np

from nanollm import backend, functional as F, nn
from nanollm.errors import InputError
from nanollm.tape import recording


@dataclass(frozen=True)
class GPTConfig:
    """What a GPT is made of. Raises InputError where the numbers make no model.

    vocab       V, tokens known                     heads    H, divides the width
    context     longest sequence it can see         depth    number of blocks
    width       C, numbers that describe a token    hidden   F of the feed-forward, 0 for 4 C
    bias        biases in Linear and LayerNorm      tied     head = embedding, transposed
    dropout     on embedding and branches           exact    GELU by erf, not tanh
    """

    vocab: int
    context: int
    width: int
    heads: int
    depth: int
    hidden: int = 0
    bias: bool = True
    tied: bool = True
    dropout: float = 0.0
    exact: bool = False

    def __post_init__(self):
        for name in "vocab", "context", "width", "heads", "depth":
            n = getattr(self, name)
            if type(n) is not int or n < 1:
                raise InputError(f"{name} is {n!r}, expected a whole number of at least 1")
        if self.width % self.heads:
            raise InputError(f"{self.heads} heads do not divide the width {self.width}; "
                             f"choose a width that is a multiple of {self.heads}")
        if type(self.hidden) is not int or self.hidden < 0:
            raise InputError(f"hidden is {self.hidden!r}, expected 0 (4 times the width) or more")
        if not 0 <= self.dropout < 1:
            raise InputError(f"dropout is {self.dropout}, expected at least 0 and less than 1")
        object.__setattr__(self, "hidden", self.hidden or 4 * self.width)

    def to_json(self):
        return asdict(self)


class GPT(nn.Layer):
    """The model. `rng` (a numpy Generator) draws the weights: the same ones on every backend."""

    def __init__(self, config, rng):
        c = self.config = config
        std_out = nn.residual_std(c.depth)
        self.embedding = nn.Embedding(c.vocab, c.width, rng=rng)
        self.positions = nn.Positions(c.context, c.width, rng=rng)
        self.blocks = [nn.Block(c.width, c.heads, c.hidden, rng=rng, bias=c.bias,
                                dropout=c.dropout, exact=c.exact, std_out=std_out)
                       for _ in range(c.depth)]
        self.norm = nn.LayerNorm(c.width, bias=c.bias)
        self.head = None if c.tied else nn.Linear(c.width, c.vocab, rng=rng, bias=False)

    def __call__(self, ids, *, cache=None, rng=None):
        """ids (B, T) → logits (B, T, V).

        cache    a KeyValueCache: ids follow the tokens it holds, and are added to it
        rng      a Generator that draws the dropout masks (training); None leaves dropout out
        """
        if cache and recording():
            raise InputError("GPT: a key-value cache keeps no gradients; leave it out under a tape")
        if ids.ndim != 2:
            raise InputError(f"GPT: ids have shape {tuple(ids.shape)}, expected (batch, time)")
        start = cache.length if cache else 0
        if start + ids.shape[1] > self.config.context:
            raise InputError(f"GPT: {start + ids.shape[1]} tokens, but the context holds only "
                             f"{self.config.context}")
        x = self.positions(self.embedding(ids), start)          # (B, T, C)
        x, branch = nn.drop(x, self.config.dropout, rng), None
        for i, block in enumerate(self.blocks):
            x, branch = block(x, branch, rng=rng, memory=cache and cache.layers[i])
        _, y = self.norm(x, branch)                             # (B, T, C)
        if self.head is not None:
            return self.head(y)                                 # (B, T, V)
        return F.linear(y, F.transpose(self.embedding.w, axes=(1, 0)))

    def step(self, token, cache):
        """The logits (V,) after one more token, which joins the cache (of batch 1). No tape."""
        c, kernels, at = self.config, backend.module(), cache.length
        if at >= c.context:
            raise InputError(f"GPT: the context of {c.context} tokens is full")
        if cache.batch != 1:
            raise InputError(f"GPT: a step takes one sequence, but the cache holds {cache.batch}")
        ids = kernels.array(np.array([token]))
        x = kernels.embedding(ids, self.embedding.w.data)[0]    # (1, C)
        x = kernels.add(x, self.positions.w.data[at:at + 1])[0]
        for block, memory in zip(self.blocks, cache.layers):
            x = block.step(x, memory)                           # (1, C)
        y, _ = kernels.layernorm(x, self.norm.gamma.data, nn.data(self.norm.beta),
                                 eps=self.norm.eps)
        if cache.head is None:
            cache.head = (self.head.w.data if self.head else
                          kernels.transpose(self.embedding.w.data, axes=(1, 0))[0])
        return kernels.linear(y, cache.head)[0][0]              # (V,)

    def loss(self, ids, targets, *, rng=None):
        """Mean cross-entropy of targets (B, T), in nats a token; targets of -1 do not count."""
        return F.cross_entropy(self(ids, rng=rng), targets)

    def attention_maps(self, ids):
        """[p (B, H, T, T) for each block], NumPy arrays, for drawing."""
        x, branch, maps = self.positions(self.embedding(ids)), None, []
        for block in self.blocks:
            y = block.norm1(x) if branch is None else block.norm1(x, branch)[1]
            maps.append(block.attention.weights(y).numpy())
            x, branch = block(x, branch)
        return maps

    def summary(self):
        """Rows (layer, output shape, parameters), one for each part of the model."""
        c = self.config
        tokens = f"(B, T, {c.width})"
        rows = [("embedding", tokens, self.embedding.count()),
                ("positions", tokens, self.positions.count())]
        for i, block in enumerate(self.blocks):
            rows += [(f"blocks.{i}.{name}", tokens, part.count())
                     for name, part in vars(block).items() if isinstance(part, nn.Layer)]
        return rows + [("norm", tokens, self.norm.count()),
                       ("head" + (" (tied)" if c.tied else ""), f"(B, T, {c.vocab})",
                        0 if c.tied else self.head.count())]


class KeyValueCache:
    """The keys and values of the tokens so far, so that a new token is computed alone.

    layers    one room for each block, k and v (B, context, C) of which `length` rows are filled
    head      the weights (C, V) of the scores: on a GPU a tied head is transposed by copying, once
    """

    def __init__(self, config, batch=1, dtype="float32"):
        self.batch = batch
        shape = batch, config.context, config.width
        self.layers = [_Memory(shape, dtype) for _ in range(config.depth)]
        self.head = None

    @property
    def length(self):
        return self.layers[-1].length                           # the last block fills up last

    def clear_(self):
        for layer in self.layers:
            layer.length = 0


class _Memory:
    def __init__(self, shape, dtype):
        kernels = backend.module()
        self.k, self.v, self.length = kernels.empty(shape, dtype), kernels.empty(shape, dtype), 0

    def append_(self, k, v):
        """Write k, v (B, T, C) behind what is there; return all keys and values (B, S, C)."""
        start, self.length = self.length, self.length + k.shape[1]
        append_ = backend.module().append_
        return append_(self.k, k, start), append_(self.v, v, start)

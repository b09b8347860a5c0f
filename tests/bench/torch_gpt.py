"""The GPT of nanollm/models/gpt.py in PyTorch, as a practitioner would write it.

It is the oracle of test_against_torch.py and the rival of bench.py. Parts carry the names that they
have in nanollm, so that weights go over by their names: `load` and `to_ours`.
"""

import torch
import torch.nn.functional as F
from torch import nn

LAST_NAMES = {"w": "weight", "b": "bias", "gamma": "weight", "beta": "bias"}


class SelfAttention(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.heads = c.heads
        self.qkv = nn.Linear(c.width, 3 * c.width, bias=c.bias)
        self.out = nn.Linear(c.width, c.width, bias=c.bias)

    def forward(self, x, memory=None, start=0):
        B, T, C = x.shape
        q, k, v = (part.view(B, T, self.heads, C // self.heads).transpose(1, 2)
                   for part in self.qkv(x).split(C, dim=2))     # (B, H, T, D)
        if memory is not None:                                  # two tensors (B, H, context, D)
            for kept, new in zip(memory, (k, v)):
                kept[:, :, start:start + T] = new
            k, v = (kept[:, :, :start + T] for kept in memory)  # (B, H, S, D)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=T > 1)
        return self.out(y.transpose(1, 2).reshape(B, T, C))


class FeedForward(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.inner = nn.Linear(c.width, c.hidden, bias=c.bias)
        self.outer = nn.Linear(c.hidden, c.width, bias=c.bias)
        self.approximate = "none" if c.exact else "tanh"

    def forward(self, x):
        return self.outer(F.gelu(self.inner(x), approximate=self.approximate))


class Block(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.norm1 = nn.LayerNorm(c.width, bias=c.bias)
        self.attention = SelfAttention(c)
        self.norm2 = nn.LayerNorm(c.width, bias=c.bias)
        self.mlp = FeedForward(c)

    def forward(self, x, memory=None, start=0):
        x = x + self.attention(self.norm1(x), memory, start)
        return x + self.mlp(self.norm2(x))


class GPT(nn.Module):
    """`config` is a nanollm GPTConfig; dropout is left out."""

    def __init__(self, config):
        super().__init__()
        c = self.config = config
        self.embedding = nn.Embedding(c.vocab, c.width)
        self.positions = nn.Embedding(c.context, c.width)
        self.blocks = nn.ModuleList(Block(c) for _ in range(c.depth))
        self.norm = nn.LayerNorm(c.width, bias=c.bias)
        self.head = nn.Linear(c.width, c.vocab, bias=False)
        if c.tied:
            self.head.weight = self.embedding.weight

    def forward(self, ids, targets=None):
        """ids (B, T) → logits (B, T, V); with targets (B, T) the mean cross-entropy."""
        x = self.embedding(ids) + self.positions.weight[:ids.shape[1]]
        for block in self.blocks:
            x = block(x)
        logits = self.head(self.norm(x))
        if targets is None:
            return logits
        return F.cross_entropy(logits.view(-1, logits.shape[-1]), targets.view(-1))

    def memory(self):
        """Room for the keys and values of one sequence: a pair (1, H, context, D) a block."""
        c = self.config
        shape = 1, c.heads, c.context, c.width // c.heads
        return [(torch.empty(shape), torch.empty(shape)) for _ in self.blocks]

    @torch.inference_mode()
    def decode(self, ids, memory, start):
        """Logits (V,) of the token after ids (1, T), which follow `start` tokens in memory.

        T is 1 unless start is 0.
        """
        x = self.embedding(ids) + self.positions.weight[start:start + ids.shape[1]]
        for block, kept in zip(self.blocks, memory):
            x = block(x, kept, start)
        return self.head(self.norm(x[0, -1]))


def adamw(model, *, lr, betas=(0.9, 0.999), decay=0.01):
    """AdamW that decays matrices only, in the fastest of PyTorch's three forms on a CPU (fused)."""
    parameters = list(model.parameters())
    groups = [{"params": [p for p in parameters if p.ndim > 1], "weight_decay": decay},
              {"params": [p for p in parameters if p.ndim == 1], "weight_decay": 0.0}]
    return torch.optim.AdamW([g for g in groups if g["params"]], lr=lr, betas=betas, fused=True)


def training_step(model, optimizer, x, y, clip=1.0):
    """One step on the batch x, y (B, T); returns the loss before it."""
    loss = model(x, y)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), clip)
    optimizer.step()
    return loss.item()


def their_name(path):
    """"blocks.0.mlp.inner.w" → "blocks.0.mlp.inner.weight"."""
    part, _, last = path.rpartition(".")
    return f"{part}.{LAST_NAMES[last]}"


def to_ours(model, path, tensor):
    """A weight of `model`, or its gradient, as nanollm keeps it: Linear's w is (in, out)."""
    linear = isinstance(model.get_submodule(path.rpartition(".")[0]), nn.Linear)
    return tensor.T if linear and tensor.ndim == 2 else tensor


def load(model, arrays):
    """Copy the weights {path: NumPy array} of a nanollm GPT into `model`, all of them."""
    named = dict(model.named_parameters())
    assert named.keys() == {their_name(path) for path in arrays}
    with torch.no_grad():
        for path in arrays:
            to_ours(model, path, named[their_name(path)]).copy_(torch.from_numpy(arrays[path]))

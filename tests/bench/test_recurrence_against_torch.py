"""PyTorch as oracle for the recurrences: results and all gradients, padded rows as packed ones.

Opt-in, like test_against_torch.py. PyTorch keeps w and u transposed and has a second bias.
"""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is only an oracle: `make torch` installs it")

from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence  # noqa: E402

from nanollm import backend, functional as F  # noqa: E402
from nanollm.recurrent import GRU, LSTM, RNN  # noqa: E402
from nanollm.tape import Tape, Tensor  # noqa: E402

PAIRS = {"rnn": (RNN, torch.nn.RNN), "lstm": (LSTM, torch.nn.LSTM), "gru": (GRU, torch.nn.GRU)}
B, T, E, H = 4, 7, 5, 6


@pytest.fixture(params=["numpy", "numba"], autouse=True)
def kernels(request):
    with backend.use(request.param):
        yield


def their_names(ours):
    """{their name: (our path, transposed?)}: cell i is layer i or, of two directions, i // 2."""
    names = {}
    for i, cell in enumerate(ours.cells):
        at = f"l{i // ours.directions}" + "_reverse" * (i % ours.directions)
        for path in cell.parameters():
            names[{"w": "weight_ih_", "u": "weight_hh_", "b": "bias_ih_", "bu": "bias_hh_"}[path]
                  + at] = f"cells.{i}.{path}", path in "wu"
    return names


def copy(ours, theirs):
    """Give `theirs` our weights; a second bias that we do not have is zero."""
    weights, names = ours.state_dict(), their_names(ours)
    with torch.no_grad():
        for name, tensor in theirs.named_parameters():
            if name not in names:
                assert name.startswith("bias_hh_")
                tensor.zero_()
                continue
            path, turn = names[name]
            tensor.copy_(torch.from_numpy(weights[path].T if turn else weights[path]))


def run(model, x, state, lengths):
    """PyTorch's y (B, T, ...), padded with zeros, and its state as a tuple."""
    if lengths is None:
        y, end = model(x, state)
    else:
        packed = pack_padded_sequence(x, torch.from_numpy(lengths), batch_first=True,
                                      enforce_sorted=False)
        y, end = model(packed, state)
        y, _ = pad_packed_sequence(y, batch_first=True, total_length=T)
    return y, end if isinstance(end, tuple) else (end,)


def close(got, want):
    """Relative to the largest entry."""
    return got.shape == want.shape and abs(got - want).max() <= 1e-5 * abs(want).max()


@pytest.mark.parametrize("op", PAIRS)
@pytest.mark.parametrize("lengths", [None, [7, 3, 1, 5]], ids=["full", "padded"])
@pytest.mark.parametrize("settings", [{}, {"bidirectional": True},
                                      {"layers": 2, "bidirectional": True}],
                         ids=["one layer", "two directions", "two layers of two"])
def test_results_and_gradients_are_pytorchs(op, lengths, settings):
    rng = np.random.default_rng(1)
    our_class, their_class = PAIRS[op]
    lengths = None if lengths is None else np.array(lengths)
    ours = our_class(E, H, rng=rng, **settings)
    theirs = their_class(E, H, num_layers=settings.get("layers", 1), batch_first=True,
                         bidirectional=settings.get("bidirectional", False))
    copy(ours, theirs)
    x = Tensor(rng.standard_normal((B, T, E), np.float32))
    state = [tuple(Tensor(rng.standard_normal((B, H), np.float32)) for _ in range(ours.states))
             for _ in ours.cells]
    their_x = torch.from_numpy(x.data).requires_grad_()
    their_state = tuple(torch.stack([torch.from_numpy(part[i].data) for part in state])
                        .requires_grad_() for i in range(ours.states))
    y_seed = rng.standard_normal((B, T, H * ours.directions), np.float32)
    seeds = [rng.standard_normal((len(state), B, H), np.float32) for _ in range(ours.states)]

    with Tape() as tape:
        y, end = ours(x, lengths, state)
        loss = F.sum(y * y_seed)
        for i, part in enumerate(end):
            for s, seed in zip(part, seeds):
                loss = loss + F.sum(s * seed[i])
    want, their_end = run(theirs, their_x, their_state if len(their_state) > 1 else their_state[0],
                          lengths)
    their_loss = (want * torch.from_numpy(y_seed)).sum()
    for s, seed in zip(their_end, seeds):
        their_loss = their_loss + (s * torch.from_numpy(seed)).sum()
    their_loss.backward()

    assert close(y.data, want.detach().numpy())
    for i, part in enumerate(end):
        for s, their_s in zip(part, their_end):
            assert close(s.data, their_s[i].detach().numpy())
    parameters, flat_state = ours.parameters(), [s for part in state for s in part]
    dx, *rest = tape.gradient(loss, [x, *flat_state, *parameters.values()])
    assert close(dx, their_x.grad.numpy())
    for n, ds in enumerate(rest[:len(flat_state)]):
        layer, which = divmod(n, ours.states)
        assert close(ds, their_state[which].grad[layer].numpy())
    gradients, named = dict(zip(parameters, rest[len(flat_state):])), dict(
        theirs.named_parameters())
    for name, (path, turn) in their_names(ours).items():
        want = named[name].grad.numpy()
        assert close(gradients[path], want.T if turn else want), path


@pytest.mark.parametrize("masked", [False, True])
def test_additive_and_multiplicative_attention_are_pytorchs(masked):
    rng = np.random.default_rng(2)
    shapes = (B, 3, H), (B, T, H), (B, T, E), (H,)
    arrays = [rng.standard_normal(shape, np.float32) for shape in shapes]
    mask = np.arange(T) < np.array([7, 3, 1, 5])[:, None] if masked else None
    for op in "additive_attention", "multiplicative_attention":
        forward, backward = backend.lookup(op)
        ours = arrays if op[0] == "a" else arrays[:3]
        q, k, v, *w = tensors = [torch.from_numpy(a).requires_grad_() for a in ours]
        scores = torch.tanh(q[:, :, None] + k[:, None]) @ w[0] if w else q @ k.transpose(1, 2)
        if masked:
            scores = scores.masked_fill(~torch.from_numpy(mask)[:, None], -torch.inf)
        want = scores.softmax(-1) @ v
        y, saved = forward(*ours, mask)
        assert close(y, want.detach().numpy())
        dy = rng.standard_normal(y.shape, np.float32)
        want.backward(torch.from_numpy(dy))
        *dxs, none = backward(dy, saved)
        assert none is None
        for dx, tensor in zip(dxs, tensors, strict=True):
            assert close(dx, tensor.grad.numpy()), op

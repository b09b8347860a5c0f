"""PyTorch as oracle: the same weights and the same batch give the same numbers.

Opt-in: `make torch` runs it in .venv-torch. Without PyTorch it is skipped.
"""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is only an oracle: `make torch` installs it")

import torch.nn.functional as TF  # noqa: E402

import torch_gpt  # noqa: E402
from nanollm import backend, optim  # noqa: E402
from nanollm.models import GPT, GPTConfig  # noqa: E402
from nanollm.tape import Tape  # noqa: E402

VARIANTS = {"tied": {}, "untied": {"tied": False}, "no biases": {"bias": False},
            "exact GELU": {"exact": True},
            "untied, no biases, exact GELU": {"tied": False, "bias": False, "exact": True}}
B, T, V = 3, 16, 40


@pytest.fixture(params=["numpy", "numba"], autouse=True)
def kernels(request):
    """The backend's module; every test here runs on each."""
    with backend.use(request.param):
        yield backend.module()


@pytest.fixture
def rng():
    return np.random.default_rng(2)


@pytest.fixture(params=VARIANTS.values(), ids=VARIANTS)
def models(request, rng):
    """Our GPT and PyTorch's with the same weights: no gamma is 1 and no bias is 0."""
    ours = GPT(GPTConfig(V, context=T + 2, width=32, heads=4, depth=3, **request.param), rng)
    weights = {path: (w + rng.normal(0, 0.1, w.shape)).astype(np.float32)
               for path, w in ours.state_dict().items()}
    ours.load_state_dict(weights)
    theirs = torch_gpt.GPT(ours.config)
    torch_gpt.load(theirs, weights)
    return ours, theirs


def batch(rng):
    ids = rng.integers(0, V, (B, T + 1))
    return np.ascontiguousarray(ids[:, :-1]), np.ascontiguousarray(ids[:, 1:])


def loss_and_gradients(model, x, y):
    parameters = model.parameters()
    with Tape() as tape:
        loss = model.loss(x, y)
    return float(loss.data), dict(zip(parameters, tape.gradient(loss, list(parameters.values()))))


def their_gradient(model, path):
    parameter = model.get_parameter(torch_gpt.their_name(path))
    return torch_gpt.to_ours(model, path, parameter.grad).numpy()


def close(got, want, tolerance=1e-5):
    """Relative to the largest entry."""
    got, want = np.asarray(got), np.asarray(want)
    return got.shape == want.shape and abs(got - want).max() <= tolerance * abs(want).max()


def test_logits_are_pytorchs(models, rng):
    ours, theirs = models
    x, _ = batch(rng)
    with torch.inference_mode():
        want = theirs(torch.from_numpy(x)).numpy()
    assert abs(ours(x).numpy() - want).max() <= 1e-5


def test_gradients_and_their_clipping_are_pytorchs(models, rng):
    ours, theirs = models
    x, y = batch(rng)
    theirs(torch.from_numpy(x), torch.from_numpy(y)).backward()
    _, gradients = loss_and_gradients(ours, x, y)
    for path, dw in gradients.items():
        assert close(dw, their_gradient(theirs, path)), path
    squared, scale = optim.clip_scale(gradients, 1.0)
    assert close(squared ** 0.5, torch.nn.utils.clip_grad_norm_(theirs.parameters(), 1.0))
    for path, dw in gradients.items():
        assert close(scale * dw, their_gradient(theirs, path)), path


def test_ten_adamw_steps_have_pytorchs_losses(models, rng):
    ours, theirs = models
    x, y = batch(rng)
    settings = {"lr": 1e-3, "decay": 0.1}
    optimizer = torch_gpt.adamw(theirs, betas=(0.9, 0.99), **settings)
    state = optim.adamw_state(ours.parameters())
    losses = []
    for _ in range(10):
        loss, gradients = loss_and_gradients(ours, x, y)
        squared, scale = optim.clip_scale(gradients, 1.0)
        assert squared > 1, "nothing is clipped"
        optim.adamw(ours.parameters(), gradients, state, beta2=0.99, scale=scale, **settings)
        losses.append((loss, torch_gpt.training_step(theirs, optimizer, *map(torch.from_numpy,
                                                                            (x, y)))))
    assert losses[9][0] < losses[0][0] - 0.1, "nothing is learned"
    for ours, theirs in losses:
        assert abs(ours - theirs) <= 1e-4


def check_op(op, call, arrays, *constants, **settings):
    """`op` and its backward, against `call` of the same arrays as tensors and PyTorch's autograd.

    constants    inputs without a gradient
    """
    forward, backward = backend.lookup(op)
    y, saved = forward(*arrays, *constants, **settings)
    tensors = [torch.from_numpy(a).requires_grad_() for a in arrays]
    want = call(*tensors)
    assert close(y, want.detach())
    dy = np.random.default_rng(3).standard_normal(want.shape, np.float32)
    want.backward(torch.from_numpy(np.asarray(dy)))
    for name, dx, tensor in zip("abcd", backward(dy, saved), tensors):
        assert close(dx, tensor.grad), f"{op}: gradient of input {name}"


def normals(rng, *shapes):
    return [rng.standard_normal(shape, np.float32) for shape in shapes]


@pytest.mark.parametrize("causal", [False, True])
def test_attention_with_padding_is_pytorchs(causal, rng):
    lengths = np.array([9, 4, 1])
    mask = np.arange(9)[None, None, :] < lengths[:, None, None]           # (B, 1, S)
    seen = torch.from_numpy(np.broadcast_to(mask & (np.tri(9, dtype=bool) | (not causal)),
                                            (3, 9, 9)).copy())[:, None]   # (B, 1, T, S)

    def theirs(q, k, v):
        q, k, v = (x.view(3, 9, 2, 4).transpose(1, 2) for x in (q, k, v))
        y = TF.scaled_dot_product_attention(q, k, v, attn_mask=seen)
        return y.transpose(1, 2).reshape(3, 9, 8)

    check_op("attention", theirs, normals(rng, (3, 9, 8), (3, 9, 8), (3, 9, 8)), mask,
             heads=2, causal=causal)


def test_cross_entropy_with_ignored_targets_is_pytorchs(rng):
    targets = rng.integers(0, 11, (4, 5))
    targets[1, 2:] = -1
    check_op("cross_entropy",
             lambda x: TF.cross_entropy(x.flatten(0, 1), torch.from_numpy(targets).flatten(),
                                        ignore_index=-1),
             normals(rng, (4, 5, 11)), targets)


def test_layernorm_is_pytorchs(rng):
    check_op("layernorm", lambda x, gamma, beta: TF.layer_norm(x, (40,), gamma, beta),
             normals(rng, (3, 5, 40), 40, 40))


@pytest.mark.parametrize("exact", [False, True])
def test_gelu_is_pytorchs(exact, rng):
    x = 3 * rng.standard_normal((5, 40), np.float32)
    check_op("gelu", lambda x: TF.gelu(x, approximate="none" if exact else "tanh"), [x],
             exact=exact)


def test_adamw_is_pytorchs(kernels, rng):
    w, m, v = rng.standard_normal(100, np.float32), np.zeros(100, "f"), np.zeros(100, "f")
    theirs = torch.from_numpy(w.copy())
    optimizer = torch.optim.AdamW([theirs], lr=0.01, betas=(0.8, 0.95), eps=1e-6, weight_decay=0.2)
    for t in range(1, 6):
        dw = rng.standard_normal(100, np.float32)
        theirs.grad = torch.from_numpy(dw.copy())
        optimizer.step()
        kernels.adamw_(w, dw, m, v, lr=0.01, t=t, beta1=0.8, beta2=0.95, eps=1e-6, decay=0.2)
        assert close(w, theirs, 1e-6)

"""A whole training and a whole generation on the device, held against the reference's."""

import csv
import math
from dataclasses import replace

import numpy as np
import pytest

from judges import agree
from kernels import cuda
from kernels.cuda import flat
from nanollm import backend, checkpoint, generate, optim, presets, text, train
from nanollm.cli import launches
from nanollm.errors import InputError
from nanollm.models.gpt import GPT, GPTConfig
from nanollm.parallel import loss_and_gradients

TEXT = "the cat sat on the mat and the dog sat on the log. " * 4
SMALL = replace(presets.preset("quick"), tokenizer="characters", context=4, width=4, heads=2,
                depth=1, batch=2, steps=4, evaluate=2, save=2, warmup=1, bias=True)
CONFIG = GPTConfig(vocab=7, context=6, width=4, heads=2, depth=2)


@pytest.fixture(autouse=True)
def on_the_device():
    with backend.use("cuda"):
        yield


def batch(seed=0):
    ids = np.random.default_rng(seed).integers(CONFIG.vocab, size=(2, CONFIG.context + 1))
    return ids[:, :-1], ids[:, 1:]


def steps(name, config=CONFIG, count=2):
    """(losses, weights) of AdamW steps with clipping on one backend, in float64."""
    with backend.use(name):
        model = GPT(config, np.random.default_rng(0)).to("float64")
        state, losses = optim.adamw_state(model.parameters()), []
        for seed in range(count):
            loss, gradients = loss_and_gradients(model, *batch(seed))
            squared, scale = optim.clip_scale(gradients, 0.5)
            optim.adamw(model.parameters(), gradients, state, lr=0.01, scale=scale)
            losses += [np.float64(backend.module().numpy(x)) for x in (loss, squared)]
        return losses, list(model.state_dict().values())


@pytest.mark.parametrize("change", [{}, {"tied": False, "bias": False, "exact": True}],
                         ids=["tied", "untied, no biases, erf"])
def test_training_steps_agree_with_the_reference(change):
    got, want = (steps(name, replace(CONFIG, **change)) for name in ("cuda", "numpy"))
    for ours, theirs in zip(got, want):
        agree("two steps", ours, theirs, "float64")


def test_nothing_goes_to_the_host_during_a_step(monkeypatch):
    model = GPT(CONFIG, np.random.default_rng(0))
    state = optim.adamw_state(model.parameters())

    def refuse(*_, **__):
        raise AssertionError("a step waits for the device")
    monkeypatch.setattr(type(model.norm.gamma.data), "copy_to_host", refuse)
    loss, gradients = loss_and_gradients(model, *batch(), rng_seed=[1])
    gradients = cuda.gather(gradients)
    _, scale = optim.clip_scale(gradients, 1.0)
    optim.adamw(model.parameters(), gradients, state, lr=0.01, scale=scale)


def test_the_optimizer_takes_two_launches_whatever_the_number_of_parameters():
    model = GPT(CONFIG, np.random.default_rng(0))
    state = optim.adamw_state(model.parameters())
    _, gradients = loss_and_gradients(model, *batch())
    gradients = cuda.gather(gradients)
    with launches.counted() as seen:
        optim.adamw(model.parameters(), gradients, state, lr=0.01)
    assert seen == {"_adamw": 2}


def test_parameters_live_in_one_array_and_loaded_ones_move_there():
    model = GPT(CONFIG, np.random.default_rng(0))
    state = optim.adamw_state(model.parameters())
    home = state["m"].adopt(model.parameters())
    assert all(t.data is home[path] for path, t in model.parameters().items())
    other = GPT(CONFIG, np.random.default_rng(5)).state_dict()
    model.load_state_dict(other)
    state["m"].adopt(model.parameters())
    for path, t in model.parameters().items():
        assert t.data is home[path]
        np.testing.assert_array_equal(t.numpy(), other[path])


def test_a_flat_array_keeps_one_dtype():
    with pytest.raises(InputError, match="several dtypes"):
        flat.Flat({"a": np.ones(2), "b": np.ones(2, np.float32)}, cuda.empty)


def curve(folder):
    with open(folder / "losses.csv", newline="") as file:
        return [(row["step"], row["train_loss"], row["grad_norm"]) for row in csv.DictReader(file)]


def test_a_run_trains_stops_resumes_and_writes(tmp_path):
    file = tmp_path / "text.txt"
    file.write_text(TEXT)
    settings = replace(SMALL, data=str(file), dropout=0.2, accumulate=2)
    metrics = train.run(train.begin(settings, tmp_path / "a", quiet=True), quiet=True)
    assert metrics["backend"] == "cuda" and math.isfinite(metrics["val_loss"])
    train.run(train.begin(replace(settings, steps=2), tmp_path / "b", quiet=True), quiet=True)
    model = GPT(settings.model(text.Characters.train(TEXT).vocab), np.random.default_rng(0))
    checkpoint.load(tmp_path / "b", model)
    written = generate.generate(model, text.Characters.train(TEXT), "the ", tokens=6, temperature=0)
    assert len("".join(written)) == 6
    assert curve(tmp_path / "b")[:1] == curve(tmp_path / "a")[:1]


def test_both_backends_write_the_same():
    ids, written = np.array([1, 2, 3]), {}
    for name in "numpy", "cuda":
        with backend.use(name):
            model = GPT(CONFIG, np.random.default_rng(3)).to("float64")
            written[name] = list(generate.generate_ids(model, ids, tokens=8, temperature=0))
    assert written["cuda"] == written["numpy"]


def test_a_model_moves_from_one_backend_to_the_other_and_back():
    with backend.use("numpy"):
        model = GPT(CONFIG, np.random.default_rng(3))
        before = model.state_dict()
    model.to()
    assert model.norm.gamma.data.__class__ is cuda.ones(1).__class__
    with backend.use("numpy"):
        model.to()
        for path, a in model.state_dict().items():
            np.testing.assert_array_equal(a, before[path])

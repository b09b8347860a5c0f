"""A whole training and a whole generation on the device, held against the reference's."""

import csv
import json
import math
import signal
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from judges import agree
from kernels import cuda
from kernels.cuda import arrays, block, ceilings, device, flat
from nanollm import backend, checkpoint, generate, optim, presets, text, train
from nanollm.cli import bench, bench_cuda, main
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
    with block.counted() as seen:
        optim.adamw(model.parameters(), gradients, state, lr=0.01)
    assert seen["adam._adamw"] == 2


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


def test_gradients_may_come_in_any_order_and_for_some_parameters_only():
    def stepped(name, order, only):
        with backend.use(name):
            model = GPT(CONFIG, np.random.default_rng(0)).to("float64")
            parameters = {path: t for path, t in model.parameters().items() if only in path}
            state = optim.adamw_state(parameters if order else model.parameters())
            _, gradients = loss_and_gradients(model, *batch())
            gradients = {path: gradients[path] for path in sorted(parameters, reverse=True)}
            optim.adamw(parameters, gradients, state, lr=0.1)
            return list(model.state_dict().values())
    for case in (True, ""), (False, "blocks.0"):
        agree("one step", stepped("cuda", *case), stepped("numpy", *case), "float64")


def test_an_optimizers_state_is_of_its_parameters_dtype():
    model = GPT(CONFIG, np.random.default_rng(0))
    state = optim.adamw_state(model.parameters())
    _, gradients = loss_and_gradients(model.to("float64"), *batch())
    with pytest.raises(InputError, match="float64, but the optimizer's state float32"):
        optim.adamw(model.parameters(), gradients, state, lr=0.1)


def test_a_flat_array_keeps_one_dtype():
    with pytest.raises(InputError, match="several dtypes"):
        flat.Flat({"a": np.ones(2), "b": np.ones(2, np.float32)}, cuda.empty)


def curve(folder):
    with open(folder / "losses.csv", newline="") as file:
        return [(row["step"], row["train_loss"], row["grad_norm"]) for row in csv.DictReader(file)]


def test_a_run_trains_stops_resumes_and_writes(tmp_path, monkeypatch):
    file = tmp_path / "text.txt"
    file.write_text(TEXT)
    settings = replace(SMALL, data=str(file), dropout=0.2, steps=2, evaluate=2)
    metrics = train.run(train.begin(settings, tmp_path / "a", quiet=True), quiet=True)
    assert metrics["backend"] == "cuda" and math.isfinite(metrics["val_loss"])
    step = train.step

    def stopped(t):
        signal.raise_signal(signal.SIGINT)
        return step(t)
    with monkeypatch.context() as patch:
        patch.setattr(train, "step", stopped)
        train.run(train.begin(settings, tmp_path / "b", quiet=True), quiet=True)
    train.run(train.resume(tmp_path / "b", quiet=True), quiet=True)
    assert curve(tmp_path / "b") == curve(tmp_path / "a")
    model, other = (GPT(settings.model(text.Characters.train(TEXT).vocab),
                        np.random.default_rng(0)) for _ in range(2))
    checkpoint.load(tmp_path / "a", model)
    checkpoint.load(tmp_path / "b", other)
    for a, b in zip(model.state_dict().values(), other.state_dict().values()):
        np.testing.assert_array_equal(a, b)
    written = generate.generate(model, text.Characters.train(TEXT), "the ", tokens=6, temperature=0)
    assert len("".join(written)) == 6


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


@pytest.mark.parametrize("words, line", [
    ("[2] cuMemAlloc results in CUDA_ERROR_OUT_OF_MEMORY", "the GPU's memory is full: take"),
    ("[700] cuMemcpyDtoH results in\nCUDA_ERROR_ILLEGAL_ADDRESS", "the GPU failed .*--resume"),
], ids=["out of memory", "a kernel failed"])
def test_a_failing_device_gives_one_line_and_leaves_the_last_checkpoint(words, line, tmp_path,
                                                                        monkeypatch):
    def fail(*_, **__):
        raise device.FAILURE[0](words)

    def fail_at(t):
        if t.step == 2:
            monkeypatch.setattr(arrays.cuda.devicearray.FakeCUDAArray, "copy_to_host", fail)
        return step(t)
    file, step = tmp_path / "text.txt", train.step
    file.write_text(TEXT)
    monkeypatch.setattr(train, "step", fail_at)
    with pytest.raises(InputError, match=line) as error:
        train.run(train.begin(replace(SMALL, data=str(file)), tmp_path / "a", quiet=True),
                  quiet=True)
    assert "\n" not in str(error.value)
    assert checkpoint.step_folders(tmp_path / "a")[-1].name == "step-000002"


def test_memory_that_cannot_be_had_is_asked_for_again_after_idle_memory_was_released(monkeypatch):
    cuda.empty((20, 300))
    asked = []

    def refuse_once(size, dtype):
        asked.append(any(arrays.idle.values()))
        raise device.FAILURE[0]("CUDA_ERROR_OUT_OF_MEMORY")
    monkeypatch.setattr(arrays, "cuda", type("", (), {"device_array": staticmethod(refuse_once)}))
    with pytest.raises(InputError, match="memory is full"):
        arrays.take(123_456)
    assert asked == [True, False]


TINY = GPTConfig(vocab=5, context=11, width=4, heads=2, depth=1)


@pytest.fixture
def small_bench(monkeypatch, tmp_path):
    """The bench at sizes for the simulator, where all that is timed takes half a millisecond."""
    tables = bench_cuda.tables
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(bench, "sizes", lambda args: [("tiny", TINY, 1)])
    monkeypatch.setattr(bench_cuda, "tables", lambda parts, sizes: tables(parts, sizes, 5))
    monkeypatch.setattr(bench_cuda, "NUMBERS", 20)
    monkeypatch.setattr(bench_cuda, "rival", lambda: None)
    monkeypatch.setattr(bench_cuda.training, "__defaults__", (0,))
    monkeypatch.setattr(ceilings, "timed", lambda run, times=5: (run(), (0.5, True))[1])

    def tables_of(part):
        assert main(["bench", part, "--backend", "cuda", "--json", "out.json"]) == 0
        return json.loads((tmp_path / "out.json").read_text())["tables"]
    return tables_of


def test_the_bench_measures_every_part(small_bench, capsys):
    tables = small_bench("all")
    assert list(tables) == ["ceilings of this card", "matrix product, float32", "ops",
                            "training step", "generation"]
    assert tables["training step"][0]["launches"] > 40
    assert "share of ceiling" in capsys.readouterr().out
    bytes_moved = {row["op"]: row["GB/s"] and round(row["GB/s"] * 0.5e6) for row in tables["ops"]}
    x, hidden = 4 * 11 * 4, 4 * 11 * 16
    for op, moved in {"adamw_": 7 * 80, "momentum_": 5 * 80, "sgd_": 3 * 80, "add": 3 * x,
                      "add backward": None, "mul backward": 5 * x, "gelu": 2 * hidden,
                      "gelu backward": 3 * hidden, "relu backward": 3 * hidden,
                      "embedding": 8 * 11 + 2 * x, "self_attention": None}.items():
        assert bytes_moved[op] == moved, op


def test_a_row_for_which_memory_is_too_small_says_so(small_bench, monkeypatch):
    def full(*inputs, **settings):
        raise device.failed(device.SimulatedFailure("CUDA_ERROR_OUT_OF_MEMORY"))
    monkeypatch.setattr(cuda, "gelu", full)
    rows = {row["op"]: row for row in small_bench("ops")["ops"]}
    for op in "gelu", "gelu backward":
        assert rows[op]["ms"] is None and rows[op]["note"] == "the GPU's memory is full"
    assert rows["relu"]["ms"] == rows["adamw_"]["ms"] == 0.5 and rows["relu"]["note"] == ""


def test_a_gpu_that_failed_ends_the_bench():
    def broken():
        raise device.failed(device.SimulatedFailure("CUDA_ERROR_ILLEGAL_ADDRESS"))
    with pytest.raises(InputError, match="cannot go on"):
        bench_cuda.apart(broken)


@pytest.mark.parametrize("waits", [False, True])
def test_python_s_time_is_kept_out_of_a_kernel_s(waits, monkeypatch):
    """A host that needs 7 ms to launch 2 ms of work, and a device that does loads of 1 ms."""
    now = {"host": 0.0, "device": 0.0}

    def work(host, took):
        now["host"] += host
        now["device"] = max(now["host"], now["device"]) + took

    class Event:
        def record(self):
            work(0, 0)
            self.at = now["device"]

        def synchronize(self):
            now["host"] = max(now["host"], now["device"])

    def run():
        if waits:
            now["host"] = max(now["host"], now["device"])
        work(7, 2)
    monkeypatch.setattr(ceilings, "cuda", SimpleNamespace(
        event=Event, event_elapsed_time=lambda first, last: last.at - first.at))
    monkeypatch.setattr(ceilings, "time", SimpleNamespace(perf_counter=lambda: now["host"] / 1e3))
    monkeypatch.setattr(ceilings, "multiply_add", lambda: work(0.01, 1))
    assert ceilings.timed(run) == pytest.approx((9, False) if waits else (2, True))


def test_the_check_covers_steps_and_finds_what_is_wrong(monkeypatch, capsys):
    assert main(["check", "clip_factor", "dropout", "--backend", "cuda", "--seed", "3"]) == 0
    assert "all is well" in capsys.readouterr().out
    monkeypatch.setattr(cuda, "clip_factor", lambda squared, *, limit, most=1.0: squared)
    assert main(["check", "clip_factor", "--backend", "cuda"]) == 1
    assert "WRONG" in capsys.readouterr().out

"""The CUDA kernels, judged like the others: run by test_cuda.py in Numba's simulator.

On a machine with a GPU the same checks run on it: pytest tests/simulator/checks.py
"""

import inspect
from importlib import import_module

import numpy as np
import pytest

from cases import CASES, CELLS, LARGE, STEPS, Draw, recurrence
from judges import CLOSE, Arrays, agree, check_numbers, check_step, copies, flat, pair, public
from judges import same_bits, situation
from kernels import cuda
from kernels.cuda import arrays as memory
from kernels.cuda.block import by_entry
from kernels.cuda.device import SIMULATED, cuda as device
from kernels.cuda.philox import philox
from nanollm import backend, functional as F, ops
from nanollm.errors import InputError
from nanollm.tape import Tape, Tensor

# What only many threads can get wrong: huge scores, sums in several passes, tiles and their edges.
LONG = [
    ("softmax", "long row of huge scores", lambda r: ([r.normal(2, 30) * 1e3], {})),
    ("logsumexp", "long row of huge scores", lambda r: ([r.normal(2, 30) * 1e3], {})),
    ("sum", "three passes", lambda r: ([r.normal(4200)], {})),
    ("sum", "long inner axis", lambda r: ([r.normal(2, 150, 3)], {"axis": 1})),
    ("mean", "long first axis", lambda r: ([r.normal(150, 3)], {"axis": 0})),
    ("bias_gelu", "sums in two passes", lambda r: ([r.normal(130, 2), r.normal(2)], {})),
    ("transpose", "tiles of three matrices", lambda r: ([r.normal(3, 9, 6)], {"axes": (0, 2, 1)})),
    ("transpose", "a matrix of pairs", lambda r: ([r.normal(9, 6, 2)], {"axes": (1, 0, 2)})),
    ("transpose", "all axes", lambda r: ([r.normal(2, 3, 4, 5)], {"axes": (3, 2, 1, 0)})),
    ("transpose", "folded", lambda r: ([r.normal(1, 2, 3, 9)], {"axes": (3, 0, 1, 2)})),
    ("cross_entropy", "far apart and impossible",
     lambda r: ([np.where(np.arange(30) % 3, 100 * r.normal(5, 30), r.dtype.type(-np.inf)),
                 np.array([1, -1, 29, 2, 14])], {})),
]
if not SIMULATED:                                       # there, they would take hours
    LONG += LARGE
ROWS = [case for case in CASES + LONG if hasattr(cuda, case[0])]
AGAIN = list({row[0]: row for row in reversed(ROWS)}.values()) if SIMULATED else ROWS
SMALL = [step for step in STEPS
         if hasattr(cuda, step[0]) and not (SIMULATED and step[1].startswith("large"))]


def label(row):
    return f"{row[0]}, {row[1]}"


class Watched(Arrays):
    """Remembers what was put on the device."""

    def __init__(self):
        super().__init__("cuda")
        self.seen = []

    def put(self, x):
        y = super().put(x)
        self.seen += [(a, cuda.numpy(a)) for a in flat(y) if a is not None]
        return y

    def check_untouched(self):
        for a, before in self.seen:
            assert same_bits([cuda.numpy(a)], [before])


@pytest.mark.parametrize("row", ROWS, ids=label)
@pytest.mark.parametrize("dtype", CLOSE)
def test_numbers_agree_with_the_reference_and_inputs_are_left_alone(row, dtype):
    arrays = Watched()
    check_numbers(row, dtype, pair("cuda", row[0]), arrays)
    arrays.check_untouched()


@pytest.mark.parametrize("small", SMALL, ids=label)
@pytest.mark.parametrize("dtype", CLOSE)
def test_steps_agree_with_the_reference(small, dtype):
    check_step(small, dtype, getattr(cuda, small[0]), Arrays("cuda"), times=2)


@pytest.mark.parametrize("row", AGAIN, ids=label)
def test_results_stay_as_they_are_while_the_op_runs_again(row):
    """Memory that is lent again while someone still holds it would overwrite one of these."""
    forward, backward = pair("cuda", row[0])
    arrays = Arrays("cuda")
    inputs, settings, dy = situation(row, "float32")
    y, saved = forward(*map(arrays.put, inputs), **settings)
    dxs = backward(arrays.put(dy), saved)
    kept = copies(arrays.get(y)) + copies(arrays.get(dxs))
    for _ in range(2):
        other = forward(*(arrays.put(doubled(x)) for x in inputs), **settings)
        backward(arrays.put(dy), other[1])
    assert same_bits(arrays.get(y) + arrays.get(dxs), kept)
    y, saved = forward(*map(arrays.put, inputs), **settings)
    dxs = backward(arrays.put(dy), saved)
    assert same_bits(arrays.get(y) + arrays.get(dxs), kept)     # in the same order, to the last bit
    assert same_bits(arrays.get(backward(arrays.put(dy), saved)), kept[-len(dxs):])


def doubled(x):
    """Other numbers, if x holds real ones."""
    return 2 * x if x is not None and x.dtype.kind == "f" else x


def test_every_function_has_the_signature_of_its_page():
    ours = public(cuda)
    assert {"array", "numpy", "empty", "zeros", "ones", "add", "softmax_backward"} <= set(ours)
    for name, function in ours.items():
        assert inspect.signature(function) == inspect.signature(getattr(ops, name)), name


def test_a_step_reads_the_clipping_factor_on_the_device():
    r = Draw(1, np.float32)
    w, g, u, v = [r.normal(3, 5) for _ in range(3)] + [r.normal(3, 5) ** 2]
    settings = {"sgd_": ([], {}), "momentum_": ([u], {}), "adam_": ([u, v], {"t": 2})}
    squared = cuda.squared_norm(cuda.array(g))
    assert squared.shape == () and squared.dtype == g.dtype
    there = cuda.clip_factor(squared, limit=0.7)
    here = float(cuda.numpy(there))
    assert abs(here - 0.7 / np.linalg.norm(g)) < 1e-7
    for name, (state, more) in settings.items():
        results = []
        for scale in there, here:
            arrays = [cuda.array(a) for a in (w, g, *state)]
            getattr(cuda, name)(*arrays, lr=0.1, scale=scale, **more)
            results.append(list(map(cuda.numpy, arrays)))
        assert same_bits(*results)
        assert not same_bits(results[0][:1], [w])


@device.jit
def _philox(low, high, key, draws):
    if device.grid(1) == 0:
        draws[0], draws[1], draws[2], draws[3] = philox(low, high, key)


@pytest.mark.parametrize("low, high, key, expected", [
    (0, 0, 0, (0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8)),
    (-1, -1, -1, (0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd)),
    (0x85a308d3243f6a88 - 2 ** 64, 0x0370734413198a2e, 0x299f31d0a4093822,
     (0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1)),
])
def test_philox_gives_the_published_numbers(low, high, key, expected):
    """The known answers of Random123, the authors' library, for Philox4x32-10."""
    draws = cuda.zeros(4, np.int64)
    by_entry(_philox, 1, low, high, key, draws)
    assert tuple(cuda.numpy(draws)) == expected


def mask(seed, shape, rate):
    return cuda.numpy(cuda.keep(np.random.default_rng(seed), shape, rate))


def test_a_mask_keeps_one_minus_rate_of_the_entries_and_they_are_independent():
    for rate in 0.0, 0.2, 0.5, 0.9:
        keep = mask(0, (30, 101), rate)
        assert keep.shape == (30, 101) and keep.dtype == bool
        kept, deviation = 1 - rate, (rate * (1 - rate) / keep.size) ** 0.5
        assert abs(keep.mean() - kept) <= 4 * deviation
        row = keep.reshape(-1) - kept
        for distance in 1, 2, 3, 4, 101:                        # neighbors, and one row below
            together = (row[:-distance] * row[distance:]).mean()
            assert abs(together) <= 4 * deviation ** 2 * keep.size ** 0.5


def test_masks_follow_the_generator():
    assert same_bits([mask(3, (50,), 0.5)], [mask(3, (50,), 0.5)])
    assert not same_bits([mask(3, (50,), 0.5)], [mask(4, (50,), 0.5)])
    rng = np.random.default_rng(3)
    assert not same_bits(*([cuda.numpy(cuda.keep(rng, (50,), 0.5))] for _ in range(2)))
    assert same_bits([mask(3, (50,), 0.5)[:21]], [mask(3, (3, 7), 0.5).reshape(-1)])


def test_whole_numbers_are_read_on_the_host_without_waiting(monkeypatch):
    ids = np.array([[1, 2], [0, 1]])
    there, real = cuda.array(ids), cuda.array(ids.astype(np.float64))
    computed = cuda.array(ids)[1:]
    ids[:] = 7                                                  # what is kept is a copy
    assert same_bits([memory.host(real)], [cuda.numpy(real)])
    assert same_bits([memory.host(computed)], [np.array([[0, 1]])])
    monkeypatch.setattr(memory, "numpy", None)
    assert same_bits([memory.host(there)], [np.array([[1, 2], [0, 1]])])


def test_rows_of_one_id_are_added_up_in_as_many_passes_as_they_need(monkeypatch):
    monkeypatch.setattr(import_module("kernels.cuda.embedding"), "TERMS", 3)
    ids, dy = np.array([1] * 28 + [4] + [0] * 4), Draw(1, np.float64).normal(33, 2)
    _, saved = cuda.embedding(cuda.array(ids), cuda.array(np.zeros((6, 2))))
    _, dw = cuda.embedding_backward(cuda.array(dy), saved)
    assert len(saved[2]) == 4                                   # 28 rows, 10, 4, 2 parts
    _, exact = ops.embedding_backward(dy, (ids, 6))
    agree("embedding", [cuda.numpy(dw)], [exact], "float64")


def test_the_tape_runs_on_the_device():
    r = Draw(1)
    start = [r.normal(2, 3, 5), r.normal(5), r.normal(5), r.normal(2, 3, 5)]

    def gradients(name):
        with backend.use(name), Tape() as tape:
            module = backend.module()
            x, gamma, beta, w = (Tensor(module.array(a)) for a in start)
            s, y = F.residual_layernorm(x, F.layernorm(x, gamma, beta), gamma, beta)
            loss = F.mean(F.softmax(s + y) * w)
            grads = tape.gradient(loss, [x, gamma, beta, w])
            return [loss.numpy(), *map(module.numpy, grads)]

    agree("the tape", gradients("cuda"), gradients("numpy"), "float64")


@pytest.mark.parametrize("x", [
    np.arange(6.0).reshape(2, 3).T, np.arange(12)[::2], np.float32(3), np.zeros((0, 3)),
    np.array([[True], [False]]), [[1, 2], [3, 4]], np.broadcast_to(np.float32(7), (2, 2)),
], ids=["transposed", "strided", "number", "no rows", "bool", "list", "broadcast"])
def test_arrays_come_back_as_they_went(x):
    y = cuda.array(x)
    assert cuda.array(y) is y
    assert y.is_c_contiguous()
    assert same_bits([cuda.numpy(y)], [np.array(x, order="C")])


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64"])
@pytest.mark.parametrize("shape", [(2, 3), (), (0, 4), 150])
def test_zeros_and_ones(shape, dtype):
    assert same_bits([cuda.numpy(cuda.zeros(shape, dtype))], [np.zeros(shape, dtype)])
    assert same_bits([cuda.numpy(cuda.ones(shape, dtype))], [np.ones(shape, dtype)])
    assert cuda.empty(shape).dtype == cuda.ones(shape).dtype == np.float32


def address(x):
    return getattr(x, memory.INTERFACE)["data"][0]


def test_memory_is_lent_again_once_an_array_and_all_its_views_are_gone():
    x = cuda.empty((20, 300))
    view, place = x.reshape(300, 20)[1:], address(x)
    del x
    other = cuda.empty((20, 300))
    assert address(other) != place
    del view
    assert address(cuda.empty((300, 20))) == place


def test_at_most_an_eighth_of_large_memory_is_wasted():
    for size in 4097, 10_000, 2**20, 2**20 + 1, 123_456_789:
        assert size <= memory.rounded(size) <= size * 9 / 8
        assert memory.rounded(memory.rounded(size)) == memory.rounded(size)
    assert memory.rounded(1) == 512


def test_idle_memory_can_be_released():
    cuda.empty((20, 300))
    assert any(memory.idle.values())
    memory.release()
    assert not any(memory.idle.values())


@pytest.mark.parametrize("op", CELLS)
def test_a_cell_refuses_two_types(op):
    x, *others, lengths = recurrence(Draw(0, np.dtype("float64")), 2, 3, 4, 6, **CELLS[op])
    for i in range(len(others)):
        rest = [cuda.array(a.astype("float32") if i == n else a) for n, a in enumerate(others)]
        with pytest.raises(InputError, match=f"{op}: .* float32 and x float64, expected one"):
            getattr(cuda, op)(cuda.array(x), *rest, lengths)


def test_an_op_that_is_missing_is_refused_by_name():
    line = "the cuda backend has no convolution"
    with backend.use("cuda"), pytest.raises(InputError, match=line):
        backend.lookup("convolution")

"""The CUDA kernels, judged like the others: run by test_cuda.py in Numba's simulator.

On a machine with a GPU the same checks run on it: pytest tests/simulator/checks.py
"""

import inspect
import os

import numpy as np
import pytest

from cases import CASES, Draw
from judges import CLOSE, Arrays, agree, check_numbers, copies, flat, pair, public, same_bits
from judges import situation
from kernels import cuda
from kernels.cuda import arrays as memory
from kernels.cuda.device import SIMULATED
from nanollm import backend, functional as F, ops
from nanollm.errors import InputError
from nanollm.tape import Tape, Tensor

if SIMULATED and hasattr(os, "sched_setaffinity"):      # threads that take turns: faster on one
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})

# What only many threads can get wrong: long rows of huge scores, sums that take several passes.
LONG = [
    ("softmax", "long row of huge scores", lambda r: ([r.normal(2, 30) * 1e3], {})),
    ("logsumexp", "long row of huge scores", lambda r: ([r.normal(2, 30) * 1e3], {})),
    ("sum", "three passes", lambda r: ([r.normal(4200)], {})),
    ("sum", "long inner axis", lambda r: ([r.normal(2, 150, 3)], {"axis": 1})),
    ("mean", "long first axis", lambda r: ([r.normal(150, 3)], {"axis": 0})),
]
ROWS = [case for case in CASES if hasattr(cuda, case[0])] + LONG
rows = pytest.mark.parametrize("row", ROWS, ids=[f"{op}, {label}" for op, label, _ in ROWS])


@pytest.fixture(autouse=True)
def poisoned_memory(monkeypatch):
    """All that `empty` lends is full of NaN: an entry that no thread writes shows."""
    take = memory.take

    def take_poisoned(size):
        piece = take(size)
        piece.copy_to_device(np.full(size, 0xff, np.uint8))
        return piece

    monkeypatch.setattr(memory, "take", take_poisoned)


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


@rows
@pytest.mark.parametrize("dtype", CLOSE)
def test_numbers_agree_with_the_reference_and_inputs_are_left_alone(row, dtype):
    arrays = Watched()
    check_numbers(row, dtype, pair("cuda", row[0]), arrays)
    arrays.check_untouched()


@pytest.mark.parametrize("op", sorted({op for op, *_ in ROWS}))
def test_results_stay_as_they_are_while_the_op_runs_again(op):
    """Memory that is lent again while someone still holds it would overwrite one of these."""
    forward, backward = pair("cuda", op)
    arrays = Arrays("cuda")
    inputs, settings, dy = situation(next(row for row in ROWS if row[0] == op), "float32")
    y, saved = forward(*map(arrays.put, inputs), **settings)
    dxs = backward(arrays.put(dy), saved)
    kept = copies(arrays.get(y)) + copies(arrays.get(dxs))
    for _ in range(2):
        other = forward(*(arrays.put(x if x is None else 2 * x) for x in inputs), **settings)
        backward(arrays.put(dy), other[1])
    assert same_bits(arrays.get(y) + arrays.get(dxs), kept)
    assert same_bits(arrays.get(backward(arrays.put(dy), saved)), kept[-len(dxs):])


def test_every_function_has_the_signature_of_its_page():
    ours = public(cuda)
    assert {"array", "numpy", "empty", "zeros", "ones", "add", "softmax_backward"} <= set(ours)
    for name, function in ours.items():
        assert inspect.signature(function) == inspect.signature(getattr(ops, name)), name


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


def test_an_op_that_is_missing_is_refused_by_name():
    line = "the cuda backend has no convolution"
    with backend.use("cuda"), pytest.raises(InputError, match=line):
        backend.lookup("convolution")

"""Every op: the right gradient (reference), the same numbers (kernels), the contract kept."""

import sys

import numpy as np
import pytest

from judges import CLOSE, Arrays, agree, check_gradient, check_numbers, check_step, copies, each
from judges import pair, same_bits, situation
from nanollm.backend import module

pytestmark = pytest.mark.filterwarnings("error")


def test_gradient_agrees_with_central_differences(case):
    check_gradient(case)


@pytest.mark.parametrize("dtype", CLOSE)
def test_numbers_agree_with_the_reference_in_float64(case, backend, dtype, arrays):
    check_numbers(case, dtype, pair(backend, case[0]), arrays)


@pytest.mark.parametrize("dtype", CLOSE)
def test_large_arrays_agree_with_the_reference_in_float64(large, backend, dtype, arrays):
    check_numbers(large, dtype, pair(backend, large[0]), arrays)


def test_inputs_and_dy_are_left_alone(case, backend, arrays):
    forward, backward = pair(backend, case[0])
    inputs, settings, dy = situation(case, "float64")
    inputs, dy = arrays.put(tuple(inputs)), arrays.put(dy)
    before = copies(arrays.get(inputs)), copies(arrays.get(dy))
    y, saved = forward(*inputs, **settings)
    kept = copies(arrays.get(y))
    backward(dy, saved)
    assert same_bits(arrays.get(inputs), before[0])
    assert same_bits(arrays.get(dy), before[1])
    assert same_bits(arrays.get(y), kept)


def test_two_calls_give_the_same_bits(case, backend, arrays):
    check_same_bits_twice(case, backend, arrays)


def test_two_calls_on_large_arrays_give_the_same_bits(large, backend, arrays):
    check_same_bits_twice(large, backend, arrays)


def check_same_bits_twice(case, backend, arrays):
    forward, backward = pair(backend, case[0])
    inputs, settings, dy = situation(case, "float32")
    first, second = [], []
    for results in first, second:
        y, saved = forward(*map(arrays.put, inputs), **settings)
        results += copies(arrays.get(y)) + copies(arrays.get(backward(arrays.put(dy), saved)))
        results += copies(arrays.get(backward(arrays.put(dy), saved)))
    assert same_bits(first, second)
    dxs = (len(first) - len(arrays.get(y))) // 2
    assert same_bits(first[-dxs:], first[-2 * dxs:-dxs])        # saved can be read again


def test_results_stay_as_they_are_while_the_op_runs_again(large, backend, arrays):
    """A kernel that hands out a buffer while someone holds it would overwrite one of these."""
    forward, backward = pair(backend, large[0])

    def run_forward(again):
        inputs, settings, dy = situation(large, "float32", again)
        y, saved = forward(*map(arrays.put, inputs), **settings)
        return y, saved, arrays.put(dy)

    y, saved, dy = run_forward(0)
    dxs = backward(dy, saved)
    kept = copies(arrays.get(y)), copies(arrays.get(dxs))
    others = [run_forward(again) for again in (1, 2, 3)]
    other_dxs = [backward(other_dy, other_saved) for _, other_saved, other_dy in others]
    later = backward(dy, saved)
    assert same_bits(arrays.get(y), kept[0])
    assert same_bits(arrays.get(dxs), kept[1])
    assert same_bits(arrays.get(later), kept[1])
    for again, (other_y, _, _), other in zip((1, 2, 3), others, other_dxs):
        fresh_y, fresh_saved, fresh_dy = run_forward(again)
        assert same_bits(arrays.get(other_y), arrays.get(fresh_y))
        assert same_bits(arrays.get(other), arrays.get(backward(fresh_dy, fresh_saved)))


def test_dy_may_come_in_any_layout(case, backend, arrays):
    """A mean's backward hands on one number under many addresses; a transpose's, another order."""
    forward, backward = pair(backend, case[0])
    inputs, settings, dy = situation(case, "float64")
    y, saved = forward(*map(arrays.put, inputs), **settings)
    same = each(lambda a: np.broadcast_to(a.dtype.type(0.7), a.shape), dy)
    for layout in each(lambda a: np.asarray(a, order="F"), dy), each(strided, dy), same:
        packed = each(lambda a: np.array(a, order="C"), layout)
        expected = arrays.get(backward(arrays.put(packed), saved))
        agree(case[0], arrays.get(backward(arrays.put(layout), saved)), expected, "float64")


def strided(a):
    """The same numbers, with a gap after each."""
    wide = np.zeros((*a.shape, 2), a.dtype)
    wide[..., 0] = a
    return wide[..., 0]


@pytest.mark.parametrize("dtype", CLOSE)
def test_steps_agree_with_the_reference_in_float64(step, backend, dtype, arrays):
    check_step(step, dtype, getattr(module(backend), step[0]), arrays)


def test_numbers_agree_however_many_threads_share_the_rows(case, monkeypatch):
    three_threads(monkeypatch)
    check_numbers(case, "float64", pair("numba", case[0]), Arrays("numba"))


def test_steps_agree_however_many_threads_share_them(step, monkeypatch):
    three_threads(monkeypatch)
    check_step(step, "float64", getattr(module("numba"), step[0]), Arrays("numba"))


def three_threads(monkeypatch):
    """Let even the smallest array be shared among three threads."""
    module("numba")
    for name, page in list(sys.modules.items()):
        for limit in "ENOUGH", "FEW":
            if name.startswith("kernels.cpu.") and hasattr(page, limit):
                monkeypatch.setattr(page, limit, 1)
    monkeypatch.setattr(sys.modules["kernels.cpu.threads"], "count", lambda: 3)

"""The tape: what it writes down, how it is read backwards, and who may see it."""

import gc
import threading
import weakref

import numpy as np
import pytest

from nanollm import backend, functional as F
from nanollm.errors import InputError
from nanollm.tape import Tape, Tensor


@pytest.fixture(autouse=True)
def chosen(backend):
    """Every test runs on each backend."""
    from nanollm.backend import use
    with use(backend):
        yield


def test_the_gradient_of_a_small_net_is_the_chain_rule(r):
    x, w, b = r.normal(4, 3), Tensor(r.normal(3, 2)), Tensor(r.normal(2))
    with Tape() as tape:
        y = F.tanh(F.linear(x, w, b))
        loss = F.mean(y)
    dw, db = tape.gradient(loss, [w, b])
    dz = (1 - y.data ** 2) / 8                                  # (4, 2)
    np.testing.assert_allclose(dw, x.T @ dz, atol=1e-14)
    np.testing.assert_allclose(db, dz.sum(axis=0), atol=1e-14)


def test_by_hand_and_on_the_tape_are_the_same_bit_for_bit(r):
    x, w, b, gamma = r.normal(4, 3), r.normal(3, 5), r.normal(5), r.normal(5)
    targets = r.ids(5, 4)
    with Tape() as tape:
        wt, bt, gt = Tensor(w), Tensor(b), Tensor(gamma)
        loss = F.cross_entropy(F.layernorm(F.gelu(F.linear(x, wt, bt)), gt), targets)
    on_tape = tape.gradient(loss, [wt, bt, gt])

    kernels = backend.module()
    y1, saved1 = kernels.linear(x, w, b)
    y2, saved2 = kernels.gelu(y1)
    y3, saved3 = kernels.layernorm(y2, gamma, None)
    by_hand, saved4 = kernels.cross_entropy(y3, targets)
    dy3, _ = kernels.cross_entropy_backward(np.ones((), np.float64), saved4)
    dy2, dgamma, _ = kernels.layernorm_backward(dy3, saved3)
    (dy1,) = kernels.gelu_backward(dy2, saved2)
    _, dw, db = kernels.linear_backward(dy1, saved1)

    assert loss.data == by_hand
    for ours, theirs in zip(on_tape, [dw, db, dgamma], strict=True):
        assert ours.tobytes() == theirs.tobytes()


def test_a_tensor_used_twice_gets_the_sum_of_both_contributions(r):
    x = Tensor(r.normal(3))
    with Tape() as tape:
        loss = F.sum(x * x)                                     # both factors of one line
        loss = loss + F.sum(x)                                  # and another line
    (dx,) = tape.gradient(loss, [x])
    np.testing.assert_allclose(dx, 2 * x.data + 1)


def test_weights_shared_over_time_add_up(r):
    """h = w ⊙ ... ⊙ w, T times: dw = T wᵀ⁻¹."""
    w, T = Tensor(r.normal(4)), 5
    with Tape() as tape:
        h = w
        for _ in range(T - 1):
            h = h * w
        loss = F.sum(h)
    (dw,) = tape.gradient(loss, [w])
    np.testing.assert_allclose(dw, T * w.data ** (T - 1), rtol=1e-12)


def test_a_broadcast_tensor_s_gradient_has_its_own_shape(r):
    x, b = Tensor(r.normal(2, 3)), Tensor(r.normal(3))
    with Tape() as tape:
        loss = F.sum(x + b)
    dx, db = tape.gradient(loss, [x, b])
    assert (dx == np.ones((2, 3))).all() and (db == [2, 2, 2]).all()


def test_an_output_that_the_loss_ignores_gets_zeros(r):
    x, h, gamma = Tensor(r.normal(2, 3)), Tensor(r.normal(2, 3)), Tensor(r.normal(3))
    with Tape() as tape:
        s, y = F.residual_layernorm(x, h, gamma)
        only_s, only_y = F.sum(s), F.sum(y)
    dx, dgamma = tape.gradient(only_s, [x, gamma])
    assert (dx == 1).all() and not dgamma.any()
    (dgamma,) = tape.gradient(only_y, [gamma])
    assert dgamma.any()


def test_a_line_that_the_loss_does_not_need_is_passed_over(r):
    x, w = Tensor(r.normal(3)), Tensor(r.normal(3))
    with Tape() as tape:
        y = x * w
        F.sum(y * y)
        loss = F.sum(y)
    (dx,) = tape.gradient(loss, [x])
    assert (dx == w.data).all()


def test_the_gradient_of_something_in_the_middle_can_be_asked_for(r):
    x = Tensor(r.normal(3))
    with Tape() as tape:
        y = F.tanh(x)
        loss = F.sum(y * y)
    dx, dy = tape.gradient(loss, [x, y])
    np.testing.assert_allclose(dy, 2 * y.data)
    np.testing.assert_allclose(dx, dy * (1 - y.data ** 2))


def test_the_gradient_of_the_loss_itself_is_one(r):
    x = Tensor(r.normal(3))
    with Tape() as tape:
        loss = F.sum(x)
    assert tape.gradient(loss, [loss])[0] == 1


def test_one_tape_gives_two_gradients(r):
    """Two networks, as in a GAN: each asks only for what it steps, and each gets the same twice."""
    x, y = Tensor(r.normal(3)), Tensor(r.normal(3))
    with Tape() as tape:
        first, second = F.sum(x * y), F.sum(F.tanh(y))
    (dy,) = tape.gradient(second, [y])
    (dx,) = tape.gradient(first, [x])
    assert (dx == y.data).all()
    np.testing.assert_allclose(dy, 1 - np.tanh(y.data) ** 2)
    assert (tape.gradient(second, [y])[0] == dy).all()


def test_the_loss_may_have_one_entry_in_any_shape(r):
    x = Tensor(r.normal(2, 3))
    with Tape() as tape:
        loss = F.sum(x, keepdims=True)
    assert loss.shape == (1, 1)
    assert (tape.gradient(loss, [x])[0] == 1).all()


def test_a_torn_tape_gives_the_same_gradient_and_is_empty_afterwards(r):
    x = Tensor(r.normal(3))
    with Tape() as tape:
        loss = F.sum(F.tanh(x * x))
    (kept,) = tape.gradient(loss, [x])
    assert len(tape.lines) == 3
    (torn,) = tape.gradient(loss, [x], tear=True)
    assert torn.tobytes() == kept.tobytes() and tape.lines == []
    with pytest.raises(InputError, match="does not depend"):
        tape.gradient(loss, [x])


def test_tearing_frees_what_a_line_saved_before_the_gradient_is_complete(r):
    freed = []

    class Saved:
        pass

    x = Tensor(r.normal(3))
    with Tape() as tape:
        y = F.tanh(x)
        loss = F.sum(y)
    seen, line = Saved(), tape.lines[1]

    def earlier(dy, saved, backward=tape.lines[0].backward):
        gc.collect()
        freed.append(watched() is None)
        return backward(dy, saved)

    def later(dy, saved):
        return line.backward(dy, line.saved)

    watched = weakref.ref(seen)
    tape.lines[0] = tape.lines[0]._replace(backward=earlier)
    tape.lines[1] = line._replace(saved=(seen,), backward=later)
    del seen
    tape.gradient(loss, [x], tear=True)
    assert freed == [True]


def test_nothing_is_written_down_outside_the_block(r):
    x = Tensor(r.normal(3))
    with Tape() as tape:
        F.tanh(x)
    F.tanh(x)
    assert [line.op for line in tape.lines] == ["tanh"]


def test_a_nested_tape_writes_down_what_happens_inside_it_alone(r):
    x = Tensor(r.normal(3))
    with Tape() as outer:
        F.tanh(x)
        with Tape() as inner:
            loss = F.sum(F.relu(x))
        F.sigmoid(x)
    assert [line.op for line in outer.lines] == ["tanh", "sigmoid"]
    assert [line.op for line in inner.lines] == ["relu", "sum"]
    assert (inner.gradient(loss, [x])[0] == (x.data > 0)).all()


def test_an_error_inside_the_block_closes_the_tape(r):
    with pytest.raises(ZeroDivisionError), Tape() as tape:
        raise ZeroDivisionError
    F.tanh(Tensor(r.normal(3)))
    assert tape.lines == []


def in_a_thread(function):
    """Its result, or the error that it ended with."""
    results = []
    thread = threading.Thread(target=lambda: results.append(function()))
    thread.start()
    thread.join()
    return results[0]


def test_threads_do_not_see_each_other_s_tapes(r):
    x = Tensor(r.normal(3))

    def elsewhere():
        F.tanh(x)
        with Tape() as own:
            F.relu(x)
        return [line.op for line in own.lines]

    with Tape() as tape:
        F.sigmoid(x)
        assert in_a_thread(elsewhere) == ["relu"]
    assert [line.op for line in tape.lines] == ["sigmoid"]


def test_threads_do_not_see_each_other_s_backend():
    def elsewhere():
        before = backend.current()
        backend.use("numpy" if before == "numba" else "numba")
        return before, backend.current()

    here = backend.current()
    default, other = in_a_thread(elsewhere)
    assert default != other and backend.current() == here


def test_a_backend_chosen_for_a_block_ends_with_it():
    here = backend.current()
    with backend.use("numpy"):
        with backend.use("numba"):
            assert backend.current() == "numba"
        assert backend.current() == "numpy"
    assert backend.current() == here


def test_backward_runs_on_the_backend_of_its_forward(r):
    x = Tensor(r.normal(2, 3))
    with Tape() as tape, backend.use("numpy"):
        loss = F.mean(F.softmax(x) * x)
    with backend.use("numba"):
        (dx,) = tape.gradient(loss, [x])
    assert dx.shape == x.shape


def test_a_loss_of_several_entries_is_refused(r):
    x = Tensor(r.normal(2, 3))
    with Tape() as tape:
        y = F.tanh(x)
    with pytest.raises(InputError, match=r"shape \(2, 3\), expected one number; take its mean"):
        tape.gradient(y, [x])


def test_a_loss_that_does_not_depend_on_a_tensor_is_refused_by_name(r):
    x, other = Tensor(r.normal(3)), Tensor(r.normal(4), "blocks.0.w")
    with Tape() as tape:
        loss = F.sum(x)
    with pytest.raises(InputError, match=r"does not depend on \[Tensor\(blocks.0.w, \(4,\)"):
        tape.gradient(loss, [x, other])


def test_a_backward_of_the_wrong_shape_is_told_at_its_op(r):
    x = Tensor(r.normal(3))
    with Tape() as tape:
        loss = F.sum(F.tanh(x))
    tape.lines[0] = tape.lines[0]._replace(backward=lambda dy, saved: (dy[None],))
    with pytest.raises(AssertionError, match=r"tanh: gradient \(1, 3\)"):
        tape.gradient(loss, [x])


def test_a_backward_with_too_few_gradients_is_an_error(r):
    a, b = Tensor(r.normal(3)), Tensor(r.normal(3))
    with Tape() as tape:
        loss = F.sum(a + b)
    tape.lines[0] = tape.lines[0]._replace(backward=lambda dy, saved: (dy,))
    with pytest.raises(ValueError, match="zip"):
        tape.gradient(loss, [a])


def test_an_op_that_is_missing_is_refused_by_name():
    with pytest.raises(InputError, match="backend has no convolution"):
        backend.lookup("convolution")


def test_a_backend_that_does_not_exist_is_refused_with_the_choices():
    with pytest.raises(InputError, match="no backend 'gpu'; choose one of numpy, numba, cuda"):
        backend.use("gpu")


def test_a_printed_tape_has_one_line_an_op(r):
    with Tape() as tape:
        F.sum(F.linear(Tensor(r.normal(2, 3)), Tensor(r.normal(3, 4))))
    assert str(tape).splitlines() == [
        "linear         (2, 3) (3, 4) - → (2, 4)",
        "sum            (2, 4) → ()",
    ]
    with tape:
        F.residual_layernorm(*(Tensor(r.normal(2)) for _ in range(4)))
    assert len({line.index("(") for line in str(tape).splitlines()}) == 1   # columns, all the same


def test_a_printed_tensor_tells_name_shape_and_dtype():
    assert repr(Tensor(np.zeros((2, 3), np.float32), "w")) == "Tensor(w, (2, 3), float32)"
    assert repr(Tensor(np.zeros(()))) == "Tensor(unnamed, (), float64)"


def test_operators_are_the_ops(r):
    a, b = Tensor(r.normal(2, 2)), Tensor(r.normal(2, 2))
    with Tape() as tape:
        results = a + b, a * b, a @ b
    assert [line.op for line in tape.lines] == ["add", "mul", "matmul"]
    for y, expected in zip(results, [a.data + b.data, a.data * b.data, a.data @ b.data]):
        np.testing.assert_allclose(y.numpy(), expected, rtol=1e-12)


def test_a_number_beside_a_tensor_is_a_constant_of_its_dtype():
    t = Tensor(np.ones((2, 3), np.float32), "x")
    with Tape() as tape:
        loss = F.sum(2 * (t + 1) * 0.5)
    (dt,) = tape.gradient(loss, [t])
    assert loss.dtype == np.float32 and float(loss.numpy()) == 12 and (dt == 1).all()


def test_a_backend_whose_package_is_missing_is_refused_in_one_line(monkeypatch):
    monkeypatch.setitem(backend.MODULES, "lost", "no_such_package_here")
    with pytest.raises(InputError, match="the lost backend needs no_such_package_here, which is"):
        backend.use("lost")

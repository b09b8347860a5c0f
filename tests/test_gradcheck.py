"""The gradient check finds what is wrong, and says what the evidence suggests."""

import numpy as np
import pytest

from nanollm import backend, functional as F, gradcheck, ops
from nanollm.gradcheck import GradientError, check
from nanollm.tape import Tape, Tensor


def refused(forward, backward, inputs, *lines, **settings):
    """The message of the error that must come, with each of `lines` in it, in order."""
    with pytest.raises(GradientError) as error:
        check(forward, backward, inputs, settings)
    message = str(error.value)
    at = 0
    for line in lines:
        assert line in message[at:], message
        at = message.index(line, at)
    return message


def changed(op, change):
    """The backward of a reference op with its gradients changed by a function of the tuple."""
    right = getattr(ops, op + "_backward")

    def backward(dy, saved):
        return change(*right(dy, saved))
    return getattr(ops, op), backward


# A right gradient


def test_a_right_backward_passes_and_its_errors_are_named(r):
    result = check(ops.linear, ops.linear_backward, [r.normal(3, 4), r.normal(4, 5), r.normal(5)])
    assert list(result.errors) == ["x", "w", "b"]
    assert result.op == "linear" and 0 < result.worst < 1e-8
    assert str(result).startswith("linear             x ")


def test_the_inputs_are_left_as_they_were(r):
    x = r.normal(3, 4)
    before = x.copy()
    check(ops.softmax, ops.softmax_backward, [x])
    assert (x == before).all()


def test_float32_inputs_are_checked_in_float64(r):
    x = r.normal(3, 4).astype(np.float32)
    assert check(ops.gelu, ops.gelu_backward, [x]).worst < 1e-8


def test_ids_and_masks_are_not_nudged(r):
    result = check(ops.embedding, ops.embedding_backward, [r.ids(4, 2, 3), r.normal(4, 5)])
    assert list(result.errors) == ["w"]


def test_arguments_left_out_take_their_defaults(r):
    result = check(ops.layernorm, ops.layernorm_backward, [r.normal(3, 4), r.normal(4)])
    assert list(result.errors) == ["x", "gamma"]


def test_each_of_many_inputs_has_a_number(r):
    result = check(ops.concat, ops.concat_backward, [r.normal(2, 3), r.normal(2, 4)])
    assert list(result.errors) == ["xs[0]", "xs[1]"]


def test_an_op_of_the_current_backend_is_checked_by_name(r, backend):
    from nanollm.backend import use
    with use(backend):
        result = gradcheck.op("attention", r.normal(2, 3, 4), r.normal(2, 3, 4), r.normal(2, 3, 4),
                              heads=2, causal=True)
    assert list(result.errors) == ["q", "k", "v"] and result.worst < 1e-7


def test_two_checks_give_the_same_errors(r):
    x = r.normal(3, 4)
    assert (check(ops.softmax, ops.softmax_backward, [x])
            == check(ops.softmax, ops.softmax_backward, [x]))


# A wrong gradient: where, expected and got


def test_the_message_names_the_input_and_the_entry(r):
    def wrong(dx, dw, db):
        dw[1, 2] += 5
        return dx, dw, db
    refused(*changed("linear", wrong), [r.normal(3, 4), r.normal(4, 5), r.normal(5)],
            "backward: the gradient of w is wrong", "at w[1, 2]: expected ", ", got ",
            "1 of 20 entries are wrong: [1, 2]")


def test_the_message_says_where_the_wrong_entries_lie(r):
    def wrong(dx, dw, db):
        dw[1, :4] += 5
        return dx, dw, db
    refused(*changed("linear", wrong), [r.normal(3, 4), r.normal(4, 5), r.normal(5)],
            "4 of 20 entries are wrong", "all of them at 1 of axis 0 (of 4)",
            "all of them at 0, 1, 2, 3 of axis 1 (of 5)")
    refused(*changed("tanh", lambda dx: (np.where(dx == dx.flat[0], dx, 3),)), [r.normal(3, 4)],
            "11 of 12 entries are wrong, all but [0, 0]")


# A wrong gradient: the evidence


def test_a_flipped_sign_is_recognized(r):
    refused(*changed("tanh", lambda dx: (-dx,)), [r.normal(3, 4)], "a sign is flipped")


def test_zeros_are_recognized(r):
    refused(*changed("tanh", lambda dx: (0 * dx,)), [r.normal(3, 4)], "zero everywhere")


@pytest.mark.parametrize("factor, words", [
    (2, "2 is √(x.shape[1]) or just 2: a division by it is missing"), (3, "3 is x.shape[0]:"),
    (0.5, "0.5 is 1 / 2, which is √(x.shape[1]) or just 2: a division by it too many"),
    (2 ** 0.5, "√2 is a factor too many, or a division by √2 is missing"),
    (2 ** -0.5, "a factor √2 is missing, or √2 divides once too often"),
    (12, "12 is the number of rows of x"), (1 / 12, "which is the number of rows of x"),
    (5, "5 is x.shape[2]"), (60, "60 is the number of entries of x"),
    (5 ** -0.5, "0.447214 is 1 / 2.23607, which is √(x.shape[2])"),
    (1.7, "got = 1.7 × expected in every entry: a constant factor is wrong"),
])
def test_a_constant_factor_is_recognized_and_named(r, factor, words):
    refused(*changed("tanh", lambda dx: (factor * dx,)), [r.normal(3, 4, 5)],
            f"got = {factor:.6g} × expected in every entry", words)


def test_a_factor_with_the_wrong_sign_is_recognized(r):
    refused(*changed("tanh", lambda dx: (-3 * dx,)), [r.normal(3, 4)], "got = -3 × expected",
            "the sign is flipped, and a constant factor is wrong", "3 is x.shape[0]:")


def test_numbers_that_a_factor_could_be_are_listed_once(r):
    """q, k and v are as wide as another: the first stands for all."""
    x = [r.normal(2, 4), r.normal(2, 4), r.normal(2, 4), None]
    refused(*changed("attention", lambda dq, dk, dv, mask: (dq * 2, dk, dv, mask)), x,
            "2 is q.shape[0], √(q.shape[1]) or just 2: a division")


def test_a_forgotten_mean_is_recognized(r):
    refused(*changed("mean", lambda dx: (dx * 6,)), [r.normal(2, 3)],
            "6 is the number of entries of x", "a division by it is missing (a sum for a mean)")


def test_a_mean_over_the_wrong_number_of_targets_is_recognized(r):
    """Divided by all targets in place of those that count: the ratio is 4 / 6."""
    targets = np.array([1, -1, 2, 0, -1, 2])

    def mean_of_all(dy, saved):
        p, flat, counted, shape = saved
        dx = p.copy()
        dx[np.arange(6), flat] -= 1
        return dx * counted[:, None] * dy / 6, None

    def sum_of_counted(dy, saved):
        return 6 * mean_of_all(dy, saved)[0], None

    inputs = [r.normal(6, 3), targets]
    refused(ops.cross_entropy, sum_of_counted, inputs,
            "got = 4 × expected", "4 is the number of targets that count")
    refused(ops.cross_entropy, mean_of_all, inputs, "got = 0.666667 × expected in every entry")


def test_a_forgotten_scale_of_attention_is_recognized(r):
    """D = 6 / 2 heads = 3."""
    x = [r.normal(5, 6), r.normal(4, 6), r.normal(4, 6), None]
    refused(*changed("attention", lambda dq, dk, dv, mask: (dq * 3 ** 0.5, dk, dv, mask)), x,
            "the gradient of q is wrong", "1.73205 is √(q.shape[-1] / heads)", heads=2)


def test_a_setting_as_a_factor_is_recognized(r):
    refused(*changed("dropout", lambda dx, keep: (dx * 0.7, keep)), [r.normal(9), r.keep(9)],
            "got = 0.7 × expected", "1 - rate", rate=0.3)


def test_only_a_rate_is_subtracted_from_1(r):
    """1 - ignore would be 2."""
    message = refused(*changed("cross_entropy", lambda dx, none: (2 * dx, none)),
                      [r.normal(5, 3), r.ids(3, 5)], "2 is a factor too many")
    assert "1 - ignore" not in message


def test_a_transposed_gradient_is_recognized_by_its_shape(r):
    refused(*changed("linear", lambda dx, dw, db: (dx, dw.T, db)),
            [r.normal(3, 4), r.normal(4, 5), None],
            "the gradient of w is float64 (5, 4), expected float64 (4, 5)", "transposed")


def test_a_transposed_square_gradient_is_recognized_by_its_values(r):
    refused(*changed("linear", lambda dx, dw, db: (dx, dw.T, db)),
            [r.normal(3, 4), r.normal(4, 4), None], "the right gradient transposed")


def test_a_missing_sum_is_recognized_by_the_shape(r):
    refused(ops.add, lambda dy, saved: (dy, dy), [r.normal(2, 3), r.normal(3)],
            "the gradient of b is float64 (2, 3), expected float64 (3,)", "a sum is missing")


def test_a_missing_reshape_is_recognized_by_the_shape(r):
    refused(*changed("tanh", lambda dx: (dx[None],)), [r.normal(3)],
            "float64 (1, 3), expected float64 (3,)", "only a reshape (or keepdims) is missing")


def test_the_last_row_in_place_of_the_sum_is_recognized(r):
    def backward(dy, saved):
        return *ops.linear_backward(dy, saved)[:2], dy[-1]
    refused(ops.linear, backward, [r.normal(3, 4), r.normal(4, 5), r.normal(5)],
            "the gradient of b is wrong", "only the last contribution to each entry is kept",
            "a sum over the other rows is missing")


def test_one_axis_left_out_of_a_sum_is_recognized(r):
    def backward(dy, saved):
        return *ops.linear_backward(dy, saved)[:2], dy[0].sum(axis=0)
    refused(ops.linear, backward, [r.normal(2, 3, 4), r.normal(4, 5), r.normal(5)],
            "only the first index of dy's axis 0 contributes: the sum over that axis is missing")


def test_an_assignment_where_an_index_repeats_is_recognized(r):
    def backward(dy, saved):
        ids, V = saved
        dw = np.zeros((V, dy.shape[-1]))
        dw[ids] = dy
        return None, dw
    refused(ops.embedding, backward, [np.array([1, 0, 1, 2, 1]), r.normal(4, 3)],
            "the gradient of w is wrong", "only the last contribution", "use += (np.add.at)")


def test_a_forgotten_second_path_is_recognized(r):
    def backward(dy, saved):
        dx, dgamma, dbeta = ops.layernorm_backward(dy[1], saved)
        return dx, dx, dgamma, dbeta
    refused(ops.residual_layernorm, backward,
            [r.normal(2, 3), r.normal(2, 3), r.normal(3), r.normal(3)],
            "what is missing is exactly dy[0]: a path from the input to the output")


def test_a_mean_that_is_not_subtracted_is_recognized(r):
    refused(ops.softmax, lambda dy, saved: (saved[0] * dy,), [r.normal(3, 4)],
            "the right gradient's rows sum to zero and these do not")


def test_a_constant_with_too_few_digits_is_recognized(r):
    """√(2/π) to six digits, as in many a listing, is off by 6e-7."""
    refused(*changed("gelu", lambda dx: (dx * (1 + 6e-7),)), [r.normal(3, 4)],
            "it agrees to five digits: look for", "a constant with too few digits")


def test_a_number_is_checked_like_an_array(r):
    refused(*changed("tanh", lambda dx: (-dx,)), [r.normal()], "at x: expected", "sign is flipped")


# A broken contract


def test_none_where_a_gradient_is_due_is_refused(r):
    refused(*changed("mul", lambda da, db: (da, None)), [r.normal(3), r.normal(3)],
            "the gradient of b is None", "y depends on b")


def test_the_wrong_number_of_gradients_is_refused(r):
    refused(*changed("mul", lambda da, db: (da,)), [r.normal(3), r.normal(3)],
            "it returned 1", "a tuple of 2, one gradient for each of a, b")


def test_a_gradient_outside_a_tuple_is_refused(r):
    refused(ops.tanh, lambda dy, saved: ops.tanh_backward(dy, saved)[0], [r.normal(3)],
            "it returned a ndarray", "a tuple of 1")


def test_a_gradient_for_ids_is_refused(r):
    refused(*changed("embedding", lambda none, dw: (dw, dw)), [r.ids(4, 3), r.normal(4, 2)],
            "ids got a gradient, expected None", "int64, which cannot be nudged")


def test_the_wrong_dtype_is_refused(r):
    refused(*changed("tanh", lambda dx: (dx.astype(np.float32),)), [r.normal(3)],
            "the gradient of x is float32 (3,), expected float64 (3,)", "an array made without")


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_nan_and_infinity_are_refused_with_their_place(r, bad):
    def wrong(dx):
        dx[1, 2] = bad
        return (dx,)
    refused(*changed("tanh", wrong), [r.normal(2, 3)],
            f"the gradient of x is {bad} at x[1, 2], in 1 of 6 entries")


def test_a_forward_that_modifies_its_input_is_refused(r):
    def forward(x):
        np.tanh(x, out=x)
        return x.copy(), (x.copy(),)
    refused(forward, ops.tanh_backward, [r.normal(3)], "gave different results for y")

    def once(x):
        np.abs(x, out=x)
        return x.copy(), ()
    refused(once, lambda dy, saved: (dy,), [r.normal(9)], "the pair modified x")


def test_a_backward_that_modifies_dy_is_refused(r):
    def backward(dy, saved):
        (y,) = saved
        dy *= 1 - y * y
        return (dy.copy(),)
    refused(ops.tanh, backward, [r.normal(3)], "two calls gave different results for the gradient")

    def once(dy, saved):
        (dx,) = ops.relu_backward(dy, saved)
        dy[:] = np.abs(dy)
        return (0 * dx,)
    refused(ops.relu, once, [r.normal(9)], "the pair modified dy")


def test_a_forward_that_differs_between_calls_is_refused(r):
    rng = np.random.default_rng(0)

    def noisy(x):
        return x + rng.standard_normal(x.shape), ()
    refused(noisy, lambda dy, saved: (dy,), [r.normal(3)], "two calls gave different results for y",
            "look for randomness")


def test_a_backward_that_uses_up_what_was_saved_is_refused(r):
    def forward(x):
        y = np.tanh(x)
        return y, (y.copy(),)

    def backward(dy, saved):
        (y,) = saved
        y *= y
        return (dy * (1 - y),)
    refused(forward, backward, [r.normal(3)], "two calls gave different results for the gradient",
            "saved array that the first call changed")


def test_a_gradient_that_dy_of_ones_would_not_test_is_refused(r):
    """The right gradient for dy = 1 is zero, and so is this one."""
    refused(ops.softmax, lambda dy, saved: (0 * dy,), [r.normal(3, 4)], "zero everywhere")


def test_a_tiny_gradient_is_not_taken_for_a_right_one(r):
    """Every entry of this gradient is near 1e-3: relative to 1, its loss would not be seen."""
    refused(*changed("mean", lambda dx: (dx * (1 + 1e-4),)), [r.normal(30, 30)],
            "the gradient of x is wrong")


# Whole models


@pytest.fixture
def model(r):
    """(loss, parameters, gradients) of a small classifier."""
    x, targets = r.normal(6, 3), r.ids(4, 6)
    parameters = {"inner.w": Tensor(r.normal(3, 5), "w"), "inner.b": Tensor(r.normal(5), "b"),
                  "outer.w": Tensor(r.normal(5, 4), "w")}

    def forward():
        w1, b1, w2 = parameters.values()
        return F.cross_entropy(F.linear(F.tanh(F.linear(x, w1, b1)), w2), targets)

    with backend.use("numpy"):
        with Tape() as tape:
            loss = forward()
        found = tape.gradient(loss, list(parameters.values()))
        yield lambda: forward().data, parameters, dict(zip(parameters, found))


def test_a_right_model_passes_and_its_parameters_are_put_back(r, model):
    loss, parameters, gradients = model
    before = [t.data.copy() for t in parameters.values()]
    assert gradcheck.check_direction(loss, parameters, gradients, r.rng) < 1e-8
    assert all((t.data == b).all() for t, b in zip(parameters.values(), before))


def test_the_parameter_with_the_wrong_gradient_is_named(r, model):
    loss, parameters, gradients = model
    gradients["inner.b"] = gradients["inner.b"] * 1.01
    with pytest.raises(GradientError, match="off by .*\n  inner.b: expected .* got") as error:
        gradcheck.check_direction(loss, parameters, gradients, r.rng)
    assert "inner.w" not in str(error.value) and "outer.w" not in str(error.value)


def test_a_model_in_float32_is_refused(r, model):
    loss, parameters, gradients = model
    parameters["inner.b"].data = parameters["inner.b"].data.astype(np.float32)
    with pytest.raises(GradientError, match="inner.b is float32"):
        gradcheck.check_direction(loss, parameters, gradients, r.rng)


def test_rounding_of_a_large_y_is_no_mistake_and_hides_none():
    x = np.array([[-2001.1, -2001.0, -1999.2], [2000.4, 2000.8, 2001.4]])

    def logsumexp(x):
        return np.logaddexp.reduce(x, axis=-1), (ops.softmax(x)[0],)

    for seed in range(20):
        rng = np.random.default_rng(seed)
        check(logsumexp, ops.logsumexp_backward, [x], rng=rng)
        with pytest.raises(GradientError, match="gradient of x is wrong"):
            check(logsumexp, lambda dy, saved: (
                ops.logsumexp_backward(dy, saved)[0] * (1 + 1e-4),), [x], rng=rng)

"""The tests are tested: mistakes people make are planted in the pages, and each must be caught.

A row is (function, old, new, judges): in the source of `function`, `old` becomes `new`. The judges
are those of the real tests. A mistake in a backward must be caught by the gradient check; one in a
forward, with which its backward agrees, by a fact or a composition. And all must be caught by the
comparison with the reference over the rows of cases.py: that is what guards the kernels.
"""

import inspect
import textwrap
import types

import pytest

import test_facts
import test_fused
import test_recurrence
import test_tape
from cases import CASES, STEPS, Draw
from judges import Arrays, check_gradient, check_numbers, check_step, public
from nanollm import backend, ops, tape

# What ends a test where numbers or shapes are wrong; a NameError would be a mistake in a row here.
CAUGHT = (AssertionError, ValueError, RuntimeWarning, pytest.fail.Exception)

BACKWARD = [
    ("unbroadcast", "dy.sum(axis=tuple(range(extra)) + stretched, keepdims=True)",
     "dy[(-1,) * extra]", "add"),                               # the last in place of the sum
    ("unbroadcast", "+ stretched", "", "add"),                  # axes of size 1 forgotten
    ("mul_backward", "dy * b", "dy * a", "mul"),                # factors exchanged
    ("relu_backward", "dy * positive", "dy", "relu"),           # the corner forgotten
    ("tanh_backward", "1 - y * y", "1 - y", "tanh"),            # y in place of y²
    ("tanh_backward", "1 - y * y", "1 + y * y", "tanh"),
    ("sigmoid_backward", "* y * (1 - y)", "* (1 - y)", "sigmoid"),
    ("gelu_backward", "cdf + x * pdf", "cdf + pdf", "gelu"),
    ("gelu_backward", "3 * CUBIC", "CUBIC", "gelu"),            # the cube's derivative
    ("gelu_backward", "(1 - t * t) * du", "(1 - t * t)", "gelu"),       # the chain rule
    ("gelu_backward", "-0.5 * x * x", "-x * x", "gelu"),        # the normal density
    ("bias_gelu_backward", "dx.sum(axis=tuple(range(dx.ndim - 1)))",
     "dy.sum(axis=tuple(range(dx.ndim - 1)))", "bias_gelu"),
    ("bias_gelu_backward", "dx.sum(axis=tuple(range(dx.ndim - 1)))",
     "dx.reshape(-1, dx.shape[-1])[-1] if dx.size else dx.sum(axis=0)", "bias_gelu"),
    ("transpose_backward", "np.argsort(axes)", "axes", "transpose"),
    ("concat_backward", "np.cumsum(sizes)[:-1]", "sizes[:-1]", "concat"),
    ("split_backward", "concatenate(dy,", "concatenate(dy[::-1],", "split"),
    ("sum_backward", "np.broadcast_to(dy, shape)", "np.broadcast_to(dy / 2, shape)", "sum"),
    ("mean_backward", "dy / n", "dy", "mean"),                  # the mean's 1/n
    ("linear_backward", "rows.T @ dy_rows", "(rows.T @ dy_rows) / len(rows)", "linear"),
    ("linear_backward", "dy_rows @ w.T", "dy_rows @ w.reshape(C, E)", "linear"),    # no transpose
    ("linear_backward", "dy_rows.sum(axis=0)", "dy_rows.mean(axis=0)", "linear"),
    ("matmul_backward", "b.swapaxes(-1, -2)", "b.reshape(*b.shape[:-2], *b.shape[:-3:-1])",
     "matmul"),
    ("embedding_backward", "np.add.at(dw, ids, dy)", "dw[ids] = dy", "embedding"),      # = for +=
    ("embedding_backward", "np.add.at(dw, ids, dy)", "dw[ids] += dy", "embedding"),     # so does +=
    ("positions_backward", "dw[start:start + T]", "dw[:T]", "positions"),
    ("positions_backward", ".sum(axis=0)", ".mean(axis=0)", "positions"),
    ("layernorm_backward", "g - g.mean(axis=-1, keepdims=True)", "g", "layernorm"),
    ("layernorm_backward", "- xhat * (g * xhat).mean(axis=-1, keepdims=True)", "", "layernorm"),
    ("layernorm_backward", "g = dy * gamma", "g = dy", "layernorm"),
    ("layernorm_backward", "dx = r * (", "dx = (", "layernorm"),
    ("layernorm_backward", "(dy * xhat).sum(axis=rows)", "(dy * gamma * xhat).sum(axis=rows)",
     "layernorm"),
    ("layernorm_backward", "rows = tuple(range(dy.ndim - 1))",
     "rows = tuple(range(1, dy.ndim - 1))", "layernorm"),       # an axis of rows not summed
    ("residual_layernorm_backward", "ds = ds + dx", "ds = dx", "residual_layernorm"),
    ("residual_layernorm_backward", "return ds, ds,", "return ds, dx,", "residual_layernorm"),
    ("softmax_backward", "dy - mean", "dy", "softmax"),
    ("softmax_backward", "(y * dy).sum(", "(y * dy).mean(", "softmax"),
    ("softmax_backward", "axis=-1", "axis=0", "softmax"),
    ("logsumexp_backward", "* p,)", "* (p - 1),)", "logsumexp"),
    ("cross_entropy_backward", "dy / n", "dy / len(p)", "cross_entropy"),   # ignored ones counted
    ("cross_entropy_backward", "dy / n", "dy", "cross_entropy"),
    ("cross_entropy_backward", "-= 1", "+= 1", "cross_entropy"),
    ("cross_entropy_backward", "dx[~counted] = 0", "dx[~counted] *= 1", "cross_entropy"),
    ("attention_backward", "ds = ds / math.sqrt(q.shape[-1])", "pass", "attention"),
    ("attention_backward", "dp + dy @ v", "dy @ v", "attention"),   # the weights' own gradient
    ("attention_backward", "dk = ds.swapaxes(-1, -2) @ q", "dk = p.swapaxes(-1, -2) @ q",
     "attention"),
    ("attention_backward", "softmax_backward(dp, (p,))", "(dp * p,)", "attention"),
    ("attention_backward", "dv = p.swapaxes(-1, -2) @ dy", "dv = p.swapaxes(-1, -2) @ dy * 2",
     "self_attention"),
    ("self_attention_backward", "concatenate(dqkv,", "concatenate(dqkv[::-1],", "self_attention"),
    ("dropout_backward", " / (1 - rate)", "", "dropout"),
    ("dropout_backward", "dy * keep", "dy", "dropout"),
    ("rnn_backward", "(dy[:, t] + dh)", "dy[:, t]", "rnn"),     # time forgotten
    ("rnn_backward", "(dy[:, t] + dh)", "dh", "rnn"),
    ("rnn_backward", "1 - y[:, t] * y[:, t]", "1 - y[:, t]", "rnn"),
    ("rnn_backward", " + ~live[:, t] * dh", "", "rnn"),         # padding that stops the gradient
    ("rnn_backward", "g = live[:, t] * ", "g = ", "rnn"),       # padding that learns
    ("rnn_backward", "not reverse", "reverse", "rnn"),
    ("rnn_backward", "da[:, t] @ u.T", "da[:, t] @ u", "rnn"),
    ("rnn_backward", "over_steps(past, da)", "over_steps(y, da)", "rnn"),       # h_t for h_{t-1}
    ("over_steps", "np.tensordot(x, da, axes=((0, 1), (0, 1)))", "x[:, -1].T @ da[:, -1]", "rnn"),
    ("lstm_backward", "live[:, t] * dc + gh", "gh", "lstm"),    # the cell's own road
    ("lstm_backward", "dc = gc * f + ~live", "dc = gc + ~live", "lstm"),
    ("lstm_backward", "dc = gc * f + ~live[:, t] * dc", "dc = gc * f", "lstm"),
    ("lstm_backward", "gh * o * (1 - tanh_c * tanh_c)", "gh * o", "lstm"),
    ("lstm_backward", "gc * cells[:, t] * f", "gc * tanh_c * f", "lstm"),       # c_t for c_{t-1}
    ("lstm_backward", "gc * g * i * (1 - i)", "gc * g * i * (1 - i * i)", "lstm"),
    ("lstm_backward", "gh * tanh_c * o * (1 - o)", "gc * tanh_c * o * (1 - o)", "lstm"),
    ("lstm_backward", " + ~live[:, t] * dh", "", "lstm"),
    ("lstm_backward", "da.sum(axis=(0, 1))", "da.sum(axis=0)[-1]", "lstm"),
    ("gru_backward", " + g * z + ", " + ", "gru"),              # the road past the candidate
    ("gru_backward", "past[:, t] - n", "past[:, t]", "gru"),
    ("gru_backward", "dp_z, dp_n * r)", "dp_z, dp_n)", "gru"),
    ("gru_backward", "dp_n * seen[:, t] * r", "dp_n * r", "gru"),
    ("gru_backward", "over_steps(past, dq)", "over_steps(past, dp)", "gru"),
    ("gru_backward", "zip((dp, dq), biases)", "zip((dp, dp), biases)", "gru"),
    ("gru_backward", "g * (1 - z) *", "g * z *", "gru"),
    ("weigh_backward", "softmax_backward(dp, (p,))", "(dp * p,)", "additive_attention"),
    ("weigh_backward", "dp + dy @ v", "dy @ v", "multiplicative_attention"),
    ("additive_attention_backward", " * (1 - e * e)", "", "additive_attention"),
    ("additive_attention_backward", "np.tensordot(ds, e, axes=3)", "(ds[0, 0, :, None] * e[0, 0])"
     ".sum(axis=0) if ds.size else np.zeros_like(w)", "additive_attention"),
    ("additive_attention_backward", "ds[..., None] * w *", "ds[..., None] *", "additive_attention"),
    ("additive_attention_backward", "g.sum(axis=2), g.sum(axis=1)",
     "g.mean(axis=2), g.sum(axis=1)", "additive_attention"),
    ("multiplicative_attention_backward", "ds.swapaxes(1, 2) @ q", "p.swapaxes(1, 2) @ q",
     "multiplicative_attention"),
]

FORWARD = [
    ("relu", "np.maximum(x, 0), (positive,)", "np.where(x > -1, x, 0), (x > -1,)", "relu",
     [test_facts.test_relu_takes_the_derivative_zero_at_its_corner]),
    ("gelu", "x / math.sqrt(2)", "x", "gelu",
     [test_facts.test_gelu_is_x_times_the_normal_distribution_function]),
    ("gelu", "ROOT_2_OVER_PI *", "", "gelu",
     [test_facts.test_the_two_forms_of_gelu_differ_by_less_than_5e_4]),
    ("bias_gelu", "gelu(x + b, exact=exact)", "gelu(x - b, exact=exact)", "bias_gelu",
     [lambda kernels, r: test_fused.test_bias_gelu_is_gelu_after_add(kernels, r, False)]),
    ("mean", "y / n, (n, saved)", "y / (n + 1), (n + 1, saved)", "mean",
     [test_facts.test_a_mean_is_a_sum_divided]),
    ("linear", "if b is None else y + b", "if b is None else y - b", "linear",
     [test_facts.test_a_row_of_a_linear_layer_does_not_see_the_others]),
    ("embedding", "w[ids], (ids", "w[ids - 1], (ids - 1", "embedding",
     [test_facts.test_an_embedding_is_a_product_with_one_hot_rows]),
    ("positions", "w[start:start + T]", "w[:T]", "positions",
     [test_facts.test_positions_adds_the_rows_from_start_on]),
    ("layernorm", "centered = x - x.mean(axis=-1, keepdims=True)", "centered = x", "layernorm",
     [test_facts.test_normalized_rows_have_mean_zero_and_variance_one,
      test_facts.test_layernorm_does_not_see_shift_and_scale]),
    ("layernorm", "+ eps)", "+ eps ** 2)", "layernorm", [test_facts.test_layernorm_by_hand]),
    ("residual_layernorm", "layernorm(s,", "layernorm(h,", "residual_layernorm",
     [test_fused.test_residual_layernorm_is_layernorm_after_add]),
    ("residual_layernorm", "return (s, y)", "return (x, y)", "residual_layernorm",
     [test_fused.test_residual_layernorm_is_layernorm_after_add]),
    ("softmax", "e / e.sum(axis=-1", "e / e.sum(axis=0", "softmax",
     [test_facts.test_rows_of_a_softmax_are_distributions]),
    ("softmax", "np.exp(x - x.max(axis=-1, keepdims=True))", "np.exp(x)", "softmax",
     [test_facts.test_a_softmax_does_not_see_a_constant_added_to_its_scores]),
    ("logsumexp", "m + np.log(total)", "np.log(total)", "logsumexp",
     [test_facts.test_logsumexp_by_hand]),
    ("cross_entropy", ".sum() / n", ".sum() / len(flat)", "cross_entropy",
     [test_facts.test_an_ignored_target_changes_nothing_and_learns_nothing]),
    ("cross_entropy", "counted = flat != ignore", "counted = flat != -1", "cross_entropy", []),
    ("attention", " / math.sqrt(D)", "", "attention", [test_facts.test_attention_by_hand]),
    ("attention", " / math.sqrt(D)", " / math.sqrt(q.shape[-1] * heads)", "attention",
     [test_facts.test_heads_are_attentions_of_their_own_columns]),      # √C in place of √D
    ("attention", "np.where(total == 0, 1, total)", "(total + 1e-3)", "attention",
     [lambda kernels, r: test_facts.test_attention_weights_of_a_row_sum_to_one(kernels, r, True)]),
    ("attention", "scores, -np.inf)", "scores, -10)", "attention",      # a mask that leaks
     [test_facts.test_nothing_flows_through_a_mask]),
    ("visible", "np.tri(T, S, S - T, ", "np.tri(T, S, 0, ", "attention",
     [lambda kernels, r: test_facts.test_causal_attention_does_not_look_ahead(kernels, r, 2, 5)]),
    ("visible", "np.tri(T, S, S - T, ", "np.tri(T, S, S - T + 1, ", "attention",
     [test_facts.test_the_first_causal_token_sees_only_itself]),
    ("visible", "allowed & past", "allowed | past", "attention", []),
    ("visible", "mask[..., None, :, :]", "mask[:, None, :1, :]", "attention", []),
    ("self_attention", "q, k, v = np.split", "k, q, v = np.split", "self_attention",
     [lambda kernels, r: test_fused.test_self_attention_is_attention_after_split(
         kernels, r, True, False)]),
    ("dropout", "x * keep / (1 - rate)", "x * keep", "dropout",
     [test_facts.test_dropout_keeps_the_mean_and_what_is_off_does_not_learn]),
    ("rnn", "h = np.where(live[:, t], state, h)", "h = state", "rnn",
     [lambda kernels, r: test_recurrence.test_padding_changes_nothing_and_gets_nothing(
         "rnn", False, kernels, r)]),
    ("in_order", "if reverse", "if not reverse", "rnn",
     [test_recurrence.test_two_steps_of_an_rnn_by_hand]),
    ("tokens", "< lengths", "<= lengths", "rnn",
     [lambda kernels, r: test_recurrence.test_padding_changes_nothing_and_gets_nothing(
         "rnn", True, kernels, r)]),
    ("lstm", "i, f, g, o = np.split", "f, i, g, o = np.split", "lstm",
     [test_recurrence.test_a_step_of_an_lstm_by_hand]),
    ("lstm", "np.where(live[:, t], cell, c)", "cell", "lstm",
     [lambda kernels, r: test_recurrence.test_padding_changes_nothing_and_gets_nothing(
         "lstm", False, kernels, r)]),
    ("lstm", "state = o * shown[:, t]", "state = o * cell", "lstm",
     [test_recurrence.test_a_step_of_an_lstm_by_hand]),
    ("gru", "np.tanh(p_n + r * q_n)", "np.tanh(r * (p_n + q_n))", "gru",
     [test_recurrence.test_a_step_of_a_gru_by_hand]),
    ("gru", "(1 - z) * n + z * h", "z * n + (1 - z) * h", "gru",
     [test_recurrence.test_a_step_of_a_gru_by_hand]),
    ("additive_attention", "np.tanh(q[:, :, None] + k[:, None])",
     "np.tanh(q[:, :, None] - k[:, None])", "additive_attention",
     [lambda kernels: test_recurrence.test_alignment_by_hand("additive_attention", kernels)]),
    ("multiplicative_attention", "weigh(q @ k.swapaxes(1, 2),",
     "weigh(q @ k.swapaxes(1, 2) / q.shape[2] ** 0.5 / 2,", "multiplicative_attention",
     [lambda kernels: test_recurrence.test_alignment_by_hand("multiplicative_attention",
                                                             kernels)]),
    ("weigh", "scores, -np.inf)", "scores, -10)", "multiplicative_attention",
     [lambda kernels, r: test_recurrence.test_nothing_flows_through_an_alignment_s_mask(
         "multiplicative_attention", kernels, r)]),
]

STEP = [
    ("sgd_", "scale * dw", "dw", "sgd_", [test_facts.test_gradient_descent_by_hand]),
    ("sgd_", "w -=", "w +=", "sgd_", [test_facts.test_gradient_descent_by_hand]),
    ("momentum_", "scale * dw", "dw", "momentum_", [test_facts.test_momentum_by_hand]),
    ("momentum_", "u *= mu", "u *= 1 - mu", "momentum_", [test_facts.test_momentum_by_hand]),
    ("momentum_", "lr * u", "lr * (u + dw)", "momentum_", [test_facts.test_momentum_by_hand]),
    ("adam_", "g = scale * dw", "g = dw", "adam_", [test_facts.test_two_steps_of_adam_by_hand]),
    ("adam_", "m / (1 - beta1 ** t)", "m / (1 - beta1 ** (t + 1))", "adam_",
     [test_facts.test_the_first_step_of_adam_is_the_rate_whatever_the_gradient,
      test_facts.test_two_steps_of_adam_by_hand]),              # t counted from 0
    ("adam_", "v / (1 - beta2 ** t)", "v", "adam_", [test_facts.test_two_steps_of_adam_by_hand]),
    ("adam_", "(1 - beta2) * g * g", "(1 - beta2) * g", "adam_",
     [test_facts.test_two_steps_of_adam_by_hand]),
    ("adam_", "np.sqrt(vhat) + eps", "np.sqrt(vhat + eps)", "adam_",
     [test_facts.test_two_steps_of_adam_by_hand]),
    ("adamw_", "w *= 1 - lr * decay", "dw = dw + decay * w", "adamw_",  # coupled, as L2 would be
     [test_facts.test_adamw_decays_the_weight_and_not_the_gradient]),
    ("adamw_", "w *= 1 - lr * decay", "w *= 1 - decay", "adamw_",
     [test_facts.test_adamw_decays_the_weight_and_not_the_gradient]),
    ("squared_norm", ", dtype=np.float64", "", "squared_norm",
     [test_facts.test_a_squared_norm_does_not_lose_small_entries]),
    ("clip_factor", "math.sqrt(squared)", "squared", "clip_factor",
     [test_facts.test_clipping_shortens_a_gradient_to_the_limit_and_leaves_short_ones]),
    ("clip_factor", "limit and most * norm > limit", "limit", "clip_factor",
     [test_facts.test_clipping_shortens_a_gradient_to_the_limit_and_leaves_short_ones]),
    ("attention_step_", "keys[:length + 1], values[:length + 1]", "keys[:length], values[:length]",
     "attention_step_", [test_fused.test_a_decoding_step_is_the_last_row_of_the_whole_block]),
    ("mlp_step", "return x + y", "return y", "mlp_step",
     [test_fused.test_a_decoding_step_is_the_last_row_of_the_whole_block]),
]

TAPE = [
    ("dx if known is None else kernels.add(known, dx)[0]", "dx",
     test_tape.test_a_tensor_used_twice_gets_the_sum_of_both_contributions),
    ("dx if known is None else kernels.add(known, dx)[0]", "dx",
     test_tape.test_weights_shared_over_time_add_up),
    ("kernels.zeros(y.shape", "kernels.ones(y.shape",
     test_tape.test_an_output_that_the_loss_ignores_gets_zeros),
    ("grads.get(id(y)) if id(y) in wanted else grads.pop(id(y), None)", "grads.pop(id(y), None)",
     test_tape.test_the_gradient_of_something_in_the_middle_can_be_asked_for),
    ("self.lines if tear else list(self.lines)", "self.lines",
     test_tape.test_one_tape_gives_two_gradients),
    ("self.lines if tear else list(self.lines)", "list(self.lines)",
     test_tape.test_a_torn_tape_gives_the_same_gradient_and_is_empty_afterwards),
    ("self.lines if tear else list(self.lines)", "list(self.lines)",
     test_tape.test_tearing_frees_what_a_line_saved_before_the_gradient_is_complete),
    ("strict=True", "strict=False",
     test_tape.test_a_backward_with_too_few_gradients_is_an_error),
]


def names(rows):
    return [f"{row[0]}: {row[1]} becomes {row[2]}" for row in rows]


@pytest.mark.parametrize("function, old, new, op", BACKWARD, ids=names(BACKWARD))
def test_a_mistake_in_a_backward_is_caught(function, old, new, op):
    broken = plant(function, old, new, op)
    assert any_row_fails(op, lambda case: check_gradient(case, broken))
    assert any_row_fails(op, lambda case: check_numbers(case, "float64", broken, Arrays("numpy")))


@pytest.mark.parametrize("function, old, new, op, judges", FORWARD, ids=names(FORWARD))
def test_a_mistake_in_a_forward_is_caught(function, old, new, op, judges):
    broken = plant(function, old, new, op)
    assert any_row_fails(op, lambda case: check_numbers(case, "float64", broken, Arrays("numpy")))
    all_fail(judges, ops_with(op, broken))


@pytest.mark.parametrize("function, old, new, name, judges", STEP, ids=names(STEP))
def test_a_mistake_in_a_step_is_caught(function, old, new, name, judges):
    broken = plant(function, old, new, name)
    assert any(fails(check_step, row, dtype, broken[0], Arrays("numpy"))
               for row in STEPS if row[0] == name for dtype in ("float64", "float32"))
    all_fail(judges, ops_with(name, broken))


@pytest.mark.parametrize("old, new, judge", TAPE)
def test_a_mistake_in_the_tape_is_caught(old, new, judge, monkeypatch):
    broken = mutated(tape.Tape.gradient, old, new)
    space = dict(vars(tape))
    exec(textwrap.dedent(broken), space)
    with backend.use("numpy"):
        judge(Draw(0))
        monkeypatch.setattr(tape.Tape, "gradient", space["gradient"])
        assert fails(judge, Draw(0))


def test_the_judges_of_the_planted_mistakes_pass_without_one():
    for *_, judges in FORWARD + STEP:
        for judge in judges:
            call(judge, ops)


def test_every_op_and_step_has_a_planted_mistake():
    planted = {row[3] for row in BACKWARD + FORWARD + STEP}
    assert {op for op, _, _ in CASES + STEPS} - planted == {"reshape"}     # a name for NumPy's


def plant(function, old, new, op):
    """(forward, backward) of `op`, from a copy of its page with the mistake in it."""
    page = inspect.getmodule(getattr(ops, op))
    right = inspect.getsource(getattr(page, function))
    copy = types.ModuleType(page.__name__)
    source = inspect.getsource(page).replace(right, mutated(getattr(page, function), old, new))
    exec(compile(source, page.__file__, "exec"), vars(copy))
    return getattr(copy, op), getattr(copy, op + "_backward", None)


def mutated(function, old, new):
    source = inspect.getsource(function)
    assert source.count(old) >= 1, f"{function.__name__} has no {old!r}: adapt this row to its page"
    return source.replace(old, new)


def any_row_fails(op, check):
    return any(fails(check, case) for case in CASES if case[0] == op)


def ops_with(op, broken):
    """The names of nanollm.ops, with this pair in place of its own."""
    return types.SimpleNamespace(**{**public(ops), op: broken[0], op + "_backward": broken[1]})


def all_fail(judges, kernels):
    for judge in judges:
        assert fails(call, judge, kernels), f"{judge.__name__} does not see it"


def call(judge, kernels):
    judge(*[{"kernels": kernels, "r": Draw(0)}[name]
            for name in inspect.signature(judge).parameters])


def fails(function, *arguments):
    try:
        function(*arguments)
    except CAUGHT:
        return True
    return False

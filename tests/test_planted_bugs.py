"""The tests are tested: mistakes people make are planted in the pages, and each must be caught.

The mistakes are the suspects of the exercises (nanollm/exercises/specs): (function, old, new), in
the source of `function`, `old` becomes `new`. The judges are those of the real tests. All must be
caught by the comparison with the reference over the rows of cases.py: that is what guards the
kernels. A mistake in a backward must be caught by the gradient check as well; and every fact about
an op must see some mistake.
"""

import functools
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
from nanollm.exercises import catalog, stubs

# What ends a test where numbers or shapes are wrong; a NameError would be a mistake in a row here.
CAUGHT = (AssertionError, ValueError, IndexError, ZeroDivisionError, RuntimeWarning,
          pytest.fail.Exception)

# What an op is known to do, beside what the rows of cases.py say; each sees some mistake of its op.
FACTS = [
    ("relu", test_facts.test_relu_takes_the_derivative_zero_at_its_corner),
    ("gelu", test_facts.test_gelu_is_x_times_the_normal_distribution_function),
    ("gelu", test_facts.test_the_two_forms_of_gelu_differ_by_less_than_5e_4),
    ("bias_gelu", lambda kernels, r: test_fused.test_bias_gelu_is_gelu_after_add(
        kernels, r, False)),
    ("mean", test_facts.test_a_mean_is_a_sum_divided),
    ("linear", test_facts.test_a_row_of_a_linear_layer_does_not_see_the_others),
    ("embedding", test_facts.test_an_embedding_is_a_product_with_one_hot_rows),
    ("positions", test_facts.test_positions_adds_the_rows_from_start_on),
    ("layernorm", test_facts.test_normalized_rows_have_mean_zero_and_variance_one),
    ("layernorm", test_facts.test_layernorm_does_not_see_shift_and_scale),
    ("layernorm", test_facts.test_layernorm_by_hand),
    ("residual_layernorm", test_fused.test_residual_layernorm_is_layernorm_after_add),
    ("softmax", test_facts.test_rows_of_a_softmax_are_distributions),
    ("softmax", test_facts.test_a_softmax_does_not_see_a_constant_added_to_its_scores),
    ("logsumexp", test_facts.test_logsumexp_by_hand),
    ("cross_entropy", test_facts.test_an_ignored_target_changes_nothing_and_learns_nothing),
    ("attention", test_facts.test_attention_by_hand),
    ("attention", test_facts.test_heads_are_attentions_of_their_own_columns),
    ("attention", lambda kernels, r: test_facts.test_attention_weights_of_a_row_sum_to_one(
        kernels, r, True)),
    ("attention", test_facts.test_nothing_flows_through_a_mask),
    ("attention", lambda kernels, r: test_facts.test_causal_attention_does_not_look_ahead(
        kernels, r, 2, 5)),
    ("attention", test_facts.test_the_first_causal_token_sees_only_itself),
    ("self_attention", lambda kernels, r: test_fused.test_self_attention_is_attention_after_split(
        kernels, r, True, False)),
    ("dropout", test_facts.test_dropout_keeps_the_mean_and_what_is_off_does_not_learn),
    ("rnn", lambda kernels, r: test_recurrence.test_padding_changes_nothing_and_gets_nothing(
        "rnn", False, kernels, r)),
    ("rnn", lambda kernels, r: test_recurrence.test_padding_changes_nothing_and_gets_nothing(
        "rnn", True, kernels, r)),
    ("rnn", test_recurrence.test_two_steps_of_an_rnn_by_hand),
    ("lstm", test_recurrence.test_a_step_of_an_lstm_by_hand),
    ("lstm", lambda kernels, r: test_recurrence.test_padding_changes_nothing_and_gets_nothing(
        "lstm", False, kernels, r)),
    ("gru", test_recurrence.test_a_step_of_a_gru_by_hand),
    ("additive_attention", lambda kernels: test_recurrence.test_alignment_by_hand(
        "additive_attention", kernels)),
    ("multiplicative_attention", lambda kernels: test_recurrence.test_alignment_by_hand(
        "multiplicative_attention", kernels)),
    ("multiplicative_attention",
     lambda kernels, r: test_recurrence.test_nothing_flows_through_an_alignment_s_mask(
         "multiplicative_attention", kernels, r)),
    ("sgd_", test_facts.test_gradient_descent_by_hand),
    ("momentum_", test_facts.test_momentum_by_hand),
    ("adam_", test_facts.test_two_steps_of_adam_by_hand),
    ("adam_", test_facts.test_the_first_step_of_adam_is_the_rate_whatever_the_gradient),
    ("adamw_", test_facts.test_adamw_decays_the_weight_and_not_the_gradient),
    ("squared_norm", test_facts.test_a_squared_norm_does_not_lose_small_entries),
    ("clip_factor",
     test_facts.test_clipping_shortens_a_gradient_to_the_limit_and_leaves_short_ones),
    ("attention_step_", test_fused.test_a_decoding_step_is_the_last_row_of_the_whole_block),
    ("mlp_step", test_fused.test_a_decoding_step_is_the_last_row_of_the_whole_block),
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


PLANTED = [(exercise.name, function, old, new) for exercise in catalog.all_of_them()
           if exercise.group == "ops" for function, old, new, _ in exercise.suspects]
HELPS_A_BACKWARD = ("unbroadcast", "over_steps")


@pytest.mark.parametrize("page, function, old, new", PLANTED, ids=[
    f"{function}: {old} becomes {new}" for _, function, old, new in PLANTED])
def test_a_planted_mistake_is_caught(page, function, old, new):
    broken = planted(page, function, old, new)
    caught = [op for op in ops_of(page) if differs(op, broken)]
    assert caught
    if function.endswith("_backward") or function in HELPS_A_BACKWARD:
        assert any(any_row_fails(op, lambda case: check_gradient(case, pair_of(broken, op)))
                   for op in caught)


@pytest.mark.parametrize("op, fact", FACTS)
def test_a_fact_holds_and_sees_a_planted_mistake(op, fact):
    call(fact, ops)
    assert any(fails(call, fact, ops_with(planted(*row)))
               for row in PLANTED if op in ops_of(row[0]))


@pytest.mark.parametrize("old, new, judge", TAPE)
def test_a_mistake_in_the_tape_is_caught(old, new, judge, monkeypatch):
    broken = mutated(tape.Tape.gradient, old, new)
    space = dict(vars(tape))
    exec(textwrap.dedent(broken), space)
    with backend.use("numpy"):
        judge(Draw(0))
        monkeypatch.setattr(tape.Tape, "gradient", space["gradient"])
        assert fails(judge, Draw(0))


def test_every_op_and_step_has_a_planted_mistake():
    for op in {op for op, _, _ in CASES + STEPS}:
        assert any(differs(op, planted(*row)) for row in PLANTED if op in ops_of(row[0])), op


@functools.cache
def planted(page, function, old, new):
    """A copy of the page with the mistake in it."""
    copy = types.ModuleType(f"nanollm.ops.{page}")
    text = stubs.plant(stubs.text(f"nanollm/ops/{page}.py"), function, old, new)
    exec(compile(text, f"{page}.py with a mistake", "exec"), vars(copy))
    return copy


def ops_of(page):
    """The ops and steps that stand on a page."""
    return list(dict.fromkeys(op for op, _, _ in CASES + STEPS
                              if getattr(ops, op).__module__ == f"nanollm.ops.{page}"))


def pair_of(module, op):
    return getattr(module, op), getattr(module, op + "_backward", None)


def differs(op, broken):
    """Does some row of cases.py see that the page is broken?"""
    forward, backward = pair_of(broken, op)
    if backward is None:
        return any(fails(check_step, row, dtype, forward, Arrays("numpy"))
                   for row in STEPS if row[0] == op for dtype in ("float64", "float32"))
    return any_row_fails(op, lambda case: check_numbers(case, "float64", (forward, backward),
                                                        Arrays("numpy")))


def mutated(function, old, new):
    source = inspect.getsource(function)
    assert source.count(old) >= 1, f"{function.__name__} has no {old!r}: adapt this row to its page"
    return source.replace(old, new)


def any_row_fails(op, check):
    return any(fails(check, case) for case in CASES if case[0] == op)


def ops_with(broken):
    """The names of nanollm.ops, with those of a broken page in place of its own."""
    return types.SimpleNamespace(**{**public(ops), **{
        name: f for name, f in public(broken).items() if name in public(ops)}})


def call(judge, kernels):
    judge(*[{"kernels": kernels, "r": Draw(0)}[name]
            for name in inspect.signature(judge).parameters])


def fails(function, *arguments):
    try:
        function(*arguments)
    except CAUGHT:
        return True
    return False

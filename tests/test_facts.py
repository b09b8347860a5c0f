"""What must hold whatever the numbers: facts from the pages, and examples for pencil and paper.

Here the reference itself is judged; `kernels` is the module of the backend under test.
"""

import math

import numpy as np
import pytest
from numpy.testing import assert_allclose

from nanollm.ops.positions import sinusoidal


def run(kernels, op, *inputs, dy=None, **settings):
    """y, or (y, gradients) if there is a dy."""
    y, saved = getattr(kernels, op)(*inputs, **settings)
    return y if dy is None else (y, getattr(kernels, op + "_backward")(dy, saved))


def close(a, b, tol=1e-12):
    assert_allclose(a, b, rtol=tol, atol=tol)


# Softmax, log-sum-exp and cross-entropy


def test_rows_of_a_softmax_are_distributions(kernels, r):
    y = run(kernels, "softmax", 10 * r.normal(3, 4, 50))
    assert (y > 0).all()
    close(y.sum(axis=-1), np.ones((3, 4)))


def test_a_softmax_by_hand(kernels):
    close(run(kernels, "softmax", np.log([[1.0, 3.0], [2.0, 2.0]])), [[0.25, 0.75], [0.5, 0.5]])


def test_a_softmax_does_not_see_a_constant_added_to_its_scores(kernels, r):
    x = r.whole(3, 4, 5)
    assert (run(kernels, "softmax", x) == run(kernels, "softmax", x + 1000)).all()


def test_rows_of_a_softmax_gradient_sum_to_zero(kernels, r):
    _, (dx,) = run(kernels, "softmax", r.normal(4, 7), dy=r.normal(4, 7))
    close(dx.sum(axis=-1), np.zeros(4))


def test_a_constant_dy_gives_a_softmax_no_gradient(kernels, r):
    _, (dx,) = run(kernels, "softmax", r.normal(4, 7), dy=np.full((4, 7), 3.0))
    close(dx, np.zeros((4, 7)))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_score_of_minus_infinity_has_probability_zero(kernels, dtype):
    x = np.array([[-np.inf, 0.0, 1.0], [0.0, -np.inf, -np.inf]], dtype)
    y = run(kernels, "softmax", x)
    assert y[0, 0] == 0 and (y[1] == [1, 0, 0]).all()
    assert run(kernels, "logsumexp", x)[1] == 0


def test_logsumexp_lies_between_the_largest_score_and_log_k_more(kernels, r):
    x = 10 * r.normal(6, 5)
    y = run(kernels, "logsumexp", x)
    assert (x.max(axis=-1) <= y).all() and (y <= x.max(axis=-1) + math.log(5)).all()


def test_logsumexp_by_hand(kernels):
    close(run(kernels, "logsumexp", np.log([[1.0, 3.0], [5.0, 5.0]])), np.log([4, 10]))


def test_the_gradient_of_logsumexp_is_the_softmax(kernels, r):
    x = r.normal(3, 5)
    _, (dx,) = run(kernels, "logsumexp", x, dy=np.ones(3))
    close(dx, run(kernels, "softmax", x))


def test_cross_entropy_by_hand(kernels):
    """p = (1/4, 3/4) and (1/2, 1/2); the targets have 3/4 and 1/2."""
    x, targets = np.log([[1.0, 3.0], [2.0, 2.0]]), np.array([1, 0])
    loss, (dx, none) = run(kernels, "cross_entropy", x, targets, dy=np.float64(1))
    close(loss, -(math.log(3 / 4) + math.log(1 / 2)) / 2)
    close(dx, [[0.125, -0.125], [-0.25, 0.25]])
    assert none is None


def test_knowing_nothing_costs_log_v(kernels, r):
    close(run(kernels, "cross_entropy", np.zeros((3, 50)), r.ids(50, 3)), math.log(50))


def test_an_ignored_target_changes_nothing_and_learns_nothing(kernels, r):
    x, targets = r.normal(4, 5), np.array([2, -1, 0, -1])
    loss, (dx, _) = run(kernels, "cross_entropy", x, targets, dy=np.float64(1))
    close(loss, run(kernels, "cross_entropy", x[::2].copy(), targets[::2].copy()))
    assert not dx[1::2].any()
    close(dx.sum(axis=-1), np.zeros(4))


def test_no_target_to_count_costs_nothing(kernels, r):
    loss, (dx, _) = run(kernels, "cross_entropy", r.normal(3, 5), np.full(3, -1), dy=np.float64(1))
    assert loss == 0 and not dx.any()


# Layernorm


def test_normalized_rows_have_mean_zero_and_variance_one(kernels, r):
    y = run(kernels, "layernorm", 5 + 3 * r.normal(4, 50), np.ones(50), np.zeros(50), eps=1e-14)
    close(y.mean(axis=-1), np.zeros(4))
    close(y.var(axis=-1), np.ones(4))


def test_layernorm_by_hand(kernels):
    """The row (1, 3) has mean 2 and variance 1, so with eps = 3 it is halved: (-1/2, 1/2)."""
    y = run(kernels, "layernorm", np.array([[1.0, 3.0]]), np.array([2.0, 4.0]),
            np.array([10.0, 20.0]), eps=3.0)
    close(y, [[9, 22]])


def test_layernorm_does_not_see_shift_and_scale(kernels, r):
    x, gamma, beta = r.normal(3, 8), r.normal(8), r.normal(8)
    close(run(kernels, "layernorm", 7 * x + 5, gamma, beta, eps=0.0),
          run(kernels, "layernorm", x, gamma, beta, eps=0.0), tol=1e-10)


def test_the_gradient_of_a_layernorm_is_orthogonal_to_shift_and_scale(kernels, r):
    x = r.normal(3, 8)
    _, (dx, _, _) = run(kernels, "layernorm", x, r.normal(8), r.normal(8), eps=0.0,
                        dy=r.normal(3, 8))
    close(dx.sum(axis=-1), np.zeros(3))
    close((dx * x).sum(axis=-1), np.zeros(3))


# Attention


def heads_of_one(kernels, q, k, v, **settings):
    return run(kernels, "attention", q, k, v, None, **settings)


def test_attention_by_hand(kernels):
    """D = 4: the scores q k / 2 are log 3 and 0, the weights 3/4 and 1/4."""
    q = np.array([[math.log(3), 0.0, 0.0, 0.0]])
    k = np.array([[2.0, 5.0, 5.0, 5.0], [0.0, 5.0, 5.0, 5.0]])
    v = np.array([[4.0, 0.0, 0.0, 0.0], [0.0, 8.0, 0.0, 0.0]])
    y, p = heads_of_one(kernels, q, k, v, weights=True)
    close(y, [[3, 2, 0, 0]])
    close(p, [[[0.75, 0.25]]])


def test_the_first_causal_token_sees_only_itself(kernels, r):
    q, k, v = r.normal(5, 4), r.normal(5, 4), r.normal(5, 4)
    close(heads_of_one(kernels, q, k, v, heads=2, causal=True)[0], v[0])


def test_equal_keys_give_the_mean_of_the_values(kernels, r):
    k = np.tile(r.normal(4), (5, 1))
    v = r.normal(5, 4)
    y = heads_of_one(kernels, r.normal(3, 4), k, v, heads=2)
    close(y, np.tile(v.mean(axis=0), (3, 1)))


@pytest.mark.parametrize("mask", [False, True])
def test_attention_weights_of_a_row_sum_to_one(kernels, r, mask):
    q, k, v = r.normal(2, 3, 4), r.normal(2, 5, 4), r.normal(2, 5, 4)
    keep = r.keep(2, 1, 5)
    keep[..., -1] = True
    _, p = run(kernels, "attention", q, k, v, keep if mask else None, heads=2, weights=True)
    close(p.sum(axis=-1), np.ones((2, 2, 3)))
    assert not mask or not p[~np.broadcast_to(keep[:, None], p.shape)].any()


def test_attention_is_blind_to_order(kernels, r):
    """Permuting the tokens permutes the results and changes nothing else."""
    x, order = r.normal(6, 12), np.array([3, 1, 5, 0, 2, 4])
    close(run(kernels, "self_attention", x[order], None, heads=2),
          run(kernels, "self_attention", x, None, heads=2)[order])


@pytest.mark.parametrize("T, S", [(5, 5), (2, 5), (130, 130), (66, 130)])
def test_causal_attention_does_not_look_ahead(kernels, r, T, S):
    """Changing key s moves exactly the queries t with t + S - T ≥ s: the last T of S positions."""
    q, k, v = r.normal(T, 4), r.normal(S, 4), r.normal(S, 4)
    y = heads_of_one(kernels, q, k, v, heads=2, causal=True)
    for s in {0, 1, S // 2, S - T, S - 2, S - 1}:
        other_k, other_v = k.copy(), v.copy()
        other_k[s] += 1
        other_v[s] += 1
        moved = (heads_of_one(kernels, q, other_k, other_v, heads=2, causal=True) != y).any(axis=-1)
        assert (moved == (np.arange(T) + S - T >= s)).all()


def test_nothing_flows_through_a_mask(kernels, r):
    q, k, v, keep = r.normal(2, 3, 4), r.normal(2, 5, 4), r.normal(2, 5, 4), r.keep(2, 1, 5)
    dy = r.normal(2, 3, 4)
    y, (dq, dk, dv, none) = run(kernels, "attention", q, k, v, keep, heads=2, dy=dy)
    hidden = ~keep[:, 0]
    assert not dk[hidden].any() and not dv[hidden].any() and none is None
    k[hidden] += 10
    v[hidden] = 1e3
    again, (dq_again, *_) = run(kernels, "attention", q, k, v, keep, heads=2, dy=dy)
    close(again, y)
    close(dq_again, dq)


def test_a_query_that_is_masked_everywhere_gets_zeros(kernels, r):
    q, k, v, keep = r.normal(3, 4), r.normal(5, 4), r.normal(5, 4), r.future(3, 5)
    (y, p), (dq, *_) = run(kernels, "attention", q, k, v, keep, heads=2, weights=True,
                           dy=(r.normal(3, 4), r.normal(2, 3, 5)))
    assert not y[0].any() and not p[:, 0].any() and not dq[0].any()
    assert y[1].any()


def test_heads_are_attentions_of_their_own_columns(kernels, r):
    q, k, v = r.normal(2, 3, 6), r.normal(2, 5, 6), r.normal(2, 5, 6)
    halves = [run(kernels, "attention", *(x[..., i:i + 3].copy() for x in (q, k, v)), None)
              for i in (0, 3)]
    close(run(kernels, "attention", q, k, v, None, heads=2), np.concatenate(halves, axis=-1))


# Elementwise


def test_relu_takes_the_derivative_zero_at_its_corner(kernels):
    y, (dx,) = run(kernels, "relu", np.array([-2.0, 0.0, 3.0]), dy=np.array([5.0, 5.0, 5.0]))
    assert (y == [0, 0, 3]).all() and (dx == [0, 0, 5]).all()


def test_tanh_is_a_sigmoid_stretched(kernels, r):
    x = 3 * r.normal(50)
    close(run(kernels, "tanh", x), 2 * run(kernels, "sigmoid", 2 * x) - 1)
    close(run(kernels, "sigmoid", np.log([1.0, 3.0, 1 / 9])), [0.5, 0.75, 0.1])


def test_the_slopes_of_tanh_and_sigmoid_at_zero_are_one_and_a_quarter(kernels):
    for op, slope in ("tanh", 1), ("sigmoid", 0.25):
        _, (dx,) = run(kernels, op, np.zeros(1), dy=np.ones(1))
        close(dx, [slope])


@pytest.mark.parametrize("exact", [False, True])
def test_gelu_of_x_and_of_minus_x_differ_by_x(kernels, r, exact):
    x = 3 * r.normal(50)
    close(run(kernels, "gelu", x, exact=exact) - run(kernels, "gelu", -x, exact=exact), x)


def test_gelu_is_x_times_the_normal_distribution_function(kernels):
    x = np.array([-1.0, 0.0, 1.0, 2.0])
    close(run(kernels, "gelu", x, exact=True),
          x * [0.15865525393145705, 0.5, 0.8413447460685429, 0.9772498680518208])


def test_the_two_forms_of_gelu_differ_by_less_than_5e_4(kernels):
    x = np.linspace(-6, 6, 1001)
    y, imitation = run(kernels, "gelu", x, exact=True), run(kernels, "gelu", x)
    assert 1e-4 < np.abs(y - imitation).max() < 5e-4


# Linear maps: <A x, dy> = <x, Aᵀ dy>, and backward is Aᵀ


@pytest.mark.parametrize("op, shapes, settings", [
    ("reshape", [(2, 6)], {"shape": (3, 4)}),
    ("transpose", [(2, 3, 4)], {"axes": (1, 2, 0)}),
    ("concat", [(2, 3), (2, 4)], {}),
    ("sum", [(2, 3, 4)], {"axis": (0, 2)}),
    ("mean", [(2, 3, 4)], {"axis": 1}),
    ("add", [(2, 3), (3,)], {}),
    ("positions", [(2, 3, 4), (5, 4)], {"start": 1}),
])
def test_backward_of_a_linear_map_is_its_transpose(kernels, r, op, shapes, settings):
    inputs = [r.normal(*shape) for shape in shapes]
    y = run(kernels, op, *inputs, **settings)
    dy = r.normal(*y.shape)
    _, dxs = run(kernels, op, *inputs, dy=dy, **settings)
    close((y * dy).sum(), sum((x * dx).sum() for x, dx in zip(inputs, dxs)))


def test_a_row_of_a_linear_layer_does_not_see_the_others(kernels, r):
    x, w, b = r.normal(3, 5), r.normal(5, 4), r.normal(4)
    y = run(kernels, "linear", x, w, b)
    close(y, np.stack([run(kernels, "linear", row, w, b) for row in x]))
    close(y[1, 2], sum(x[1, e] * w[e, 2] for e in range(5)) + b[2])


def test_matmul_is_the_sum_of_products(kernels, r):
    a, b = r.normal(2, 3, 4), r.normal(2, 4, 5)
    close(run(kernels, "matmul", a, b), np.einsum("bmk,bkn->bmn", a, b))


def test_an_embedding_is_a_product_with_one_hot_rows(kernels, r):
    ids, w, dy = r.ids(4, 3, 5), r.normal(4, 6), r.normal(3, 5, 6)
    onehot = np.eye(4)[ids]
    y, (none, dw) = run(kernels, "embedding", ids, w, dy=dy)
    assert (y == onehot @ w).all() and none is None
    close(dw, np.einsum("btv,btc->vc", onehot, dy))


def test_a_mean_is_a_sum_divided(kernels, r):
    x = r.normal(2, 3, 4)
    close(run(kernels, "mean", x, axis=(0, 2)), run(kernels, "sum", x, axis=(0, 2)) / 8)
    assert run(kernels, "sum", np.arange(5.0)) == 10


def test_split_undoes_concat(kernels, r):
    parts = r.normal(2, 3), r.normal(2, 3)
    for part, again in zip(parts, run(kernels, "split", run(kernels, "concat", *parts), parts=2)):
        assert (part == again).all()


# Positions and dropout


def test_positions_adds_the_rows_from_start_on(kernels, r):
    x, w = r.normal(2, 3, 4), r.normal(6, 4)
    assert (run(kernels, "positions", x, w, start=2) == x + w[2:5]).all()


def test_sinusoidal_positions_begin_with_sine_and_cosine_of_t():
    P = sinusoidal(50, 6, np.float64)
    close(P[:, 0], np.sin(np.arange(50)))
    close(P[:, 1], np.cos(np.arange(50)))
    close(P[30, 4], math.sin(30 / 10000 ** (4 / 6)))


def test_a_shift_of_sinusoidal_positions_is_a_rotation_of_each_pair():
    P, s = sinusoidal(40, 8, np.float64), 7
    for i in range(4):
        angle = s / 10000 ** (2 * i / 8)
        turn = [[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]]
        close(P[:-s, 2 * i:2 * i + 2] @ turn, P[s:, 2 * i:2 * i + 2])


def test_dropout_keeps_the_mean_and_what_is_off_does_not_learn(kernels, r):
    x, rate = np.ones((400, 400)), 0.3
    keep = r.rng.random(x.shape) >= rate
    y, (dx, none) = run(kernels, "dropout", x, keep, rate=rate, dy=x)
    assert abs(y.mean() - 1) < 0.01
    assert not y[~keep].any() and not dx[~keep].any() and none is None
    close(dx[keep], 1 / 0.7)


# Steps of the optimizers, by hand


def test_gradient_descent_by_hand(kernels):
    w = np.array([1.0, 2.0])
    kernels.sgd_(w, np.array([2.0, -4.0]), lr=0.1)
    close(w, [0.8, 2.4])
    kernels.sgd_(w, np.array([2.0, -4.0]), lr=0.1, scale=0.5)
    close(w, [0.7, 2.6])


def test_momentum_by_hand(kernels):
    """u = 2, then 0.9 · 2 + 2 = 3.8, then 0.9 · 3.8 + 0.5 · 2 = 4.42."""
    w, u = np.array([1.0]), np.array([0.0])
    for scale, u_after, w_after in (1, 2, 0.8), (1, 3.8, 0.42), (0.5, 4.42, -0.022):
        kernels.momentum_(w, np.array([2.0]), u, lr=0.1, mu=0.9, scale=scale)
        close(u, [u_after])
        close(w, [w_after])


def test_the_first_step_of_adam_is_the_rate_whatever_the_gradient(kernels):
    w, m, v = np.zeros(3), np.zeros(3), np.zeros(3)
    kernels.adam_(w, np.array([1e-3, -1.0, 1e3]), m, v, lr=0.1, t=1, eps=0.0)
    close(w, [-0.1, 0.1, -0.1])


def test_two_steps_of_adam_by_hand(kernels):
    """β₁ = 1/2, β₂ = 3/4, g = 8, then 0: m = 4, 2; v = 16, 12; m̂ = 8, 8/3; v̂ = 64, 192/7."""
    w, m, v = np.array([1.0]), np.zeros(1), np.zeros(1)
    settings = {"lr": 0.1, "beta1": 0.5, "beta2": 0.75, "eps": 1.0}
    kernels.adam_(w, np.array([16.0]), m, v, t=1, scale=0.5, **settings)
    close([*m, *v, *w], [4, 16, 1 - 0.1 * 8 / 9])
    kernels.adam_(w, np.array([0.0]), m, v, t=2, scale=0.5, **settings)
    close([*m, *v, *w], [2, 12, 1 - 0.1 * 8 / 9 - 0.1 * (8 / 3) / (math.sqrt(192 / 7) + 1)])


def test_adamw_decays_the_weight_and_not_the_gradient(kernels):
    """1 - 0.1 · 0.5 = 0.95 of the weight is left; then Adam's first step, 0.1 against the sign."""
    w, m, v = np.array([2.0, -4.0]), np.zeros(2), np.zeros(2)
    kernels.adamw_(w, np.array([3.0, 1e-3]), m, v, lr=0.1, t=1, eps=0.0, decay=0.5)
    close(w, [1.8, -3.9])
    close(m, [0.3, 1e-4])


def test_the_squared_norm_of_3_4_is_25(kernels):
    assert kernels.squared_norm(np.array([[3.0], [4.0]], np.float32)) == 25


def test_a_squared_norm_does_not_lose_small_entries(kernels):
    x = np.full(1_000_001, 1e-4, np.float32)
    x[0] = 100
    close(kernels.squared_norm(x), 10_000 + 1_000_000 * float(x[1]) ** 2, tol=1e-10)


def test_clipping_shortens_a_gradient_to_the_limit_and_leaves_short_ones(kernels):
    close(kernels.clip_factor(25.0, limit=2.0), 0.4)
    close(kernels.clip_factor(25.0, limit=5), 1)
    close(kernels.clip_factor(25.0, limit=6), 1)
    close(kernels.clip_factor(0.0, limit=1), 1)
    for no_limit in 0, None:
        close(kernels.clip_factor(25.0, limit=no_limit), 1)


# The mask of dropout


def test_a_mask_keeps_one_minus_rate_of_the_entries(kernels):
    for rate in 0.0, 0.1, 0.5, 0.9:
        keep = kernels.keep(np.random.default_rng(0), (200, 300), rate)
        assert keep.shape == (200, 300) and keep.dtype == bool
        deviation = (rate * (1 - rate) / keep.size) ** 0.5
        assert abs(keep.mean() - (1 - rate)) <= 4 * deviation


def test_masks_follow_the_generator(kernels):
    rng = np.random.default_rng(0)
    first, second = (kernels.keep(rng, (100,), 0.5) for _ in range(2))
    assert (first != second).any()
    assert (first == kernels.keep(np.random.default_rng(0), (100,), 0.5)).all()

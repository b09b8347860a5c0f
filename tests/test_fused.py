"""Every fused op equals the composition of the ops that it saves."""

import numpy as np
import pytest
from numpy.testing import assert_allclose


def same(got, want):
    for a, b in zip(got, want, strict=True):
        assert_allclose(a, b, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("exact", [False, True])
def test_bias_gelu_is_gelu_after_add(kernels, r, exact):
    x, b, dy = r.normal(2, 3, 5), r.normal(5), r.normal(2, 3, 5)
    y, saved = kernels.bias_gelu(x, b, exact=exact)
    s, saved_add = kernels.add(x, b)
    y_apart, saved_gelu = kernels.gelu(s, exact=exact)
    (ds,) = kernels.gelu_backward(dy, saved_gelu)
    same([y, *kernels.bias_gelu_backward(dy, saved)],
         [y_apart, *kernels.add_backward(ds, saved_add)])


def test_residual_layernorm_is_layernorm_after_add(kernels, r):
    x, h, gamma, beta = r.normal(2, 3, 5), r.normal(2, 3, 5), r.normal(5), r.normal(5)
    ds, dy = r.normal(2, 3, 5), r.normal(2, 3, 5)
    (s, y), saved = kernels.residual_layernorm(x, h, gamma, beta)
    s_apart, saved_add = kernels.add(x, h)
    y_apart, saved_norm = kernels.layernorm(s_apart, gamma, beta)
    through, dgamma, dbeta = kernels.layernorm_backward(dy, saved_norm)
    dx, dh = kernels.add_backward(ds + through, saved_add)      # s goes on and into the layernorm
    same([s, y, *kernels.residual_layernorm_backward((ds, dy), saved)],
         [s_apart, y_apart, dx, dh, dgamma, dbeta])


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("masked", [False, True])
def test_self_attention_is_attention_after_split(kernels, r, causal, masked):
    qkv, dy = r.normal(2, 5, 12), r.normal(2, 5, 4)
    mask = r.keep(2, 1, 5) if masked else None
    y, saved = kernels.self_attention(qkv, mask, heads=2, causal=causal)
    parts, saved_split = kernels.split(qkv, parts=3)
    y_apart, saved_attention = kernels.attention(*parts, mask, heads=2, causal=causal)
    *dparts, _ = kernels.attention_backward(dy, saved_attention)
    (dqkv, none) = kernels.self_attention_backward(dy, saved)
    assert none is None
    same([y, dqkv], [y_apart, *kernels.split_backward(tuple(dparts), saved_split)])


def test_attention_is_softmax_between_two_products(kernels, r):
    q, k, v, dy = r.normal(2, 3, 4), r.normal(2, 5, 4), r.normal(2, 5, 4), r.normal(2, 3, 4)
    y, saved = kernels.attention(q, k, v, None)
    half = np.array(0.5)                                        # 1 / √D
    scores, saved_scores = kernels.matmul(q, k.swapaxes(1, 2).copy())
    scaled, saved_scale = kernels.mul(scores, half)
    p, saved_p = kernels.softmax(scaled)
    y_apart, saved_y = kernels.matmul(p, v)
    dp, dv = kernels.matmul_backward(dy, saved_y)
    (dscaled,) = kernels.softmax_backward(dp, saved_p)
    dscores, _ = kernels.mul_backward(dscaled, saved_scale)
    dq, dk = kernels.matmul_backward(dscores, saved_scores)
    same([y, *kernels.attention_backward(dy, saved)[:3]], [y_apart, dq, dk.swapaxes(1, 2), dv])


def test_cross_entropy_is_the_mean_of_logsumexp_minus_the_target_s_score(kernels, r):
    x, targets, dy = r.normal(4, 5), np.array([2, 0, 4, 0]), np.array(1.7)
    loss, saved = kernels.cross_entropy(x, targets)
    lse, saved_lse = kernels.logsumexp(x)
    picked = x[np.arange(4), targets]
    mean, saved_mean = kernels.mean(lse - picked)
    (drows,) = kernels.mean_backward(dy, saved_mean)
    (dx,) = kernels.logsumexp_backward(drows, saved_lse)
    dx[np.arange(4), targets] -= drows
    same([loss, kernels.cross_entropy_backward(dy, saved)[0]], [mean, dx])


def test_adamw_is_decay_and_then_adam(kernels, r):
    apart = [r.normal(3, 5), r.normal(3, 5), r.normal(3, 5), r.normal(3, 5) ** 2]
    fused = [x.copy() for x in apart]
    for t in 1, 2, 3:
        kernels.adamw_(*fused, lr=0.1, t=t, decay=0.3, scale=0.7)
        apart[0] *= 1 - 0.1 * 0.3
        kernels.adam_(*apart, lr=0.1, t=t, scale=0.7)
    same(fused, apart)


def test_sgd_is_momentum_without_memory(kernels, r):
    w, dw = r.normal(3, 5), r.normal(3, 5)
    other, u = w.copy(), r.normal(3, 5)
    kernels.sgd_(w, dw, lr=0.1, scale=0.7)
    kernels.momentum_(other, dw, u, lr=0.1, mu=0.0, scale=0.7)
    same([w], [other])


def test_a_decoding_step_is_the_last_row_of_the_whole_block(kernels, r):
    """Token by token with keys and values kept, or all at once: the same block."""
    T, C, F, heads = 5, 4, 7, 2
    x, gamma, beta, b_out = r.normal(T, C), r.normal(C), r.normal(C), r.normal(C)
    w_qkv, b_qkv, w_out = r.normal(C, 3 * C), r.normal(3 * C), r.normal(C, C)
    w1, b1, w2, b2 = r.normal(C, F), r.normal(F), r.normal(F, C), r.normal(C)

    qkv = kernels.linear(kernels.layernorm(x, gamma, beta)[0], w_qkv, b_qkv)[0]
    y = kernels.self_attention(qkv, None, heads=heads, causal=True)[0]
    y = x + kernels.linear(y, w_out, b_out)[0]
    z = kernels.linear(kernels.layernorm(y, gamma, beta)[0], w1, b1)[0]
    whole = y + kernels.linear(kernels.gelu(z)[0], w2, b2)[0]

    keys, values = np.zeros((T, C)), np.zeros((T, C))
    for t in range(T):
        y = kernels.attention_step_(x[t:t + 1], gamma, beta, w_qkv, b_qkv, w_out, b_out,
                                    keys, values, length=t, heads=heads)
        same(kernels.mlp_step(y, gamma, beta, w1, b1, w2, b2), whole[t:t + 1])

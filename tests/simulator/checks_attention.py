"""Attention and decoding in tiles, beyond the rows of cases.py: the edges, the extremes, the order.

Run by test_cuda.py in Numba's simulator, where a tile is 4 near rows by 12 far ones.
"""

import numpy as np
import pytest

from cases import Draw, attention_block
from judges import CLOSE, Arrays, agree, check_numbers, pair, same_bits
from kernels import cuda
from kernels.cuda import attention_tiles as tiles
from kernels.cuda.attention_tiles import ACROSS, DOWN, FORWARD
from kernels.cuda.block import THREADS
from nanollm import ops
from nanollm.errors import InputError

R, C = tiles.shape(np.dtype(np.float32), 4, *FORWARD)
NEAR, FAR = DOWN * R, ACROSS * C                 # queries and keys of a tile


def inputs(r, T, S, width, lead=(), mask=None):
    return [r.normal(*lead, T, width), r.normal(*lead, S, width), r.normal(*lead, S, width), mask]


def check(label, make, dtype="float32"):
    check_numbers(("attention", label, make), dtype, pair("cuda", "attention"), Arrays("cuda"))


@pytest.mark.parametrize("T, S", [
    (NEAR - 1, FAR), (NEAR, FAR - 1), (NEAR + 1, FAR + 1), (2 * NEAR, 2 * FAR),
    (2 * NEAR - 1, 2 * FAR + 1), (FAR + 1, NEAR), (1, 1),
])
@pytest.mark.parametrize("causal", [False, True])
def test_tiles_may_end_anywhere(T, S, causal):
    S = max(S, T) if causal else S
    check(f"{T} on {S}", lambda r: (inputs(r, T, S, 6), {"heads": 2, "causal": causal}))


@pytest.mark.parametrize("D", [1, 3, 5, 6, 7, 12, 20])
def test_heads_may_be_of_any_width(D):
    """Aligned to vectors or not, an even number of vectors or not."""
    check(f"D = {D}", lambda r: (inputs(r, 5, 14, 2 * D), {"heads": 2}))
    check(f"D = {D}", lambda r: (inputs(r, 5, 14, 2 * D), {"heads": 2}), "float64")


@pytest.mark.parametrize("weights", [False, True])
def test_a_mask_may_close_whole_tiles_and_whole_rows(weights):
    """One batch sees only the second tile of keys, the other nothing at all in two rows."""
    mask = np.ones((2, 5, 2 * FAR + 3), bool)
    mask[0, :, :FAR] = mask[0, :, 2 * FAR:] = False
    mask[1, 1] = mask[1, 4] = False
    check("closed tiles", lambda r: (inputs(r, 5, 2 * FAR + 3, 8, (2,), mask),
                                     {"heads": 2, "weights": weights}))


@pytest.mark.parametrize("dtype", CLOSE)
@pytest.mark.parametrize("stride", [1, -1, 7])
def test_a_larger_score_may_come_in_any_tile(stride, dtype):
    """Scores up to 10⁴, growing, falling or neither along the keys; whole numbers, so exact."""
    S = 3 * FAR

    def make(r):
        slope = (np.arange(S) * stride % S - S // 2).astype(r.dtype)
        q = np.outer([1, -1, 100, -100, 0.5, 0], np.ones(4)).astype(r.dtype)
        return [q, slope[:, None] + r.whole(1, S, 4), r.normal(S, 4), None], {}
    if dtype == "float64":
        check("huge scores", make, dtype)
    else:                                        # gradients lose digits here, on every backend
        inputs, _ = make(Draw(1, np.dtype(dtype)))
        y, _ = cuda.attention(*(x if x is None else cuda.array(x) for x in inputs))
        want, _ = ops.attention(*(x if x is None else x.astype(np.float64) for x in inputs))
        agree("attention's y", [cuda.numpy(y)], [want], dtype)


def test_no_number_hides_a_nan():
    q, k, v, _ = inputs(Draw(1, np.float32), 6, FAR + 2, 4)
    k[FAR] = np.nan                              # the second tile's first key
    y, _ = cuda.attention(*map(cuda.array, (q, k, v)), causal=True)
    exact, _ = ops.attention(q, k, v, causal=True)
    got = np.isnan(cuda.numpy(y))
    assert (got == np.isnan(exact)).all() and got.any() and not got.all()


@pytest.mark.parametrize("causal", [False, True])
def test_weights_come_back_and_take_a_gradient(causal):
    check("weights", lambda r: (inputs(r, 2 * NEAR + 1, 2 * FAR + 1, 8, (2,)),
                                {"heads": 2, "causal": causal, "weights": True}))


def run_self_attention(qkv, dy, mask, **settings):
    y, saved = cuda.self_attention(qkv, mask, **settings)
    dqkv, nothing = cuda.self_attention_backward(dy, saved)
    assert nothing is None
    return cuda.numpy(y), cuda.numpy(dqkv)


@pytest.mark.parametrize("dtype", CLOSE)
@pytest.mark.parametrize("width", [8, 6])
def test_self_attention_is_attention_of_the_thirds_and_twice_gives_the_same_bits(width, dtype):
    r = Draw(1, np.dtype(dtype))
    qkv, dy, mask = r.normal(2, 17, 3 * width), r.normal(2, 17, width), r.keep(2, 1, 17)
    settings = {"heads": 2, "causal": True}
    got = run_self_attention(*map(cuda.array, (qkv, dy, mask)), **settings)
    again = run_self_attention(*map(cuda.array, (qkv, dy, mask)), **settings)
    y, saved = cuda.attention(*map(cuda.array, np.split(qkv, 3, axis=-1)), cuda.array(mask),
                              **settings)
    *gradients, _ = cuda.attention_backward(cuda.array(dy), saved)
    apart = cuda.numpy(y), np.concatenate(list(map(cuda.numpy, gradients)), axis=-1)
    assert same_bits(got, again) and same_bits(got, apart)


@pytest.mark.parametrize("weights", [False, True])
def test_a_row_that_sees_nothing_gives_zeros_and_takes_none(weights):
    q, k, v, _ = inputs(Draw(2, np.float32), 3, FAR + 1, 4)
    mask = np.ones((3, FAR + 1), bool)
    mask[1] = False
    y, saved = cuda.attention(*map(cuda.array, (q, k, v, mask)), weights=weights)
    y, *p = y if weights else (y,)
    dy = cuda.ones(y.shape), *(cuda.ones(a.shape) for a in p)
    dq, dk, dv, _ = cuda.attention_backward(dy if weights else dy[0], saved)
    assert all((cuda.numpy(a)[..., 1, :] == 0).all() for a in (y, dq, *p))
    assert all(np.isfinite(cuda.numpy(a)).all() for a in (dq, dk, dv))


def test_a_head_that_finds_no_room_is_refused():
    wide = cuda.zeros((2, 2000))
    with pytest.raises(InputError, match="2000 columns in float32; .* up to [0-9]+ .use more"):
        cuda.attention(wide, wide, wide)
    with pytest.raises(InputError, match="q, k, v are float32, float64, float64"):
        cuda.attention(cuda.zeros((2, 4)), *[cuda.zeros((2, 4), np.float64)] * 2)


@pytest.mark.parametrize("dtype", CLOSE)
@pytest.mark.parametrize("C, heads", [(6, 2), (12, 1), (4, 4)])
def test_a_token_attends_to_a_past_of_several_parts(C, heads, dtype):
    """From length 0 on, past the edges of two parts of keys, each step on the rows before it."""
    r = Draw(3, np.dtype(dtype))
    block = attention_block(r, C, 2 * THREADS + 3)
    ours = [cuda.array(x) for x in block]
    exact = [x.astype(np.float64) for x in block]
    for length in 0, 1, THREADS - 1, THREADS, 2 * THREADS - 1, 2 * THREADS, 2 * THREADS + 2:
        y = cuda.attention_step_(*ours, length=length, heads=heads)
        want = ops.attention_step_(*exact, length=length, heads=heads)
        agree("attention_step_'s y", [cuda.numpy(y)], [want], dtype)
    agree("keys and values", list(map(cuda.numpy, ours[-2:])), exact[-2:], dtype)
    assert same_bits([cuda.numpy(a) for a in ours[:-2]], block[:-2])


def test_steps_make_what_the_whole_sequence_makes():
    """Token after token through attention_step_ = causal self-attention of all of them."""
    width, T, heads = 4, THREADS + 3, 2
    r = Draw(4)
    _, gamma, beta, w_qkv, b_qkv, w_out, b_out, keys, values = attention_block(r, width, T)
    x = r.normal(T, width)
    y, _ = ops.layernorm(x, gamma, beta)
    y, _ = ops.self_attention(ops.linear(y, w_qkv, b_qkv)[0], heads=heads, causal=True)
    want = x + ops.linear(y, w_out, b_out)[0]
    there = [cuda.array(a) for a in (gamma, beta, w_qkv, b_qkv, w_out, b_out, keys, values)]
    got = [cuda.numpy(cuda.attention_step_(cuda.array(x[t:t + 1]), *there, length=t, heads=heads))
           for t in range(T)]
    agree("the steps' y", [np.concatenate(got)], [want], "float64")

"""Arrays that do not fit are told in one line, the same on every backend."""

import numpy as np
import pytest

from judges import pair
from nanollm import backend as backends
from nanollm.errors import InputError
from nanollm.ops.positions import sinusoidal

x, ids = np.zeros((2, 3, 4)), np.zeros((2, 3), np.int64)
row, square, wide = np.zeros(4), np.zeros((4, 4)), np.zeros((2, 3, 12))
thrice = np.zeros((4, 12))

BAD = [
    ("add", [x, np.zeros((2, 3, 5))], {}, r"add: shapes \(2, 3, 4\) and \(2, 3, 5\) do not broad"),
    ("mul", [x, np.zeros(3)], {}, r"mul: shapes \(2, 3, 4\) and \(3,\) do not broadcast"),
    ("bias_gelu", [x, np.zeros(3)], {}, r"bias_gelu: b has shape \(3,\), expected \(4,\)"),
    ("reshape", [x], {"shape": (5, 5)}, r"reshape: \(2, 3, 4\) has 24 entries, .* \(5, 5\)"),
    ("reshape", [x], {"shape": (5, -1)}, r"reshape: \(2, 3, 4\) .* \(5, -1\)"),
    ("transpose", [x], {"axes": (0, 1)}, r"transpose: axes \(0, 1\) are not an order of the 3"),
    ("transpose", [x], {"axes": (0, 1, 1)}, r"transpose: axes \(0, 1, 1\) are not an order"),
    ("concat", [x, np.zeros((2, 4, 4))], {}, r"concat: shapes .* differ beside axis 2"),
    ("concat", [x, row], {}, r"concat: shapes .* differ"),
    ("split", [x], {"parts": 3}, r"split: axis -1 of \(2, 3, 4\) cannot be cut into 3 equal"),
    ("split", [x], {"parts": 0}, r"split: axis -1 of \(2, 3, 4\) cannot be cut into 0 equal"),
    ("softmax", [x[..., :0]], {}, r"softmax: x has shape \(2, 3, 0\); a row needs at least one"),
    ("logsumexp", [x[..., :0]], {}, r"logsumexp: x has shape \(2, 3, 0\); a row needs at least"),
    ("linear", [x[..., :0], np.zeros((0, 4)), None], {}, r"linear: x .* does not fit w \(0, 4\)"),
    ("linear", [x, np.zeros((3, 4)), None], {}, r"linear: x \(2, 3, 4\) does not fit w \(3, 4\)"),
    ("linear", [x, row, None], {}, r"linear: x \(2, 3, 4\) does not fit w \(4,\)"),
    ("linear", [x, square, np.zeros(3)], {}, r"linear: b has shape \(3,\), expected \(4,\)"),
    ("matmul", [x, x], {}, r"matmul: \(2, 3, 4\) and \(2, 3, 4\) do not fit"),
    ("matmul", [row, square], {}, r"matmul: \(4,\) and \(4, 4\) do not fit"),
    ("matmul", [x, np.zeros((5, 4, 2))], {}, r"matmul: .*\(2, 3, 4\) and \(5, 4, 2\) do not"),
    ("embedding", [ids + 4, square], {}, r"embedding: token id 4 is out of range; .* 0 to 3"),
    ("embedding", [ids - 1, square], {}, r"embedding: token id -1 is out of range"),
    ("embedding", [x, square], {}, r"embedding: token ids have dtype float64, expected whole"),
    ("positions", [x, np.zeros((2, 4))], {}, r"positions: 0 to 2 .* only 2 positions"),
    ("positions", [x, np.zeros((5, 4))], {"start": 3}, r"positions: 3 to 5 .* only 5 positions"),
    ("positions", [x, np.zeros((5, 4))], {"start": -1}, r"positions: -1 to 1"),
    ("positions", [x, np.zeros((5, 3))], {}, r"positions: x \(2, 3, 4\) does not fit w \(5, 3\)"),
    ("positions", [row, square], {}, r"positions: x \(4,\) does not fit w \(4, 4\)"),
    ("layernorm", [x, np.zeros(3), None], {}, r"layernorm: gamma has shape \(3,\), expected"),
    ("layernorm", [x, row, np.zeros(3)], {}, r"layernorm: beta has shape \(3,\), expected \(4,"),
    ("residual_layernorm", [x, x[0], row, None], {}, r"residual_layernorm: h has shape \(3, 4\)"),
    ("residual_layernorm", [x, x, np.zeros(3), None], {}, r"layernorm: gamma has shape \(3,\)"),
    ("cross_entropy", [x, ids[0]], {}, r"cross_entropy: targets has shape \(3,\), expected \(2, 3"),
    ("cross_entropy", [x, ids + 4], {}, r"cross_entropy: token id 4 is out of range"),
    ("cross_entropy", [x, ids - 2], {}, r"cross_entropy: token id -2 is out of range"),
    ("cross_entropy", [x, ids - 1], {"ignore": 0}, r"cross_entropy: token id -1 is out of range"),
    ("cross_entropy", [x, ids + 0.5], {}, r"cross_entropy: token ids have dtype float64"),
    ("attention", [x, x, x[:, :2], None], {}, r"attention: q .* k .* v .* do not fit"),
    ("attention", [x, x[:1], x[:1], None], {}, r"attention: q .* do not fit; expected"),
    ("attention", [x, wide, wide, None], {}, r"attention: q .* do not fit; expected"),
    ("attention", [row, row, row, None], {}, r"attention: q .* do not fit; expected"),
    ("attention", [x, x, x, None], {"heads": 3}, r"attention: 3 heads do not divide the width 4"),
    ("attention", [x, x, x, None], {"heads": 0}, r"attention: 0 heads do not divide the width 4"),
    ("attention", [x, x[:, :2], x[:, :2], None], {"causal": True}, r"attention: 3 causal .* on 2"),
    ("attention", [x, x, x, np.zeros((3, 4), bool)], {}, r"attention: the mask is bool \(3, 4\)"),
    ("attention", [x, x, x, np.zeros((3, 3))], {}, r"attention: the mask is float64"),
    ("self_attention", [x, None], {}, r"self_attention: qkv has shape \(2, 3, 4\), expected"),
    ("self_attention", [wide, None], {"heads": 3}, r"attention: 3 heads do not divide the width 4"),
    ("self_attention", [wide, np.zeros((2, 2), bool)], {}, r"attention: the mask is bool \(2, 2\)"),
    ("self_attention", [np.zeros(12), None], {}, r"self_attention: qkv has shape \(12,\)"),
    ("dropout", [x, np.zeros((3, 4), bool)], {"rate": 0.5}, r"dropout: keep has shape \(3, 4\)"),
    ("dropout", [x, x > 0], {"rate": 1.0}, r"dropout: the rate is 1.0, expected 0 ≤ rate < 1"),
    ("dropout", [x, x > 0], {"rate": -0.1}, r"dropout: the rate is -0.1"),
]
BAD_STEPS = [
    ("sgd_", [x, row], {"lr": 1}, r"sgd_: dw has shape \(4,\), expected \(2, 3, 4\)"),
    ("momentum_", [x, row, x], {"lr": 1}, r"momentum_: dw has shape \(4,\)"),
    ("momentum_", [x, x, row], {"lr": 1}, r"momentum_: u has shape \(4,\)"),
    ("adam_", [x, row, x, x], {"lr": 1, "t": 1}, r"adam_: dw has shape \(4,\)"),
    ("adam_", [x, x, row, x], {"lr": 1, "t": 1}, r"adam_: m has shape \(4,\)"),
    ("adamw_", [x, x, x, row], {"lr": 1, "t": 1}, r"adamw_: v has shape \(4,\)"),
    ("adamw_", [x, row, x, x], {"lr": 1, "t": 1, "decay": 0.5}, r"adamw_: dw has shape \(4,\)"),
    ("attention_step_", [row[None], row, None, wide[0, :1], None, square, None, square, square],
     {"length": 0, "heads": 2}, r"attention_step_: an array has shape \(1, 12\), expected \(4,"),
    ("attention_step_", [row[None], row, None, thrice, None, square, None, square, square],
     {"length": 4, "heads": 2}, r"attention_step_: 4 rows are filled of 4: no room for one more"),
    ("attention_step_", [row[None], row, None, thrice, None, square, None, square, row],
     {"length": 0, "heads": 2}, r"attention_step_: keys \(4, 4\) and values \(4,\), expected"),
    ("attention_step_", [row[None], row, None, thrice, None, square, None, square, square],
     {"length": 0, "heads": 3}, r"attention_step_: 3 heads do not divide the width 4"),
    ("mlp_step", [row[None], row, None, square, row[:3], square, None], {},
     r"mlp_step: an array has shape \(3,\), expected \(4,\)"),
]
# Arrays of 4 rows went in; a kernel that trusted these would read what is not its own.
BAD_DY = [
    ("softmax", [square], np.ones((1, 4))),
    ("gelu", [square], np.ones((4, 1))),
    ("tanh", [square], np.ones((2, 4))),
    ("layernorm", [square, row, row], np.ones((1, 4))),
    ("logsumexp", [square], np.ones(3)),
    ("embedding", [ids, square], np.ones((1, 4))),
    ("linear", [square, square, row], np.ones((2, 4))),
    ("matmul", [square, square], np.ones((1, 4))),
    ("self_attention", [wide], np.ones((1, 3, 4))),
    ("attention", [x, x, x], np.ones((2, 1, 4))),
    ("dropout", [x, x > 0], np.ones((2, 1, 4))),
]


@pytest.mark.parametrize("op, inputs, settings, line", BAD)
def test_arrays_that_do_not_fit_are_refused_in_one_line(op, inputs, settings, line, backend):
    refused(pair(backend, op)[0], inputs, settings, line)


@pytest.mark.parametrize("name, inputs, settings, line", BAD_STEPS)
def test_a_step_refuses_arrays_that_do_not_fit_in_one_line(name, inputs, settings, line, backend):
    before = [None if a is None else a.copy() for a in inputs]
    refused(getattr(backends.module(backend), name), inputs, settings, line)
    assert all(a is b or (a == b).all() for a, b in zip(inputs, before))


@pytest.mark.parametrize("op, inputs, dy", BAD_DY, ids=[op for op, *_ in BAD_DY])
def test_the_kernels_refuse_a_dy_of_another_shape_than_y(op, inputs, dy):
    forward, backward = pair("numba", op)
    _, saved = forward(*inputs, **({"rate": 0.5} if op == "dropout" else {}))
    refused(backward, [dy, saved], {}, "")


@pytest.mark.parametrize("op", ["softmax", "sigmoid", "gelu"])
def test_the_kernels_refuse_whole_numbers_and_half_precision(op):
    for dtype in np.int64, np.float16:
        line = f"the kernels compute in .* got {np.dtype(dtype)}"
        refused(pair("numba", op)[0], [x.astype(dtype)], {}, line)


def refused(function, inputs, settings, line):
    with pytest.raises(InputError, match=f"^{line}") as error:
        function(*inputs, **settings)
    assert "\n" not in str(error.value)


def test_sinusoidal_positions_need_an_even_width():
    with pytest.raises(InputError, match="sinusoidal: the width 5 is odd"):
        sinusoidal(3, 5)

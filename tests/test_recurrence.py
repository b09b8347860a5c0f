"""Recurrence and the attention that came with it: facts, compositions, layers."""

import inspect
import sys

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from cases import CELLS, aligned, recurrence
from judges import flat, same_bits
from nanollm import backend, functional as F
from nanollm.errors import InputError
from nanollm.gradcheck import check_direction
from nanollm.recurrent import GRU, LSTM, RNN
from nanollm.tape import Tape, Tensor

LAYERS = {"rnn": RNN, "lstm": LSTM, "gru": GRU}
every_cell = pytest.mark.parametrize("op", CELLS)
both_ways = pytest.mark.parametrize("reverse", [False, True])
scores = pytest.mark.parametrize("op", ["additive_attention", "multiplicative_attention"])


@pytest.fixture
def on(backend):
    """The backend under test, in use."""
    from nanollm.backend import use
    with use(backend):
        yield


def pair(kernels, op):
    return getattr(kernels, op), getattr(kernels, op + "_backward")


def same(got, want, tolerance=1e-12):
    for a, b in zip(flat(got), flat(want), strict=True):
        assert_allclose(a, b, rtol=tolerance, atol=tolerance)


# What the equations say

def sigma(x):
    return 1 / (1 + np.exp(-x))


def test_two_steps_of_an_rnn_by_hand(kernels):
    x, h = np.array([[[1.0], [2.0]]]), np.array([[0.5]])
    (y, h_T), _ = kernels.rnn(x, h, np.array([[0.3]]), np.array([[0.7]]), np.array([0.1]))
    first = np.tanh(0.3 * 1 + 0.7 * 0.5 + 0.1)
    second = np.tanh(0.3 * 2 + 0.7 * first + 0.1)
    same((y[0, :, 0], h_T[0, 0]), (np.array([first, second]), second))


def test_a_step_of_an_lstm_by_hand(kernels):
    h, c, w, u = 0.5, -0.4, np.array([0.1, 0.2, 0.3, 0.4]), np.array([-0.5, 0.6, 0.7, 0.8])
    (y, h_T, c_T), _ = kernels.lstm(np.array([[[2.0]]]), np.array([[h]]), np.array([[c]]),
                                    w[None], u[None], np.array([0.0, 0.1, 0.2, 0.3]))
    i, f, o = (sigma(w[k] * 2 + u[k] * h + b) for k, b in ((0, 0), (1, 0.1), (3, 0.3)))
    g = np.tanh(w[2] * 2 + u[2] * h + 0.2)
    cell = f * c + i * g
    same((y[0, 0, 0], h_T[0, 0], c_T[0, 0]), (o * np.tanh(cell), o * np.tanh(cell), cell))


def test_a_step_of_a_gru_by_hand(kernels):
    h, w, u = 0.5, np.array([0.1, 0.2, 0.3]), np.array([-0.5, 0.6, 0.7])
    b, bu = np.array([0.1, 0.2, 0.3]), np.array([0.4, 0.5, 0.6])
    (y, h_T), _ = kernels.gru(np.array([[[2.0]]]), np.array([[h]]), w[None], u[None], b, bu)
    r, z = (sigma(2 * w[k] + b[k] + h * u[k] + bu[k]) for k in (0, 1))
    n = np.tanh(2 * w[2] + b[2] + r * (h * u[2] + bu[2]))
    same((y[0, 0, 0], h_T[0, 0]), ((1 - z) * n + z * h, (1 - z) * n + z * h))


def test_a_shut_forget_gate_and_an_open_one(kernels, r):
    x, h, c, w, u, b, _ = recurrence(r, 2, 3, 2, 4, gates=4, states=2)
    b[:8] = [-100] * 4 + [100] * 4                              # nothing in, nothing forgotten
    assert_array_equal(kernels.lstm(x, h, c, w, u, b)[0][2], c)
    b[4:8] = -100                                               # everything forgotten
    assert_allclose(kernels.lstm(x, h, c, w, u, b)[0][2], 0, atol=1e-40)


@every_cell
def test_two_halves_are_the_whole(op, kernels, r):
    """The state is all that a later token needs of the earlier ones."""
    x, *rest = recurrence(r, 2, 6, 3, 4, **CELLS[op])
    n = CELLS[op].get("states", 1)
    forward, _ = pair(kernels, op)
    (y, *state), _ = forward(x, *rest)
    (y1, *middle), _ = forward(x[:, :2], *rest)
    (y2, *end), _ = forward(x[:, 2:], *middle, *rest[n:])
    same((np.concatenate([y1, y2], axis=1), *end), (y, *state))


@every_cell
def test_a_row_does_not_see_the_other_rows(op, kernels, r):
    x, *rest = recurrence(r, 3, 4, 2, 3, lengths=[4, 2, 3], **CELLS[op])
    n = CELLS[op].get("states", 1)
    forward, _ = pair(kernels, op)
    whole, _ = forward(x, *rest)
    alone, _ = forward(x[1:2], *(s[1:2] for s in rest[:n]), *rest[n:-1], rest[-1][1:2])
    same(alone, tuple(a[1:2] for a in whole))


@every_cell
def test_reverse_is_the_reversed_sequence(op, kernels, r):
    x, *rest = recurrence(r, 2, 5, 3, 4, **CELLS[op])
    forward, _ = pair(kernels, op)
    (y, *state), _ = forward(x, *rest, reverse=True)
    (other, *end), _ = forward(x[:, ::-1].copy(), *rest)
    same((y, *state), (other[:, ::-1], *end))


# Padding

@every_cell
@both_ways
def test_padding_changes_nothing_and_gets_nothing(op, reverse, kernels, r):
    """A row with padding, whatever is in it, gives what the row gives without."""
    x, *rest = recurrence(r, 3, 6, 2, 3, lengths=[4, 0, 6], **CELLS[op])
    n, lengths = CELLS[op].get("states", 1), rest[-1]
    for row, length in enumerate(lengths):
        x[row, length:] = [np.nan, np.inf]
    forward, backward = pair(kernels, op)
    (y, *state), saved = forward(x, *rest, reverse=reverse)
    dy = (r.normal(3, 6, 3), *(r.normal(3, 3) for _ in state))
    dirty = dy[0].copy()
    dirty[0, 4:], dirty[1] = np.nan, np.inf
    dxs = backward((dirty, *dy[1:]), saved)
    summed = [np.zeros_like(w) for w in rest[n:-1]]
    for row, length in enumerate(lengths):
        one = slice(row, row + 1)
        alone = [x[one, :length], *(s[one] for s in rest[:n]), *rest[n:-1], None]
        (y_row, *state_row), saved_row = forward(*alone, reverse=reverse)
        same((y_row, *state_row), (y[one, :length], *(s[one] for s in state)))
        assert not y[one, length:].any()
        dx, *others = backward((dy[0][one, :length], *(d[one] for d in dy[1:])), saved_row)
        same((dx, *others[:n]), (dxs[0][one, :length], *(d[one] for d in dxs[1:1 + n])))
        assert not dxs[0][one, length:].any()
        for total, dw in zip(summed, others[n:]):
            total += dw
    same(tuple(dxs[1 + n:-1]), tuple(summed))
    assert dxs[-1] is None


@every_cell
def test_full_lengths_are_no_lengths(op, kernels, r):
    *inputs, _ = recurrence(r, 2, 4, 3, 2, **CELLS[op])
    forward, _ = pair(kernels, op)
    without, with_all = forward(*inputs, None)[0], forward(*inputs, np.array([4, 4]))[0]
    assert same_bits(list(without), list(with_all))


@every_cell
def test_lengths_may_be_of_any_whole_type(op, kernels, r):
    *inputs, lengths = recurrence(r, 2, 4, 3, 2, lengths=[3, 1], **CELLS[op])
    forward, _ = pair(kernels, op)
    expected = list(forward(*inputs, lengths)[0])
    for dtype in np.int32, np.uint8:
        assert same_bits(list(forward(*inputs, lengths.astype(dtype))[0]), expected)


# Fused ops are loops of small ops

def loop(op, x, rest):
    """(y, *states) by small ops on the tape; x and rest are tensors, the last T first tokens."""
    T = x.shape[1]
    steps = F.split(x, parts=T, axis=1)
    n = CELLS[op].get("states", 1)
    states, (w, u, *biases) = list(rest[:n]), rest[n:]
    B, E = x.shape[0], x.shape[2]
    one = np.ones((), x.dtype)
    ys = []
    for step in steps:
        x_t = F.reshape(step, shape=(B, E))
        p, q = F.linear(x_t, w, biases[0]), states[0] @ u
        if op == "rnn":
            states = [F.tanh(p + q)]
        elif op == "lstm":
            i, f, g, o = F.split(p + q, parts=4)
            cell = F.sigmoid(f) * states[1] + F.sigmoid(i) * F.tanh(g)
            states = [F.sigmoid(o) * F.tanh(cell), cell]
        else:
            (p_r, p_z, p_n), (q_r, q_z, q_n) = F.split(p, parts=3), F.split(q + biases[1], parts=3)
            z, n = F.sigmoid(p_z + q_z), F.tanh(p_n + F.sigmoid(p_r + q_r) * q_n)
            states = [(z * -one + one) * n + z * states[0]]
        ys.append(F.reshape(states[0], shape=(B, 1, states[0].shape[1])))
    return F.concat(*ys, axis=1), *states


def weighed(results, weights):
    """A number that depends on every entry of every result."""
    total = None
    for y, weight in zip(results, weights, strict=True):
        part = F.sum(y * weight)
        total = part if total is None else total + part
    return total


@every_cell
def test_an_op_over_a_sequence_is_its_loop_of_small_ops(op, on, r):
    *arrays, _ = recurrence(r, 2, 5, 3, 4, **CELLS[op])
    x, *rest = tensors = [Tensor(a) for a in arrays]
    weights = [r.normal(2, 5, 4), *(r.normal(2, 4) for _ in range(CELLS[op].get("states", 1)))]
    with Tape() as tape:
        fused = getattr(F, op)(*tensors)
        loss = weighed(fused, weights)
    with Tape() as small:
        looped = loop(op, x, rest)
        small_loss = weighed(looped, weights)
    assert len(small.lines) > 5 * len(tape.lines)
    same(tuple(t.data for t in fused), tuple(t.data for t in looped))
    same(tape.gradient(loss, tensors), small.gradient(small_loss, tensors))


@scores
def test_alignment_is_a_softmax_between_two_products(op, on, r):
    *arrays, _ = aligned(r, 2, 3, 4, 5, 2, op[0] == "a")
    q, k, v, *w = tensors = [Tensor(a) for a in arrays]
    weights = [r.normal(2, 3, 2), r.normal(2, 3, 4)]
    with Tape() as tape:
        y, p = getattr(F, op)(*tensors, weights=True)
        loss = weighed((y, p), weights)
    with Tape() as small:
        if w:
            pairs = F.reshape(q, shape=(2, 3, 1, 5)) + F.reshape(k, shape=(2, 1, 4, 5))
            score = F.reshape(F.tanh(pairs) @ F.reshape(w[0], shape=(5, 1)), shape=(2, 3, 4))
        else:
            score = q @ F.transpose(k, axes=(0, 2, 1))
        p_apart = F.softmax(score)
        y_apart = p_apart @ v
        small_loss = weighed((y_apart, p_apart), weights)
    same((y.data, p.data), (y_apart.data, p_apart.data))
    same(tape.gradient(loss, tensors), small.gradient(small_loss, tensors))


# Attention

@scores
def test_alignment_by_hand(op, kernels):
    q, k, v = np.array([[[0.5]]]), np.array([[[1.0], [2.0]]]), np.array([[[3.0], [5.0]]])
    additive = op[0] == "a"
    s = 0.7 * np.tanh([1.5, 2.5]) if additive else np.array([0.5, 1.0])
    p = np.exp(s) / np.exp(s).sum()
    (y, got), _ = pair(kernels, op)[0](q, k, v, *[np.array([0.7])] * additive, weights=True)
    same((y[0, 0, 0], got[0, 0]), (3 * p[0] + 5 * p[1], p))


@scores
def test_nothing_flows_through_an_alignment_s_mask(op, kernels, r):
    *arrays, _ = aligned(r, 2, 3, 5, 4, 2, op[0] == "a")
    mask = np.array([[0, 1, 1, 0, 1], [1, 1, 0, 0, 1]], bool)
    forward, backward = pair(kernels, op)
    (y, p), saved = forward(*arrays, mask, weights=True)
    _, dk, dv, *_ = backward((r.normal(2, 3, 2), r.normal(2, 3, 5)), saved)
    assert not p[:, :, ~mask[0]][0].any() and not p[1][:, ~mask[1]].any()
    assert not dk[~mask].any() and not dv[~mask].any() and dk[mask].all() and dv[mask].all()
    seen = np.flatnonzero(mask[1])
    q, k, v, *w = (a[1:2] if a.ndim == 3 else a for a in arrays)
    (alone, weights), _ = forward(q, k[:, seen], v[:, seen], *w, weights=True)
    same((y[1:2], p[1:2][:, :, seen]), (alone, weights))


@scores
def test_a_query_that_sees_nothing_gets_zeros(op, kernels, r):
    *arrays, mask = aligned(r, 1, 3, 4, 4, 2, op[0] == "a", r.future(3, 4)[None])
    (y, p), _ = pair(kernels, op)[0](*arrays, mask, weights=True)
    assert not y[0, 0].any() and not p[0, 0].any()
    assert_allclose(p[0, 1:].sum(axis=-1), 1)


# Long sequences

@every_cell
def test_a_thousand_steps_stay_finite_and_do_not_recurse(op, kernels, r):
    """Weights and tokens are large: an RNN's gradient would explode, were its tanh not shut."""
    x, *rest = (None if a is None else np.float32(3 * a)
                for a in recurrence(r, 2, 1000, 3, 4, **CELLS[op]))
    forward, backward = pair(kernels, op)

    def both(x):
        (y, *state), saved = forward(x, *rest)
        return (y, *state, *backward((np.ones_like(y) / 1000, *map(np.zeros_like, state)), saved))

    both(x[:, :2])                                              # compiled, where it has to be
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(len(inspect.stack()) + 100)
    try:
        results = both(x)
    finally:
        sys.setrecursionlimit(limit)
    assert all(np.isfinite(a).all() for a in results if a is not None)
    assert abs(results[0]).max() <= max(1, abs(rest[0]).max())


def test_an_rnn_s_gradient_shrinks_at_least_by_the_largest_singular_value(kernels, r):
    x, h, w, u, b, _ = recurrence(r, 1, 20, 3, 4)
    u *= 0.8 / np.linalg.norm(u, 2)
    norms = []
    for T in range(1, 21):
        _, saved = kernels.rnn(x[:, :T], h, w, u, b)
        _, dh, *_ = kernels.rnn_backward((np.zeros((1, T, 4)), np.ones((1, 4))), saved)
        norms.append(np.linalg.norm(dh))
    assert all(norm <= 0.8 ** T * 2 for T, norm in enumerate(norms, 1))


# What is refused

@pytest.mark.parametrize("position, value, words", [
    (0, np.zeros((2, 3)), r"x has shape \(2, 3\), expected \(B, T, E\)"),
    (0, np.zeros((2, 3, 5)), r"w has shape \(4, 24\), expected \(5, 24\)"),
    (1, np.zeros((3, 6)), r"h has shape \(3, 6\), expected \(2, 6\)"),
    (2, np.zeros((2, 5)), r"c has shape \(2, 5\), expected \(2, 6\)"),
    (4, np.zeros((6, 23)), r"u has shape \(6, 23\), expected \(H, 4 H\)"),
    (4, np.zeros(24), r"u has shape \(24,\), expected \(H, 4 H\)"),
    (5, np.zeros(6), r"b has shape \(6,\), expected \(24,\)"),
    (6, np.array([3]), r"lengths has shape \(1,\), expected \(2,\)"),
    (6, np.array([3, 4]), "a length is 4, but x has 3 steps; expected 0 to 3"),
    (6, np.array([-1, 3]), "a length is -1"),
    (6, np.array([1.0, 2.0]), "lengths have dtype float64, expected whole numbers"),
])
def test_an_lstm_refuses_what_does_not_fit_in_one_line(position, value, words, kernels, r):
    inputs = recurrence(r, 2, 3, 4, 6, gates=4, states=2)
    inputs[position] = value
    with pytest.raises(InputError, match=f"lstm: {words}") as error:
        kernels.lstm(*inputs)
    assert "\n" not in str(error.value)


@every_cell
def test_every_array_of_a_cell_has_the_dtype_of_x(op, kernels, arrays, r):
    *inputs, lengths = recurrence(r, 2, 3, 4, 6, lengths=[3, 2], **CELLS[op])
    forward, _ = pair(kernels, op)

    def refused(changed, words):
        with pytest.raises(InputError, match=words) as error:
            forward(*arrays.put([*changed, lengths]))
        assert "\n" not in str(error.value)

    for i in range(1, len(inputs)):
        one = [a.astype(np.float32) if i == n else a for n, a in enumerate(inputs)]
        refused(one, f"^{op}: [a-z]+ has dtype float32 and x float64, expected one for both")
        rest = [a if i == n else a.astype(np.float32) for n, a in enumerate(inputs)]
        refused(rest, f"^{op}: [a-z]+ has dtype float64 and x float32, expected one for both")
    refused([inputs[0].astype(np.float32), *inputs[1:]], "and x float32")
    refused([a.astype(np.int64) for a in inputs], f"^{op}: w has dtype int64 and x int64")


@every_cell
def test_every_cell_checks_its_lengths_and_its_last_bias(op, kernels, r):
    inputs = recurrence(r, 2, 3, 4, 6, lengths=[3, 5], **CELLS[op])
    forward, _ = pair(kernels, op)
    with pytest.raises(InputError, match=f"{op}: a length is 5"):
        forward(*inputs)
    with pytest.raises(InputError, match=f"{op}: b.? has shape"):
        forward(*inputs[:-2], np.zeros(7), None)


@scores
@pytest.mark.parametrize("position, value, words", [
    (0, np.zeros((2, 3, 5)), "do not fit"), (1, np.zeros((2, 5, 4)), "do not fit"),
    (2, np.zeros((2, 2)), "do not fit"), (-1, np.ones((2, 3), bool), r"the mask is bool \(2, 3\)"),
    (-1, np.ones((2, 4)), "the mask is float64"),
])
def test_alignment_refuses_what_does_not_fit(op, position, value, words, kernels, r):
    inputs = aligned(r, 2, 3, 4, 4, 2, op[0] == "a")
    inputs[position] = value
    with pytest.raises(InputError, match=f"{op}: .*{words}"):
        pair(kernels, op)[0](*inputs)


def test_additive_attention_checks_w(kernels, r):
    with pytest.raises(InputError, match=r"additive_attention: w has shape \(3,\), expected \(4,"):
        kernels.additive_attention(*aligned(r, 2, 3, 4, 4, 2, False)[:3], np.zeros(3))


# Layers

def layer_of(op, **settings):
    return LAYERS[op](5, 4, rng=np.random.default_rng(1), **settings).to("float64")


def test_an_lstm_of_width_32_on_32_has_8320_parameters(on):
    assert LSTM(32, 32, rng=np.random.default_rng(0)).count() == 8320


def test_weights_start_within_one_over_the_root_of_the_width_and_the_forget_bias_at_one(on):
    cell = LSTM(7, 16, rng=np.random.default_rng(0)).cells[0]
    assert_array_equal(cell.b.numpy()[16:32], 1)
    rest = [cell.w.numpy(), cell.u.numpy(), np.delete(cell.b.numpy(), range(16, 32))]
    assert all(0.2 < abs(a).max() <= 0.25 for a in rest)
    drawn = LSTM(7, 16, rng=np.random.default_rng(0), forget=None).cells[0]
    assert abs(drawn.b.numpy()).max() <= 0.25


@every_cell
def test_two_directions_are_two_ops_side_by_side(op, on, r):
    layer, x = layer_of(op, bidirectional=True), Tensor(r.normal(3, 4, 5))
    lengths = np.array([4, 2, 0])
    y, state = layer(x, lengths)
    n = layer.states
    for i, (cell, reverse) in enumerate(zip(layer.cells, (False, True), strict=True)):
        weights = list(cell.parameters().values())
        want = getattr(F, op)(x, *[np.zeros((3, 4))] * n, *weights, lengths, reverse=reverse)
        same((y.data[:, :, 4 * i:4 * i + 4], *(s.data for s in state[i])),
             tuple(t.data for t in want))


@every_cell
def test_a_stack_is_one_layer_after_the_other(op, on, r):
    stack, x, lengths = layer_of(op, layers=2, bidirectional=True), Tensor(r.normal(2, 4, 5)), None
    start = [tuple(Tensor(r.normal(2, 4)) for _ in range(stack.states)) for _ in range(4)]
    y, state = stack(x, lengths, start)
    lower = layer_of(op, bidirectional=True)
    upper = LAYERS[op](8, 4, rng=np.random.default_rng(0), bidirectional=True)
    lower.cells, upper.cells = stack.cells[:2], stack.cells[2:]
    between, first = lower(x, lengths, start[:2])
    y_apart, second = upper(between, lengths, start[2:])
    same([y.data, *(s.data for part in state for s in part)],
         [y_apart.data, *(s.data for part in first + second for s in part)])


@every_cell
def test_token_by_token_is_the_whole_sequence(op, on, r):
    layer, x = layer_of(op, layers=2), r.normal(3, 6, 5)
    whole, end = layer(Tensor(x))
    state = layer.zero_state(x)
    for t in range(6):
        y, state = layer.step(Tensor(x[:, t]), state)
        same(y.data, whole.data[:, t])
    same([s.data for part in state for s in part], [s.data for part in end for s in part])


@every_cell
def test_the_gradients_of_a_bidirectional_stack(op, on, r):
    layer = layer_of(op, layers=2, bidirectional=True)
    x, lengths, weight = r.normal(3, 5, 5), np.array([5, 2, 4]), r.normal(3, 5, 8)
    parameters = {**layer.parameters(), "x": Tensor(x)}

    def run():
        y, state = layer(parameters["x"], lengths)
        total = F.sum(y * weight)
        for part in state:
            for s in part:
                total = total + F.sum(s)
        return total

    with Tape() as tape:
        loss = run()
    gradients = dict(zip(parameters, tape.gradient(loss, list(parameters.values()))))
    check_direction(lambda: run().numpy(), parameters, gradients, np.random.default_rng(2))
    assert not gradients["x"][1, 2:].any()


@every_cell
def test_without_biases_there_are_none(op, on, r):
    layer = layer_of(op, bias=False, layers=2)
    assert {path.rpartition(".")[2] for path in layer.parameters()} == {"w", "u"}
    assert layer(Tensor(r.normal(2, 3, 5)))[0].shape == (2, 3, 4)


def test_dropout_falls_between_layers_and_only_in_training(on, r):
    stack, x = layer_of("gru", layers=2, dropout=0.5), Tensor(r.normal(2, 4, 5))
    alone = layer_of("gru", dropout=0.5)
    plain, trained = stack(x)[0].data, stack(x, rng=np.random.default_rng(0))[0].data
    assert abs(plain - trained).max() > 1e-3
    assert_array_equal(alone(x)[0].data, alone(x, rng=np.random.default_rng(0))[0].data)


def test_the_same_weights_on_every_backend():
    states = []
    for name in "numpy", "numba":
        with backend.use(name):
            states.append(GRU(3, 4, rng=np.random.default_rng(0), layers=2).state_dict())
    assert states[0].keys() == states[1].keys()
    assert same_bits(list(states[0].values()), list(states[1].values()))


@pytest.mark.parametrize("settings, words", [
    ({"layers": 0}, "LSTM: layers is 0, expected a whole number"),
    ({"hidden": 2.0}, "LSTM: hidden is 2.0"), ({"inputs": 0}, "LSTM: inputs is 0"),
])
def test_a_layer_refuses_impossible_sizes(settings, words, on):
    with pytest.raises(InputError, match=words):
        LSTM(**{"inputs": 3, "hidden": 4, **settings}, rng=np.random.default_rng(0))


def test_a_layer_refuses_a_state_of_another_shape_and_a_step_in_two_directions(on, r):
    layer = layer_of("lstm", bidirectional=True)
    x = Tensor(r.normal(2, 3, 5))
    with pytest.raises(InputError, match="LSTM: a state of 1 parts, expected 2"):
        layer(x, state=layer.zero_state(x)[:1])
    with pytest.raises(InputError, match=r"a part of the state has \[1\] arrays, expected h and c"):
        layer(x, state=[part[:1] for part in layer.zero_state(x)])
    with pytest.raises(InputError, match="LSTM: a bidirectional layer cannot go token by token"):
        layer.step(Tensor(r.normal(2, 5)), layer.zero_state(x))

"""How far back a gradient reaches: measured by hand too, and what the gates do to it."""

import numpy as np
import pytest

from nanollm import vanishing
from nanollm.cli import main
from nanollm.errors import InputError
from nanollm.recurrent import LSTM, RNN


@pytest.fixture(autouse=True)
def on(backend):
    """The backend under test, in use."""
    from nanollm.backend import use
    with use(backend):
        yield


def rng(seed=0):
    return np.random.default_rng(seed)


def test_the_measure_is_the_product_of_the_jacobians():
    layer, steps = RNN(3, 4, rng=rng()).to("float64"), 6
    drawn = rng(1)
    x, weight = drawn.standard_normal((2, steps + 1, 3)), drawn.standard_normal((2, 4))
    w, u, b = (t.numpy() for t in layer.cells[0].parameters().values())
    h, states = np.zeros((2, 4)), []
    for t in range(steps + 1):
        h = np.tanh(x[:, t] @ w + h @ u + b)
        states.append(h)
    found, g = [], weight                                       # g = ∂L/∂h_t
    for h in reversed(states):
        a = g * (1 - h ** 2)
        found.append(np.linalg.norm(a @ w.T))
        g = a @ u.T
    np.testing.assert_allclose(vanishing.by_distance(layer, steps, rng(1), batch=2),
                               np.array(found) / found[0], rtol=1e-10)


def test_an_rnn_forgets_or_explodes_and_an_open_gate_keeps():
    r = {name: vanishing.by_distance(layer, 100, rng(1))
         for name, layer in vanishing.cells(rng()).items()}
    assert all(curve[0] == 1 for curve in r.values())
    assert r["RNN"][100] < 1e-20 and r["GRU"][100] < 1e-15
    assert r["RNN, u times 4"][100] > 1e4
    assert r["RNN"][100] < 1e-6 * r["LSTM, bias of f 1"][100] < 1e-6 * 1e-4
    for name in "GRU, bias of z 5", "LSTM, bias of f 5":
        assert 0.05 < r[name][100] < 50
    shut = vanishing.by_distance(LSTM(32, 64, rng=rng(), forget=0.0).to("float64"), 100, rng(1))
    assert shut[100] < 1e-15


def test_the_memory_of_a_trained_layer_can_be_measured_in_its_own_dtype():
    layer = LSTM(5, 6, rng=rng(), layers=2)
    r = vanishing.by_distance(layer, 3, rng())
    assert r.dtype == np.float32 and r.shape == (4,) and (r > 0).all()
    assert layer.cells[0].w.dtype == np.float32


def test_a_norm_neither_underflows_nor_overflows():
    dx = np.array([[[3e-200, 4e-200], [0, 0], [3e200, -4e200]]])
    np.testing.assert_allclose(vanishing.size(dx), [5e-200, 0, 5e200])


def test_what_cannot_be_measured_is_told():
    both = RNN(3, 4, rng=rng(), bidirectional=True)
    for layer, steps, words in ((both, 5, "reads in both directions"),
                                (RNN(3, 4, rng=rng()), 0, "steps is 0, expected at least 1")):
        with pytest.raises(InputError, match=words):
            vanishing.by_distance(layer, steps, rng())


def test_the_command_prints_a_table_and_draws(tmp_path, capsys):
    picture = tmp_path / "vanishing.png"
    assert main(["vanishing", "--steps", "12", "--draw", str(picture)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 7 and lines[0].split() == ["steps", "back", "1", "10", "12"]
    assert lines[1].startswith("RNN") and picture.read_bytes().startswith(b"\x89PNG")
    for options, words in ((["--steps", "0"], "steps is 0"), (["--seed", "-1"], "--seed is -1"),
                           (["--steps", "3", "--draw", "no/such.png"], "cannot save the picture")):
        assert main(["vanishing", *options]) == 2
        assert words in capsys.readouterr().err

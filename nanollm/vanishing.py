"""How far back a gradient reaches: an RNN's vanishes or explodes, a gate held open keeps it.

    for name, layer in cells(np.random.default_rng(0)).items():
        r = by_distance(layer, 1000, np.random.default_rng(1))      r[100]: 100 steps back

Equation    L = Σ w ⊙ h_T with w drawn at random; its gradient for the token d steps before the
            last, beside the one for the last token:
                r_d = ‖∂L/∂x_{T-d}‖ / ‖∂L/∂x_T‖
            Between the two stand the d Jacobians ∂h_t/∂h_{t-1}.
            rnn     each is diag(1 - h_t²) and u: r_d falls or grows like the d-th power of a number
            lstm    ∂c_t/∂c_{t-1} = f_t, beside the way through h_{t-1}: a forget gate near 1 loses
                    little. At first it is about σ(b_f): 0.73 for b_f = 1, 0.993 for b_f = 5
            gru     z_t stands in the place of f_t
Shapes      x (B, T, E) from N(0, 1), T = d + 1 for the largest d  →  r (T,), r_0 = 1
Source      Hochreiter 1991; Bengio, Simard & Frasconi 1994; Pascanu, Mikolov & Bengio 2013 (arXiv
            1211.5063), section 2.1; the gate: Hochreiter & Schmidhuber 1997, Gers, Schmidhuber &
            Cummins 2000; its bias: Jozefowicz, Zaremba & Sutskever 2015
"""

import numpy as np

from nanollm import backend, figures, functional as F
from nanollm.errors import InputError
from nanollm.recurrent import GRU, LSTM, RNN
from nanollm.tape import Tape, Tensor

OPEN = 5.0                      # a bias of the gate that keeps: σ(5) = 0.993


def cells(rng, width=32, hidden=64):
    """{name: layer} in float64, as they are drawn, and so that they explode or remember."""
    found = {"RNN": RNN(width, hidden, rng=rng), "RNN, u times 4": RNN(width, hidden, rng=rng),
             "GRU": GRU(width, hidden, rng=rng),
             f"GRU, bias of z {OPEN:.0f}": GRU(width, hidden, rng=rng),
             "LSTM, bias of f 1": LSTM(width, hidden, rng=rng),
             f"LSTM, bias of f {OPEN:.0f}": LSTM(width, hidden, rng=rng, forget=OPEN)}
    exploding, keeping = list(found.values())[1].cells[0], list(found.values())[3].cells[0]
    u, b = exploding.u.numpy() * 4, keeping.b.numpy().copy()
    b[hidden:2 * hidden] = OPEN                                     # of the gates r, z, n
    exploding.u.data, keeping.b.data = backend.module().array(u), backend.module().array(b)
    return {name: layer.to("float64") for name, layer in found.items()}


def by_distance(layer, steps, rng, batch=4):
    """r (steps + 1,) of a layer of nanollm/recurrent.py that reads in one direction.

    In the layer's own dtype: an RNN's gradient is soon too small for float32 (layer.to("float64")).
    """
    if steps < 1:
        raise InputError(f"steps is {steps}, expected at least 1")
    if layer.directions != 1:
        raise InputError("this layer reads in both directions, so no token is far from its end: "
                         "expected one direction")
    w = layer.cells[0].w
    x = rng.standard_normal((batch, steps + 1, w.shape[0])).astype(w.dtype)
    weight = rng.standard_normal((batch, layer.hidden)).astype(w.dtype)
    x, weight = Tensor(backend.module().array(x)), backend.module().array(weight)
    with Tape() as tape:
        _, state = layer(x)
        loss = F.sum(F.mul(state[-1][0], weight))
    (dx,) = tape.gradient(loss, [x])
    norms = size(backend.module().numpy(dx))[::-1]                  # (T,)  the last token first
    if norms[0] == 0:
        raise InputError("the gradient of the last token is zero: the layer's states are shut")
    return norms / norms[0]


def size(dx):
    """The norm of dx (B, T, E) for each step (T,), also where its squares would be 0 or ∞."""
    most = np.abs(dx).max(axis=(0, 2))                              # (T,)
    scaled = dx / np.where(most == 0, 1, most)[:, None]
    return most * np.sqrt((scaled ** 2).sum(axis=(0, 2)))


def draw(curves, path):
    """Write r_d of {name: r} as a picture: of more than 100 steps, the first 100 beside all."""
    steps = max(map(len, curves.values())) - 1
    reaches = (100, steps) if steps > 100 else (steps,)
    with figures.picture(path, 1, len(reaches), figsize=(6.5 * len(reaches), 5)) as panels:
        panels = np.atleast_1d(panels)
        for axes, reach in zip(panels, reaches):
            for i, (name, r) in enumerate(curves.items()):      # two of a color, the second dashed
                axes.semilogy(r[:reach + 1], "-" if i % 2 == 0 else "--", label=name,
                              color=figures.COLORS[i // 2])
            axes.set(xlabel="steps back", xlim=(0, reach), ylim=(1e-20, 1e10))
        panels[0].set_ylabel("gradient (last token = 1)")
        panels[0].legend(loc="lower left")

"""One step of an LSTM, forward and backward."""

import re

import numpy as np

from nanollm import gradcheck, ops
from nanollm.exercises.spec import Exercise, Wrong, call, expect, pair, spared

NAMES = "x", "h", "c", "w", "u", "b"
GATES = {"output gate o": "da_o = dh tanh(c') o (1 - o)",
         "forget gate f": "da_f = dc c f (1 - f), with the old c",
         "candidate g": "da_g = dc i (1 - g²)", "input gate i": "da_i = dc g i (1 - i)"}


def inputs(B=2, E=3, H=2, dtype="float64", seed=0):
    r = np.random.default_rng(seed)
    shapes = (B, E), (B, H), (B, H), (E, 4 * H), (H, 4 * H), (4 * H,)
    return [r.standard_normal(shape).astype(dtype) for shape in shapes]


def step(student, *arrays):
    try:
        y, saved = pair(call(spared(student.lstm_step), *arrays), "lstm_step")
    except Exception as error:
        if re.search("tuple|inhomogeneous", str(error)):
            error.likely = "sigmoid is an op and gives the pair (y, saved): take its [0]"
        raise
    if not (isinstance(y, tuple) and len(y) == 2):
        raise Wrong("the first part of lstm_step's answer is not (h, c)",
                    expected="return (h, c), (what the backward needs)")
    return y, saved


def check_gates(student):
    "each gate, alone"
    zero = np.zeros((1, 1))
    for open_gates, c, want_c, likely in (
            ((40, -40, 40, 40), 0.5, 1.0, "with i open and f closed c' is g: it is c' = f c + "
                                          "i g,\nand the order of the quarters i, f, g, o"),
            ((-40, 40, 40, 40), 0.5, 0.5, "with f open and i closed the cell stays as it was: "
                                          "look at\nthe order i, f, g, o"),
            ((-40, -40, 40, 40), 0.5, 0.0, "with i and f closed nothing is kept and nothing "
                                           "written"),
            ((40, -40, -40, 40), 0.5, -1.0, "g is the third quarter and goes through tanh, "
                                            "between -1 and 1: a sigmoid\nwould give 0, the "
                                            "fourth quarter 1")):
        b = np.array(open_gates, float)
        (h, c_new), _ = step(student, zero, zero, np.array([[c]]), np.zeros((1, 4)),
                             np.zeros((1, 4)), b)
        tried = {"x, h, w, u": "zeros", "c": c, "b (i, f, g, o)": b}
        expect("the new cell c'", c_new, np.array([[want_c]]), tried=tried, likely=likely)
        expect("the new state h'", h, np.tanh([[want_c]]), tried=tried,
               likely="with o open h' is tanh(c')")
    (h, _), _ = step(student, zero, zero, np.array([[0.5]]), np.zeros((1, 4)), np.zeros((1, 4)),
                     np.array([-40.0, 40, 0, -40]))
    expect("the new state h'", h, zero, tried={"b (i, f, g, o)": "(-40, 40, 0, -40)", "c": 0.5},
           likely="with o closed nothing is shown: h' = o tanh(c')")


def check_forward(student):
    "h and c on random numbers"
    arrays = inputs()
    (h, c), _ = step(student, *arrays)
    (_, want_h, want_c), _ = ops.lstm(arrays[0][:, None], *arrays[1:])
    tried = dict(zip(NAMES, arrays))
    expect("the new cell c'", c, want_c, tried=tried, likely="all of a = x w + h u + b")
    expect("the new state h'", h, want_h, tried=tried)


def check_each_gate(student):
    "the gradient of each gate: db, quarter by quarter"
    arrays, H = inputs(), 2
    (h, c), saved = step(student, *arrays)
    dh, dc = np.random.default_rng(3).standard_normal((2, *h.shape))
    *_, db = call(student.lstm_step_backward, (dh, dc), saved)
    _, kept = ops.lstm(arrays[0][:, None], *arrays[1:])
    want = ops.lstm_backward((np.zeros_like(dh)[:, None], dh, dc), kept)[5]
    if np.shape(db) != want.shape:
        raise Wrong("db has the wrong shape", got=f"shape {np.shape(db)}",
                    expected=f"shape {want.shape}")
    wrong = [gate for gate, n in zip(GATES, (3, 1, 2, 0))
             if not np.allclose(db[n * H:(n + 1) * H], want[n * H:(n + 1) * H])]
    if not wrong:
        return
    likely = [GATES[gate] for gate in wrong]
    if len(wrong) == 4:
        likely = ["db is the sum of da over the rows of the batch, no mean"]
    elif len(wrong) == 3 and wrong[0] == "forget gate f":
        likely = ["what they have in common: dc ← dc + dh o (1 - tanh²(c')), from the saved "
                  "tanh(c')"]
    raise Wrong(f"the gradient of the {', the '.join(wrong)} is wrong", got=db, expected=want,
                tried="db; its quarters belong to i, f, g, o", likely=likely)


def check_gradients(student):
    "each gradient, against finite differences"
    gradcheck.check(spared(student.lstm_step), student.lstm_step_backward, inputs())


def check_only_c(student):
    "the gradient that comes along the cell alone"
    arrays = inputs(B=1, E=1, H=1)
    (h, c), saved = step(student, *arrays)
    _, _, dc, *_ = call(student.lstm_step_backward, (np.zeros_like(h), np.ones_like(c)), saved)
    a = arrays[0] @ arrays[3] + arrays[1] @ arrays[4] + arrays[5]
    expect("dc, with dh = 0 and dc = 1", dc, 1 / (1 + np.exp(-a[:, 1:2])),
           likely="along the cell the gradient is multiplied by f and nothing else")


def check_chain(student):
    "a chain of steps is ops.lstm, forward and backward"
    B, T, E, H = 2, 4, 3, 2
    x, (_, h, c, w, u, b) = np.random.default_rng(1).standard_normal((B, T, E)), inputs(B, E, H)
    (y, *_), saved = ops.lstm(x, h, c, w, u, b)
    dy = np.random.default_rng(2).standard_normal(y.shape)
    want = ops.lstm_backward((dy, np.zeros((B, H)), np.zeros((B, H))), saved)
    steps = []
    for t in range(T):
        (h, c), kept = step(student, x[:, t], h, c, w, u, b)
        expect(f"h after step {t}", h, y[:, t])
        steps.append(kept)
    dh, dc, sums = np.zeros((B, H)), np.zeros((B, H)), [0, 0, 0]
    for t in reversed(range(T)):
        dx, dh, dc, *dwub = call(student.lstm_step_backward, (dh + dy[:, t], dc), steps[t])
        expect(f"dx of step {t}", dx, want[0][:, t], tol=1e-8,
               likely="one step alone is right, so what is passed to the step before is not:\n"
                      "dh = da uᵀ, dc = dc f")
        sums = [total + d for total, d in zip(sums, dwub)]
    for name, got, right in zip(("dh", "dc", "dw", "du", "db"), (dh, dc, *sums), want[1:6]):
        expect(f"{name}, added up over {T} steps", got, right, tol=1e-8)


def check_float32(student):
    "float32 in, float32 out"
    arrays = inputs(dtype="float32")
    (h, c), saved = step(student, *arrays)
    grads = call(student.lstm_step_backward, (h, c), saved)
    for name, array in zip(("h'", "c'", *("d" + name for name in NAMES)), (h, c, *grads)):
        expect(f"{name} from float32", array, array, dtype=np.float32)


def check_saved(student):
    "what is given is not written into"
    arrays = inputs()
    before = [a.copy() for a in arrays]
    (h, c), saved = call(student.lstm_step, *arrays)
    call(student.lstm_step_backward, (np.ones_like(h), np.ones_like(c)), saved)
    for name, a, kept in zip(NAMES, arrays, before):
        if not np.array_equal(a, kept):
            raise Wrong(f"the pair modified {name}", got=a, expected=kept,
                        likely="c *= f or c += ... writes into the caller's array: make a new one")


EXERCISE = Exercise(
    name="lstm_step", title="One step of an LSTM, forward and backward", group="pieces",
    notebook="08_recurrence", page="nanollm/exercises/pages/lstm_step.py",
    blanks=("lstm_step", "lstm_step_backward"),
    checks=(check_gates, check_forward, check_saved, check_each_gate, check_only_c,
            check_gradients, check_float32, check_chain),
    hints=(
        ("Forward: one product gives all four pre-activations; cut them into quarters. Backward: "
         "the cell's gradient has two sources, what comes along the cell (dc) and what comes from "
         "h' (dh). Add them first; everything else follows from that sum.",
         "前向：一次矩阵乘法得到四个门的预激活值，再切成四份。反向：细胞状态的梯度有两个来源，"
         "一个沿细胞传来 (dc)，一个来自 h' (dh)。先把它们加起来，其余都由这个和推出。"),
        ("dc ← dc + dh ⊙ o ⊙ (1 - tanh²(c')). Each gate's gradient is (what it was multiplied "
         "with) times its own slope: σ' = s (1 - s), tanh' = 1 - t², both from the saved outputs.",
         "dc ← dc + dh ⊙ o ⊙ (1 - tanh²(c'))。每个门的梯度是（与它相乘的量）乘以它自己的导数："
         "σ' = s (1 - s)，tanh' = 1 - t²，都用保存下来的输出值计算。"),
        ("da = concatenate((dc g i (1 - i), dc c f (1 - f), dc i (1 - g²), dh tanh(c') o (1 - "
         "o))); then da @ w.T, da @ u.T, dc * f, x.T @ da, h.T @ da, da.sum(axis=0). c and h here "
         "are the old ones, from before the step.",
         "da = concatenate((dc g i (1 - i), dc c f (1 - f), dc i (1 - g²), dh tanh(c') o (1 - "
         "o)))；"
         "然后依次返回 da @ w.T、da @ u.T、dc * f、x.T @ da、h.T @ da、da.sum(axis=0)。"
         "这里的 c 和 h 是这一步之前的旧值。"),
    ))

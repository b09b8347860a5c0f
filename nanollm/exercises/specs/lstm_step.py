"""One step of an LSTM, forward and backward.

Where numbers are wrong, each suspect is planted in the solved page, then two at once; the first
that gives the student's numbers on random inputs of two shapes names the mistake.
"""

import contextlib
import functools
import re

import numpy as np

from nanollm import gradcheck, ops
from nanollm.exercises.of_ops import attempt, distance, named, planted
from nanollm.exercises.spec import Exercise, Wrong, call, expect, kind, of_shape, pair, spared

PAGE = "nanollm/exercises/pages/lstm_step.py"
NAMES = "x", "h", "c", "w", "u", "b"
SHAPES = (3, 1, 2), (2, 3, 2)                                   # (B, E, H)
GATES = {"input gate i": "da_i = dc g i (1 - i)",
         "forget gate f": "da_f = dc c f (1 - f), with the old c",
         "candidate g": "da_g = dc i (1 - g²)", "output gate o": "da_o = dh tanh(c') o (1 - o)"}
CELL = "dc ← dc + dh o (1 - tanh²(c'))"

F, B = "lstm_step", "lstm_step_backward"
ORDER = " are exchanged: the quarters of a are i, f, g, o in this order, and c' = f c + i g"
SUM = "dc + dh * o * (1 - shown * shown)"
DA_I, DA_F = "dc * g * i * (1 - i)", "dc * c * f * (1 - f)"
DA_G, DA_O = "dc * i * (1 - g * g)", "dh * shown * o * (1 - o)"
THREE = "sigmoid(i)[0], sigmoid(f)[0], sigmoid(o)[0]"

SUSPECTS = (
    *((F, "i, f, g, o = np.split", order + " = np.split", which + ORDER) for order, which in (
        ("f, i, g, o", "i and f"), ("i, f, o, g", "g and o"), ("i, g, f, o", "f and g"),
        ("i, o, g, f", "f and o"), ("o, f, g, i", "i and o"), ("g, f, i, o", "i and g"))),
    (F, "np.split(x @ w + h @ u + b, 4, axis=-1)", "(x @ w + h @ u + b).reshape(4, *c.shape)",
     "reshape takes rows apart: the quarters lie side by side along the last axis, H numbers each"),
    (F, "np.split(x @ w + h @ u + b, 4, axis=-1)",
     "np.moveaxis((x @ w + h @ u + b).reshape(*c.shape, 4), -1, 0)",
     "every fourth number is taken: a quarter is H numbers side by side, a[:, :H] the first"),
    (F, " + b", "", "the bias b is not added"),
    (F, " + b", " - b", "the bias b is subtracted"),
    (F, " + h @ u", "", "h u is missing: a = x w + h u + b"),
    (F, "x @ w + ", "", "x w is missing: a = x w + h u + b"),
    (F, "f * c + i * g", "f * c + (1 - f) * g",
     "1 - f stands in place of i, as in a GRU; an LSTM has an input gate of its own"),
    (F, "f * c + i * g", "f * c + g", "the input gate i is not used: i g is written, not g"),
    (F, "f * c + i * g", "c + i * g", "the forget gate f is not used: f c is kept, not c"),
    (F, "f * c + i * g", "i * g", "the old c is not used: f c is kept of it"),
    (F, "f * c + i * g", "np.tanh(f * c + i * g)",
     "c' goes through tanh; only h' does, and the cell stays as it is"),
    (F, "o * shown, cell", "o * shown, shown",
     "tanh(c') is returned as the cell; only h' goes through tanh, and the cell stays as it is"),
    (F, "g = np.tanh(g)", "g = g", "the candidate g does not go through tanh"),
    (F, "g = np.tanh(g)", "g = sigmoid(g)[0]",
     "the candidate g goes through a sigmoid; it goes through tanh, between -1 and 1"),
    (F, THREE, "np.tanh(i), np.tanh(f), np.tanh(o)",
     "the gates i, f, o go through tanh; they go through a sigmoid, between 0 and 1"),
    *((F, f"sigmoid({gate})[0]", f"np.tanh({gate})",
       f"the gate {gate} goes through tanh; it goes through a sigmoid, between 0 and 1")
      for gate in "ifo"),
    *((F, f"sigmoid({gate})[0]", gate, f"the gate {gate} does not go through a sigmoid")
      for gate in "ifo"),
    (F, "sigmoid(f)[0]", "sigmoid(f + 1)[0]",
     "1 is added to the forget gate's sum: an open gate is a matter of the bias one begins with"),
    (F, "o * shown, cell", "o * cell, cell", "h' is o c' there: the tanh is left out"),
    (F, "o * shown, cell", "shown, cell", "the output gate o is not used: h' is o tanh(c')"),
    (F, "np.tanh(cell)", "np.tanh(c)", "h' is made of the old c; it shows the new one, c'"),
    (F, "o * shown, cell", "cell, o * shown", "h' and c' are exchanged: return (h', c'), saved"),
    (F, "o * shown, cell", "o * shown, o * shown", "h' is returned twice: return (h', c'), saved"),
    (F, "o * shown, cell", "o * shown, c", "the old c is returned, not the new c'"),

    (B, "dh, dc = dy", "dc, dh = dy", "dh and dc are exchanged: dy is (dh, dc)"),
    (B, SUM, "dh * o * (1 - shown * shown)",
     f"the dc that comes along the cell is lost: {CELL}"),
    (B, SUM, "dc", f"the way through h' is missing: {CELL}"),
    (B, SUM, "dc + dh * (1 - shown * shown)", f"the output gate is missing: {CELL}"),
    (B, SUM, "dc + dh * o", f"the slope of tanh is missing: {CELL}"),
    (B, SUM, "dc + dh * o * shown * (1 - shown)",
     f"the slope of a sigmoid stands in place of tanh's: {CELL}"),
    (B, SUM, "dc + dh * o * (1 - shown)", f"tanh(c') is not squared: {CELL}"),
    (B, SUM, "dc + dh * o * (1 - np.tanh(shown) ** 2)",
     "tanh is taken twice: the slope is 1 - s², s the saved tanh(c')"),
    (B, SUM, "dc + dh * o * (1 - (f * c + i * g) ** 2)",
     "the slope of tanh is 1 - tanh²(c'): c' itself stands there"),
    (B, SUM, "dc + dh * o * (1 - c * c)", "the slope of tanh is 1 - tanh²(c'): the old c stands "
     "there"),
    (B, SUM, "dc + dh * o * (1 - np.tanh(c) ** 2)",
     "the slope of tanh belongs to the new c'; it is taken at the old c"),
    (B, SUM, "dc - dh * o * (1 - shown * shown)", f"a sign is flipped: {CELL}"),
    (B, SUM, "(dc + dh * o) * (1 - shown * shown)",
     f"the slope of tanh multiplies dc, too; c' itself goes on through no tanh: {CELL}"),
    (B, f"np.concatenate(({DA_I}, {DA_F},", f"np.concatenate(({DA_F}, {DA_I},",
     "da_i and da_f are exchanged: the order of the quarters is i, f, g, o"),
    (B, f"{DA_G}, {DA_O}", f"{DA_O}, {DA_G}",
     "da_g and da_o are exchanged: the order of the quarters is i, f, g, o"),
    *((B, right, right.replace(f" * {gate} * (1 - {gate})", ""),
       f"the slope of the sigmoid, {gate} (1 - {gate}), is missing: {GATES[name]}")
      for right, gate, name in ((DA_I, "i", "input gate i"), (DA_F, "f", "forget gate f"),
                                (DA_O, "o", "output gate o"))),
    *((B, right, right.replace(f" * {gate} * (1 - {gate})", f" * (1 - {gate})"),
       f"the slope of the sigmoid is {gate} (1 - {gate}), and {gate} is missing")
      for right, gate in ((DA_I, "i"), (DA_F, "f"), (DA_O, "o"))),
    *((B, right, right.replace(f" * {gate} * (1 - {gate})", f" * (1 - {gate} * {gate})"),
       f"the slope of tanh stands in place of the sigmoid's, {gate} (1 - {gate})")
      for right, gate in ((DA_I, "i"), (DA_F, "f"), (DA_O, "o"))),
    *((B, right, right.replace(f" * {gate} * (1 - {gate})",
                               f" * sigmoid({gate})[0] * (1 - sigmoid({gate})[0])"),
       f"the sigmoid is taken twice: {gate} is its output already, the slope is {gate} (1 - "
       f"{gate})") for right, gate in ((DA_I, "i"), (DA_F, "f"), (DA_O, "o"))),
    (B, DA_I, "dc * i * (1 - i)", "i was multiplied with g, which is missing: da_i = dc g i (1 - "
     "i)"),
    (B, DA_I, "dc * i * i * (1 - i)", "i was multiplied with g, not with i: da_i = dc g i (1 - i)"),
    (B, DA_I, "dc * c * i * (1 - i)", "i was multiplied with g, not with c: da_i = dc g i (1 - i)"),
    (B, DA_F, "dc * f * (1 - f)",
     "f was multiplied with the old c, which is missing: da_f = dc c f (1 - f)"),
    (B, DA_F, "dc * (f * c + i * g) * f * (1 - f)",
     "f was multiplied with the old c, not with the new c': da_f = dc c f (1 - f)"),
    (B, DA_F, "dc * shown * f * (1 - f)",
     "f was multiplied with the old c, not with tanh(c'): da_f = dc c f (1 - f)"),
    (B, DA_G, "dc * (1 - g * g)", "g was multiplied with i, which is missing: da_g = dc i (1 - "
     "g²)"),
    (B, DA_G, "dc * i", "the slope of tanh, 1 - g², is missing: da_g = dc i (1 - g²)"),
    (B, DA_G, "dc * i * g * (1 - g)",
     "the slope of a sigmoid stands in place of tanh's, 1 - g²"),
    (B, DA_G, "dc * i * (1 - g)", "g is not squared: the slope of tanh is 1 - g²"),
    (B, DA_G, "dc * i * (1 - np.tanh(g) ** 2)",
     "tanh is taken twice: g is its output already, the slope is 1 - g²"),
    (B, DA_O, "dc * shown * o * (1 - o)",
     "dc stands in place of dh: o is used in h' = o tanh(c') alone"),
    (B, DA_O, "dh * o * (1 - o)",
     "o was multiplied with tanh(c'), which is missing: da_o = dh tanh(c') o (1 - o)"),
    (B, DA_O, "dh * c * o * (1 - o)", "o was multiplied with tanh(c'), not with the old c"),
    (B, DA_O, "dh * (f * c + i * g) * o * (1 - o)",
     "o was multiplied with tanh(c'), not with c' itself"),
    (B, "dc * f, x.T", "dc, x.T",
     "dc for the step before is dc f: along the cell the gradient is multiplied by f"),
    (B, "dc * f, x.T", "dy[1] * f, x.T",
     f"dc for the step before is made of the dc that came in; first add what h' brings, {CELL}"),
    (B, "dc * f, x.T", "dc * f * (1 - f), x.T",
     "dc for the step before holds the slope of the sigmoid; c' = f c + i g changes with c by f"),
    (B, "dc * f, x.T", "dc * i, x.T", "dc for the step before holds i; c was multiplied with f"),
    (B, "da @ w.T, da @ u.T, dc * f", "da @ w.T, dc * f, da @ u.T",
     "dh and dc are exchanged: the order is dx, dh, dc, dw, du, db"),
    (B, "da @ u.T, dc", "da @ u.T + dh, dc",
     "dh is added to da uᵀ: h reaches h' through a = x w + h u + b alone"),
    (B, "da @ u.T, dc", "dh, dc", "the dh that came in is handed on; for the step before it is "
     "da uᵀ"),
    (B, "h.T @ da", "(o * shown).T @ da", "du is made of the new h'; u was multiplied with the old "
     "h"),
    (B, "h.T @ da", "c.T @ da", "du is made of c; u was multiplied with h"),
    (B, "x.T @ da", "x.T @ da / len(x)",
     "dw is divided by the number of rows: it is a sum over the batch, no mean"),
    (B, "h.T @ da", "h.T @ da / len(x)",
     "du is divided by the number of rows: it is a sum over the batch, no mean"),
    (B, "da.sum(axis=0)", "da.mean(axis=0)", "db is the sum of da over the rows of the batch, no "
     "mean"),
)


def inputs(B=3, E=1, H=2, dtype="float64", seed=0):
    r = np.random.default_rng(seed)
    shapes = (B, E), (B, H), (B, H), (E, 4 * H), (H, 4 * H), (4 * H,)
    return [r.standard_normal(shape).astype(dtype) for shape in shapes]


def step(student, *arrays):
    """((h', c'), saved) of the student's step."""
    try:
        y, saved = pair(call(spared(student.lstm_step), *arrays), "lstm_step")
    except Exception as error:
        if re.search("tuple|inhomogeneous", str(error)):
            error.likely = "sigmoid is an op and gives the pair (y, saved): take its [0]"
        raise
    if not (isinstance(y, tuple) and len(y) == 2):
        raise Wrong("the first part of lstm_step's answer is not (h', c')", got=kind(y),
                    expected="return (h', c'), (what the backward needs)")
    return y, saved


def back(student, dy, saved, arrays):
    """The student's six gradients; Wrong unless they are six, each of its input's shape."""
    grads = call(spared(student.lstm_step_backward), dy, saved)
    order = ", ".join(f"d{name}" for name in NAMES)
    if not isinstance(grads, tuple) or len(grads) != len(NAMES):
        raise Wrong(f"lstm_step_backward returns {kind(grads)}", expected=f"a tuple of 6: {order}")
    for name, d, x in zip(NAMES, grads, arrays):
        if np.shape(d) != x.shape:
            others = [n for n, other in zip(NAMES, arrays) if np.shape(d) == other.shape
                      and np.ndim(d) == x.ndim]
            raise Wrong(f"d{name} has the wrong shape", got=f"shape {np.shape(d)}",
                        expected=f"shape {x.shape}, that of {name}", likely=(
                f"that is the shape of {' and '.join(others)}; the order is {order}" if others else
                "it is transposed: exchange the factors, or move a .T"
                if np.shape(d) == x.shape[::-1] and x.ndim > 1 else
                "dy is the tuple (dh, dc): take it apart first" if np.ndim(d) > 2 else
                of_shape(np.zeros(np.shape(d)), x)))
    return grads


def numbers(module, backward):
    """What a module computes of random inputs: h' and c', or the six gradients."""
    found = []
    for n, shape in enumerate(SHAPES):
        arrays = inputs(*shape)
        y, saved = step(module, *arrays)
        if backward:
            dy = tuple(np.random.default_rng(3 + n).standard_normal((2, *arrays[1].shape)))
            y = back(module, dy, saved, arrays)
        found += y
    return found


@functools.cache
def known(student, backward):
    """The words of the mistake, or of two, that give the student's numbers; None if none does."""
    theirs = attempt(numbers, student, backward)
    right = attempt(numbers, planted(PAGE), backward)
    rows = [row for row in SUSPECTS if row[0] == (B if backward else F)]

    def same(module):
        ours = attempt(numbers, module, backward)
        return not isinstance(ours, str) and all(
            distance(a, b) <= 0.01 * max(distance(b, c), 1e-9)
            for a, b, c in zip(ours, theirs, right))

    if isinstance(theirs, str):
        return None
    return named(PAGE, rows, same)


@contextlib.contextmanager
def explaining(student, backward):
    """A Wrong raised inside is told with the words of the mistake that does the same, if any."""
    try:
        yield
    except Wrong as wrong:
        words = known(student, backward)
        raise (wrong.because(words) if words else wrong) from None


def check_gates(student):
    "each gate, alone"
    zero = np.zeros((1, 1))
    for gates, c, want_c, want_h, likely in (
            ((40, -40, 40, 40), 0.5, 1.0, np.tanh(1.0),
             "with i = 1 and f = 0, c' = f c + i g is g = tanh(40) = 1"),
            ((-40, 40, 40, 40), 0.5, 0.5, np.tanh(0.5),
             "with f = 1 and i = 0, c' = f c + i g is the old c"),
            ((-40, -40, 40, 40), 0.5, 0.0, 0.0,
             "with i = f = 0 nothing is kept and nothing written"),
            ((40, -40, -40, 40), 0.5, -1.0, np.tanh(-1.0),
             "with i = 1 and f = 0, c' = f c + i g is g = tanh(-40) = -1"),
            ((-40, 40, 0, -40), 0.5, 0.5, 0.0, "with o = 0 nothing is shown: h' = o tanh(c')")):
        b = np.array(gates, float)
        (h, c_new), _ = step(student, zero, zero, np.array([[c]]), np.zeros((1, 4)),
                             np.zeros((1, 4)), b)
        tried = {"x, h, w, u": "zeros", "c": c, "b (i, f, g, o)": b}
        with explaining(student, False):
            expect("the new cell c'", c_new, np.array([[want_c]]), tried=tried, likely=likely)
            expect("the new state h'", h, np.array([[want_h]]), tried=tried,
                   likely=likely if b[3] < 0 else "with o = 1, h' = o tanh(c') is tanh(c')")


def check_forward(student):
    "h and c on random numbers"
    arrays = inputs()
    (h, c), _ = step(student, *arrays)
    (_, want_h, want_c), _ = ops.lstm(arrays[0][:, None], *arrays[1:])
    tried = dict(zip(NAMES, arrays))
    likely = (
        "open and closed gates are right; what is left is the sum a = x w + h u + b, how it\nis "
        "cut into quarters, (B, H) each, and what the sigmoid and tanh do between their ends")
    with explaining(student, False):
        expect("the new cell c'", c, want_c, tried=tried, likely=likely)
        expect("the new state h'", h, want_h, tried=tried, likely=likely)


def check_pure(student):
    "what is given is not written into"
    arrays = inputs()
    before = [a.copy() for a in arrays]
    (h, c), saved = call(student.lstm_step, *arrays)
    for name, a, kept in zip(NAMES, arrays, before):
        if not np.array_equal(a, kept):
            raise Wrong(f"lstm_step changes its input {name}", got=a, expected=kept,
                        likely=f"`{name} *= ...` and `{name} += ...` write into the caller's "
                               f"array:\nwrite `{name} = {name} * ...`, or give the new array a "
                               "name of its own")
    dy = tuple(np.random.default_rng(3).standard_normal((2, *h.shape)))
    before = [a.copy() for a in (*dy, *arrays)]
    call(student.lstm_step_backward, dy, saved)
    for name, a, kept in zip(("dh", "dc", *NAMES), (*dy, *arrays), before):
        if not np.array_equal(a, kept):
            raise Wrong(f"lstm_step_backward changes {name}", got=a, expected=kept,
                        likely=f"`{name} += ...` and `{name} *= ...` write into the caller's "
                               f"array:\nwrite `{name} = {name} + ...`")


def check_each_gate(student):
    "the gradient of each gate: db, quarter by quarter"
    arrays, H = inputs(), 2
    (h, c), saved = step(student, *arrays)
    dh, dc = np.random.default_rng(3).standard_normal((2, *h.shape))
    *_, db = back(student, (dh, dc), saved, arrays)
    _, kept = ops.lstm(arrays[0][:, None], *arrays[1:])
    want = ops.lstm_backward((np.zeros_like(dh)[:, None], dh, dc), kept)[5]
    wrong = [gate for n, gate in enumerate(GATES)
             if not np.allclose(db[n * H:(n + 1) * H], want[n * H:(n + 1) * H])]
    if not wrong:
        return
    likely = [f"look at {GATES[gate]}" for gate in wrong]
    if set(GATES) - set(wrong) == {"output gate o"}:
        likely = f"what i, f and g have in common: {CELL}, with the saved tanh(c')"
    with explaining(student, True):
        raise Wrong(f"the gradient of the {', the '.join(wrong)} is wrong", got=db, expected=want,
                    tried="db; its quarters belong to i, f, g, o", likely=likely)


def check_only_c(student):
    "the gradient that comes along the cell alone"
    arrays = inputs(B=1, E=1, H=1)
    (h, c), saved = step(student, *arrays)
    _, _, dc, *_ = back(student, (np.zeros_like(h), np.ones_like(c)), saved, arrays)
    a = arrays[0] @ arrays[3] + arrays[1] @ arrays[4] + arrays[5]
    with explaining(student, True):
        expect("dc, with dh = 0 and dc = 1", dc, 1 / (1 + np.exp(-a[:, 1:2])),
               tried=dict(zip(NAMES, arrays)),
               likely="along the cell the gradient is multiplied by f and nothing else")


def check_gradients(student):
    "each gradient, against finite differences"
    try:
        gradcheck.check(spared(student.lstm_step), student.lstm_step_backward, inputs())
    except gradcheck.GradientError as error:
        what, *evidence = (line.strip() for line in str(error).splitlines())
        if evidence and evidence[0].startswith("at "):
            what = f"{what} {evidence.pop(0)}"
        with explaining(student, True):
            raise Wrong(what, likely=evidence) from None


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
        expect(f"dx of step {t}", dx, want[0][:, t], tol=1e-8, likely=(
            "a step alone is right, so something is kept from one call to the next: all that "
            "the\nbackward needs is in saved"))
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


EXERCISE = Exercise(
    name="lstm_step", title="One step of an LSTM, forward and backward", group="pieces",
    notebook="08_recurrence", page=PAGE,
    blanks=("lstm_step", "lstm_step_backward"),
    checks=(check_gates, check_forward, check_pure, check_each_gate, check_only_c,
            check_gradients, check_float32, check_chain),
    suspects=SUSPECTS,
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

"""The museum: an LSTM that needs its gradients normalized."""

import numpy as np

from nanollm.exercises.spec import Exercise, Wrong, call, expect

GATES = "input gate i", "forget gate f", "candidate g", "output gate o"
NAMES = "x", "h", "c", "w", "u"
LIKELY = {"w": "a gate's gradient is what comes, times what the gate was multiplied with, times "
               "the slope\nof its own function",
          "u": "w of this gate is right, so da is: which state was multiplied with u in the "
               "forward?"}


def problem(seed=0, B=3, E=2, H=2):
    r = np.random.default_rng(seed)
    x, h, c, w, u = (r.standard_normal(shape) for shape in (
        (B, E), (B, H), (B, H), (E, 4 * H), (H, 4 * H)))
    return [x, h, c, w, u], r.standard_normal((B, H)), r.standard_normal((B, H))


def gradients(student, seed=0):
    """({name: the student's gradient}, {name: by finite differences})."""
    arrays, dh, dc = problem(seed)

    def loss():
        (h, c), _ = student.forward(*arrays)
        return float((dh * h).sum() + (dc * c).sum())

    _, saved = student.forward(*arrays)
    got, want = call(student.backward, dh, dc, saved), []
    for a in arrays:
        da = np.zeros_like(a)
        for at in np.ndindex(a.shape):
            kept, sides = a[at], []
            for step in 1e-6, -1e-6:
                a[at] = kept + step
                sides.append(loss())
            a[at] = kept
            da[at] = (sides[0] - sides[1]) / 2e-6
        want.append(da)
    return dict(zip(NAMES, got)), dict(zip(NAMES, want))


def check_forward(student):
    "the forward is as it was"
    from nanollm import ops
    (x, h, c, w, u), *_ = problem()
    (_, want_h, want_c), _ = ops.lstm(x[:, None], h, c, w, u)
    (got_h, got_c), _ = call(student.forward, x, h, c, w, u)
    expect("h'", got_h, want_h, likely="the forward was right: leave it")
    expect("c'", got_c, want_c, likely="the forward was right: leave it")


def check_weights(student):
    "the weights of each gate, nudged"
    got, want = gradients(student)
    wrong = []
    for n in 3, 1, 2, 0:                                # from the one with the fewest ways to err
        part = slice(2 * n, 2 * n + 2)
        for name in "w", "u":
            a, b = got[name][:, part], want[name][:, part]
            if np.abs(a - b).max() > 1e-7 * max(1, np.abs(b).max()):
                wrong.append((name, n, a, b))
    if wrong:
        name, n, a, b = wrong[0]
        others = ", ".join(f"{name} of {GATES[n][-1]}" for name, n, *_ in wrong[1:]) or "none"
        raise Wrong(f"nudging {name} of the {GATES[n]} moves the loss otherwise than d{name} says",
                    tried=f"w and u of each gate; wrong as well: {others}", got=a, expected=b,
                    likely=LIKELY[name])


def check_inputs(student):
    "what is passed to the step before"
    got, want = gradients(student, seed=1)
    for name in "x", "h", "c":
        expect(f"d{name}", got[name], want[name], tol=1e-6,
               likely="to the cell before, the gradient passes through f" if name == "c" else None)


def check_training(student):
    "training reaches its goal"
    (x, h, c, w, u), *_ = problem(seed=2, B=1)
    y = np.array([[0.3, -0.2]])
    *_, losses = call(student.train, x, y, h, c, w, u, steps=300, lr=0.01)
    if not losses[-1] < 1e-3:
        raise Wrong("training does not reach the goal",
                    got=f"loss {losses[-1]:.4g} after 300 steps",
                    expected="below 0.001", likely="`train` was right: leave it")


EXERCISE = Exercise(
    name="museum_gates", title="An LSTM that needs its gradients normalized", group="museum",
    notebook="08_recurrence", page="nanollm/exercises/pages/museum_gates.py",
    broken=(("dc * g * i * (1 - i)", "dc * i * i * (1 - i)"),
            ("(1 - shown * shown)      ", "(1 - np.tanh(shown) ** 2)"),
            ("(1 - g * g)", "(1 - np.tanh(g) ** 2)"),
            ("x.T @ da, h.T @ da", "x.T @ da, (o * shown).T @ da")),
    checks=(check_forward, check_weights, check_inputs, check_training),
    hints=(
        ("Check the gradient before you believe in exploding gradients: nudge one weight of each "
         "gate.",
         "先检查梯度，再相信“梯度爆炸”：对每个门各微调一个权重。"),
        ("Three kinds: what the input gate was multiplied with; the slope of tanh, from its saved "
         "output; the state that went through u.",
         "三类错误：输入门与什么相乘；由保存的输出计算 tanh 的导数；哪个状态与 u 相乘。"),
        ("∂c'/∂i = g. With y = tanh(a) the slope is 1 - y², not 1 - tanh(y)². The u-product had "
         "the old h, so du = hᵀ da with the old h.",
         "∂c'/∂i = g。若 y = tanh(a)，导数是 1 - y²，而不是 1 - tanh(y)²。"
         "与 u 相乘的是旧的 h，所以 du = hᵀ da 用旧的 h。")),
    thread="https://github.com/wvabrinskas/Neuron/pull/181",
    explanation="""\
Cause     Three: the input gate's gradient has i where it should have g, since c' = f c + i g; the
          slopes of tanh are taken of the output once more, 1 - tanh(tanh(a))²; the weights on the
          state get h', which came out, in place of h, which went in.
Hidden    Each step divided the gradient by its length. A direction that is roughly right, with a
          length that is always right, learns.
Found     When the normalization was removed, training seemed to explode. A finite-difference check
          of the cell showed errors of 5 to 17 times, with wrong signs.
Repair    dc g i (1 - i); 1 - y² from the saved y; h from before the step.
Thread    wvabrinskas/Neuron PR #181, "Remove LSTM normalization" (merged), which lists the three.
          Compare ddbourgin/numpy-ml#42, where a forward used one bias for three gates: copied and
          pasted.""")

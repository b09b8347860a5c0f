"""The museum: Adam's first step."""

import numpy as np

from nanollm import ops
from nanollm.exercises.spec import Exercise, Wrong


def run(student, gradients, w=0.0, **settings):
    """The weight after each step with these gradients."""
    settings = {"lr": 0.1, **settings}
    optimizer, w, path = student.Adam((1,), **settings), np.array([w]), []
    with np.errstate(all="ignore"):
        for g in gradients:
            optimizer.step(w, np.array([g]))
            path.append(float(w[0]))
    return path


def want(gradients, w=0.0, lr=0.1, **settings):
    w, m, v, path = np.array([w]), np.zeros(1), np.zeros(1), []
    for t, g in enumerate(gradients, 1):
        ops.adam_(w, np.array([g]), m, v, lr=lr, t=t, **settings)
        path.append(float(w[0]))
    return path


def check_first(student):
    "the first step"
    for g in 5.0, -0.01:
        (got,) = run(student, [g])
        tried = f"one weight, 0, gradient {g:g}, lr 0.1"
        if not np.isfinite(got):
            raise Wrong("the weight is nan after the first step", tried=tried, got=str(got),
                        expected=want([g])[0], likely="print every number of the first step")
        if abs(got - want([g])[0]) > 1e-9:
            raise Wrong(f"the first step is {abs(got) / 0.1:.4g} times lr", tried=tried, got=got,
                        expected=want([g])[0],
                        likely="at the first step m̂ = g and v̂ = g², so that the step is lr: m "
                               "and v are\ntoo small by 1 - β, which is 1 - βᵗ at t = 1")


def check_later(student):
    "ten more steps"
    gradients = np.random.default_rng(0).standard_normal(10)
    for settings in {}, {"lr": 0.3, "beta1": 0.5, "beta2": 0.7, "eps": 0.01}:
        got, right = run(student, gradients, **settings), want(gradients, **settings)
        for n, (a, b) in enumerate(zip(got, right), 1):
            if not abs(a - b) < 1e-9:
                raise Wrong(f"step {n} is wrong; those before are right", got=str(a), expected=b,
                            tried=", ".join(f"{name} {value}" for name, value in settings.items())
                            or None, likely="t counts the steps: 1 - β to the power t, with β₁ for "
                            "m and β₂ for v")


def check_epsilon(student):
    "a tiny gradient"
    (got,), (right,) = run(student, [1e-6]), want([1e-6])
    if abs(got - right) > 1e-9:
        raise Wrong("with a tiny gradient the step is wrong",
                    tried="gradient 1e-6, eps 1e-8: √v̂ + ε is 1.01e-6", got=got, expected=right,
                    likely="eps is added to the root of v̂: inside the root 1e-8 is as large as a "
                           "gradient of\n1e-4")


EXERCISE = Exercise(
    name="museum_bias", title="Adam's first step", group="museum", notebook="07_optimizers",
    page="nanollm/exercises/pages/museum_bias.py",
    broken=(("        self.t += 1\n        self.m +=", "        self.m +="),
            ("(np.sqrt(vhat) + self.eps)\n", "(np.sqrt(vhat) + self.eps)\n        self.t += 1\n")),
    checks=(check_first, check_later, check_epsilon),
    hints=(
        ("nan is often 0 / 0. Which division can that be in the very first step?",
         "nan 往往来自 0 / 0。在第一步里，哪个除法会这样？"),
        ("1 - β to the power 0 is 0. What is t when the first step uses it?",
         "1 - β 的 0 次方等于 0。第一步用到 t 时，t 是多少？"),
        ("t counts the steps, this one included: raise it before it is used.",
         "t 计的是步数，包括当前这一步：要在使用之前加 1。")),
    thread="https://github.com/deeplearning4j/nd4j/pull/1227",
    explanation="""\
Cause     The first step is made with t = 0, where 1 - β⁰ = 0, and 0 / 0 is nan. The paper counts
          t = 1, 2, ...
Hidden    Not at all here. Its relatives hide well: with t = 2 in the first step it is 0.74 lr long
          in place of lr, and after some hundred steps little is left of the difference.
Found     By the nan, here; elsewhere by reading the code beside the paper.
Repair    Raise t first. (cs231n/cs231n.github.io#179 reports the other error, an assignment that
          begins at t = 1 and raises it before use.)
Thread    deeplearning4j/nd4j PR #1227: t should start from 1, or the first step is NaN.
          On eps inside the root: CyberZHG/keras-radam#29; FluxML/Flux.jl PR #448, which moved it
          out again to match the paper.""")

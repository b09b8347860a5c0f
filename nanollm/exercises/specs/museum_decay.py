"""The museum: weight decay that depends on the gradient."""

import numpy as np

from nanollm import ops
from nanollm.exercises.spec import Exercise, Wrong


def run(student, w, gradients, lr=0.01, decay=0.1):
    w = np.array(w, np.float64)
    optimizer = student.AdamW(w.shape, lr=lr, decay=decay)
    for g in gradients:
        optimizer.step(w, np.array(g, np.float64))
    return w


def want(w, gradients, lr=0.01, decay=0.1):
    w = np.array(w, np.float64)
    m, v = np.zeros_like(w), np.zeros_like(w)
    for t, g in enumerate(gradients, 1):
        ops.adamw_(w, np.array(g, np.float64), m, v, lr=lr, t=t, decay=decay)
    return w


def compare(student, what, w, gradients, likely, **settings):
    """Wrong unless the student's weights are those of ops.adamw_."""
    got, right = run(student, w, gradients, **settings), want(w, gradients, **settings)
    if np.abs(got - right).max() > 1e-9:
        raise Wrong(what, tried=f"weights {w}, {len(gradients)} steps with gradients "
                                f"{gradients[0]} ..., {settings}", got=got, expected=right,
                                likely=likely)


def check_no_decay(student):
    "without decay it is Adam"
    compare(student, "with decay=0 it is not Adam", [1.0, -2.0], [[0.5, 3.0], [-1.0, 2.0]],
            "decay=0 must change nothing", decay=0.0)


def check_no_gradient(student):
    "without a gradient there is only decay"
    for w in [1.0, -2.0], [100.0, 0.001]:
        got, right = run(student, w, [[0.0, 0.0]]), 0.999 * np.array(w)
        if np.array_equal(got, w):
            raise Wrong("without a gradient the weights do not decay", got=got, expected=right,
                        tried=f"weights {w}, gradient 0, lr 0.01, decay 0.1")
        if np.abs(got - right).max() > 1e-12:
            raise Wrong("without a gradient the weights decay by the wrong amount", got=got,
                        expected=right, tried=f"weights {w}, gradient 0, lr 0.01, decay 0.1",
                        likely="the fraction lr · decay = 0.001 of each weight, large or small, is "
                               "taken away")


def check_any_gradient(student):
    "the decay does not depend on the gradient"
    steps = [[1e-3, 1e3], [-2e-3, -2e3], [1e-3, 1e3]]
    with_decay, without = run(student, [1.0, 1.0], steps), run(student, [1.0, 1.0], steps,
                                                               decay=0.0)
    taken = without - with_decay
    if np.ptp(taken) > 1e-6:
        raise Wrong("two weights decay differently", got=taken,
                    tried="two weights of 1, gradients of about 1e-3 and 1e3, decay 0.1 against 0",
                    expected="the same amount for both",
                    likely="what is added to the gradient is divided by its size √v̂ like the rest")


def check_order(student):
    "twenty steps"
    gradients = np.random.default_rng(0).standard_normal((20, 2)).tolist()
    compare(student, "twenty steps end at the wrong weights", [1.0, -3.0], gradients,
            "decay once in each step, of the weight as it was before the step", lr=0.1)


EXERCISE = Exercise(
    name="museum_decay", title="Weight decay that depends on the gradient", group="museum",
    notebook="07_optimizers", page="nanollm/exercises/pages/museum_decay.py",
    broken=(("        w *= 1 - self.lr * self.decay\n", "        dw = dw + self.decay * w\n"),),
    checks=(check_no_decay, check_no_gradient, check_any_gradient, check_order),
    hints=(
        ("Take a weight whose gradient is 0. By how much does it shrink in one step, and by how "
         "much should it?",
         "取一个梯度为 0 的权重。一步之后它缩小了多少，应该缩小多少？"),
        ("Follow decay · w through m and v. What is it divided by in the end?",
         "跟着 decay · w 走一遍 m 和 v。它最后被除以什么？"),
        ("The W of AdamW: the decay stays out of the gradient. w *= 1 - lr · decay, before the "
         "step.",
         "AdamW 的 W 就是：衰减不进入梯度。在更新之前做 w *= 1 - lr · decay。")),
    thread="https://github.com/nntrainer/nntrainer/pull/3565",
    explanation="""\
Cause     decay · w is added to the gradient: L2 regularization. Under Adam it is divided by √v̂
          with the rest, so that the decay depends on the size of the gradient. Without a gradient
          the step is a whole lr, whatever the weight.
Hidden    For plain gradient descent both are the same, and the name of the setting is the same too.
Found     It diverged on simple tasks (MNIST) on which Adam converged.
Repair    Loshchilov & Hutter 2019 (arXiv 1711.05101), algorithm 2: shrink w, apart from the
          gradient.
Thread    nntrainer/nntrainer PR #3565, "Fix AdamW logic and apply decoupled weight decay" (merged).
          huggingface/transformers#14539 reports another slip: the decay of the weight after the
          step in place of the weight before it.""")

"""The museum: a first step that is too long."""

import numpy as np

from nanollm.exercises.spec import Exercise, Wrong, call, expect


def problem():
    r = np.random.default_rng(0)
    x, w = r.standard_normal((8, 3)), np.array([1.0, -2.0, 0.5])
    return x, x @ w, np.zeros(3)


def descent(x, y, w, steps, lr):
    """(size of the first gradient, losses, weights) as they must be."""
    losses, sizes = [], []
    for _ in range(steps):
        error = x @ w - y
        dw = 2 * x.T @ error / len(y)
        losses.append(float((error ** 2).mean()))
        sizes.append(float(np.abs(dw).max()))
        w = w - lr * dw
    return sizes[0], losses, w


def check_size(student):
    "the size of the first gradient"
    x, y, w = problem()
    size, _ = call(student.train, student.Linear(w), x, y, steps=2, lr=0.1)
    expect("the size of the first gradient", size, descent(x, y, w, 2, 0.1)[0],
           likely="`train` looks at the gradient before the first step, and reports its size")


def check_losses(student):
    "the loss before each step"
    x, y, w = problem()
    model = student.Linear(w)
    _, losses = call(student.train, model, x, y, steps=6, lr=0.1)
    _, want, weights = descent(x, y, w, 6, 0.1)
    if len(losses) == 6 and np.allclose(losses[0], losses):
        raise Wrong("the weights do not move", got=str(np.round(losses, 4).tolist()),
                    expected=str(np.round(want, 4).tolist()),
                    likely="what does dw hold when the step is made?")
    for n, (got, right) in enumerate(zip(losses, want)):
        if not np.isclose(got, right, rtol=1e-9):
            raise Wrong(f"the loss after step {n} is wrong; before it all is right",
                        got=str(np.round(losses, 4).tolist()),
                        expected=str(np.round(want, 4).tolist()),
                        likely="print dw just before each step, and compare it with the gradient "
                               "that one\ncall of backward gives")
    expect("w after 6 steps", model.w, weights)


def check_parts(student):
    "several calls of backward make one batch"
    x, y, w = problem()
    model = student.Linear(w)
    for part in slice(0, 4), slice(4, 8):
        model.backward(x[part], y[part])
    whole = student.Linear(w)
    whole.backward(x, y)
    expect("dw after two halves of a batch", model.dw, 2 * whole.dw,
           likely="backward adds to dw, it does not replace it: that is how parts make a batch")


def check_two_runs(student):
    "training goes on where it stopped"
    x, y, w = problem()
    model = student.Linear(w)
    for _ in range(2):
        call(student.train, model, x, y, steps=3, lr=0.1)
    expect("w after 3 steps and 3 more", model.w, descent(x, y, w, 6, 0.1)[2],
           likely="each call of train looks at the gradient first; nothing of it may be left in dw "
                  "when\nthe step is made")


EXERCISE = Exercise(
    name="museum_stale", title="A first step that is too long", group="museum",
    notebook="07_optimizers", page="nanollm/exercises/pages/museum_stale.py",
    broken=(("""\
        model.dw[...] = 0
        losses.append(model.backward(x, y))
        model.w -= lr * model.dw
""", """\
        losses.append(model.backward(x, y))
        model.w -= lr * model.dw
        model.dw[...] = 0
"""),),
    checks=(check_size, check_losses, check_parts, check_two_runs),
    hints=(
        ("Only the first step is wrong. What has happened before it that happens before no other?",
         "只有第一步是错的。在它之前发生了什么，而在其他步之前没有发生？"),
        ("Print model.dw at the top of the loop, in the first and in the second round.",
         "在循环开头打印 model.dw，看第一轮和第二轮各是多少。"),
        ("The buffer must be empty when backward begins: set dw to 0 before the call, not after "
         "the step.",
         "backward 开始时缓冲区必须是空的：应在调用之前把 dw 置 0，而不是在更新之后。")),
    thread="https://github.com/karpathy/llm.c/pull/548",
    explanation="""\
Cause     The buffer is emptied at the end of each round. The look at the gradient before the loop
          leaves its own in the buffer, and the first step is made with the sum of two.
Hidden    From the second step on everything is right, and training forgives one step that is twice
          as long. Nobody sees it who does not compare with another program step by step.
Found     By comparing the losses of the C program and of PyTorch: they parted after the first step.
Repair    Empty the buffer right before the gradient is computed.
Thread    karpathy/llm.c PR #548, "Fix zero grads bug" (merged): backward runs before the first
          zero_grad, and the gradients of the first step are deposited twice.""")

"""The museum: a fit that predicts the mean."""

import numpy as np

from nanollm.exercises.spec import Exercise, Wrong, call, expect

X = np.array([[-1.0, 0.5], [0.0, -1.0], [1.0, 0.25], [2.0, 1.0]])


def check_loss(student):
    "the loss of given weights, by hand"
    x, y = np.array([[0.0], [1.0]]), np.array([0.0, 2.0])
    for w, want in (2.0, 0.0), (0.0, 2.0), (1.0, 0.5):
        loss = call(student.loss_of, student.Tensor(np.array([[w]])), student.Tensor(np.zeros(1)),
                    x, y)
        if loss.data.size != 1:
            raise Wrong("the loss is not one number", got=f"shape {loss.shape}")
        got = float(loss.numpy())
        if abs(got - want) > 1e-9:
            raise Wrong("the loss is wrong", got=got, expected=want, likely=likely(got, w * x, y),
                        tried=f"the points (0, 0) and (1, 2), and the line y = {w:g} x")


def likely(got, predicted, y):
    """What a wrong loss of these predictions (N, 1) suggests."""
    own = predicted[:, 0]
    for value, words in (
            (((predicted - y) ** 2).mean(), "print the shape of everything between x and the loss"),
            (((own - y) ** 2).sum(), "a sum for a mean"),
            (((own + y) ** 2).mean(), "the prediction minus y, not plus: a sign")):
        if abs(got - value) < 1e-9:
            return words
    return "prediction n belongs to y[n], and to no other"


def check_order(student):
    "each prediction is compared with its own y"
    x, y = np.arange(3.0)[:, None], np.array([5.0, 1.0, 3.0])
    w = student.Tensor(np.array([[1.0]]))
    got = float(call(student.loss_of, w, student.Tensor(np.zeros(1)), x, y).numpy())
    expect("the loss", got, ((x[:, 0] - y) ** 2).mean(), tried={"x w": x[:, 0], "y": y},
           likely=likely(got, x, y))


def check_fit(student):
    "points on a plane are fitted exactly"
    y = X @ [2.0, -3.0] + 0.5
    w, b, losses = call(student.fit, X, y, steps=400)
    if losses[-1] > 1e-6:
        raise Wrong("the loss stands still far from 0", tried="y = 2 x_0 - 3 x_1 + 0.5, 4 points",
                    got=f"w = {np.round(w, 3)}, b = {b:.3f}, loss {losses[-1]:.4f}",
                    expected="w = [2, -3], b = 0.5, loss 0",
                    likely="with points, not with one number, is y compared with its own x?")
    expect("w", w, np.array([2.0, -3.0]), tol=1e-2)


EXERCISE = Exercise(
    name="museum_broadcast", title="A fit that predicts the mean", group="museum",
    notebook="05_gradients", page="nanollm/exercises/pages/museum_broadcast.py",
    broken=(("F.add(predicted, -y[:, None])", "F.add(predicted, -y)         "),),
    checks=(check_loss, check_order, check_fit),
    environment={"NANOLLM_BACKEND": "numpy"},
    hints=(
        ("No error, no warning, a wrong number: look at shapes, not at formulas.",
         "没有报错，没有警告，只是数不对：要看形状，而不是公式。"),
        ("Print error.shape for 4 points. How many differences are there, and how many should "
         "there be?",
         "用 4 个点，打印 error.shape。一共有多少个差，应该有多少个？"),
        ("(N, 1) with (N,) broadcasts to (N, N): every prediction with every y. Give y a last "
         "axis, y[:, None], or take it from the prediction.",
         "(N, 1) 与 (N,) 会广播成 (N, N)：每个预测都和每个 y 相减。给 y 加上最后一个轴 y[:, None]，"
         "或者去掉预测的那个轴。")),
    thread="https://github.com/pytorch/pytorch/issues/16045",
    explanation="""\
Cause     The prediction is (N, 1), the target (N,). Their difference broadcasts to (N, N): every
          prediction is compared with every target, and the best single answer to all targets is
          their mean.
Hidden    It is a legal operation; the mean of an (N, N) array is one number like any other, and it
          falls.
Found     On data where the answer is known: a line through points that lie on a line.
Repair    Equal shapes: y[:, None], or the prediction without its last axis.
Thread    pytorch/pytorch#16045: a linear regression that does not converge, predictions (100, 1)
          and targets (100,); in #19991 a maintainer says that release 1.1 warns of it.
          HIPS/Kayak#14: 77 targets, and an L2 loss over all 77² combinations.""")

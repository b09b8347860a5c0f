"""The tape: write down every op, read the list backwards."""

import numpy as np

from nanollm.errors import InputError
from nanollm.exercises.spec import Exercise, Wrong, call, expect


def number(student, value, name=""):
    return student.Tensor(np.array(float(value)), name)


def gradient(tape, loss, wrt, likely, **settings):
    """The student's gradients; Wrong with `likely` where a gradient that exists is not found."""
    try:
        grads = call(tape.gradient, loss, wrt, **settings)
    except InputError as error:
        raise Wrong("a gradient is not found, though the loss depends on the tensor",
                    got=f"InputError: {error}", tried=str(tape), likely=likely) from None
    except (KeyError, TypeError, ValueError) as error:
        error.tried, error.likely = str(tape), likely
        raise
    if not (isinstance(grads, list | tuple) and len(grads) == len(wrt)):
        raise Wrong("gradient does not return one array for each tensor asked for", got=str(grads),
                    expected=f"a list of {len(wrt)} arrays")
    return grads


def check_apply(student):
    "apply computes, with or without a tape"
    a, b = number(student, 3, "a"), number(student, 4, "b")
    y = call(student.apply, "mul", a, b)
    if not isinstance(y, student.Tensor):
        raise Wrong("apply returns no Tensor", got=type(y).__name__, expected="Tensor",
                    likely="the op gives (y, saved): wrap y, keep saved for the line")
    expect("apply('mul', a, b).data", y.data, 12.0, tried={"a": 3.0, "b": 4.0})
    parts = call(student.apply, "split", student.Tensor(np.arange(4.0)), parts=2)
    if not (isinstance(parts, tuple) and len(parts) == 2):
        raise Wrong("an op with two results does not give a tuple of two tensors",
                    tried="apply('split', x, parts=2)", got=type(parts).__name__,
                    expected="(Tensor, Tensor)")
    plain = call(student.apply, "mul", a, np.array(2.0))
    expect("apply with a plain array", plain.data, 6.0,
           likely="x.data of a Tensor; an array goes in as it is")


def check_lines(student):
    "each op is one line"
    a, b = number(student, 3, "a"), number(student, 4, "b")
    with student.Tape() as tape:
        y = student.apply("mul", a, b)
        z = student.apply("add", y, a)
    student.apply("add", z, z)
    if len(tape.lines) != 2:
        raise Wrong("the tape has the wrong number of lines", got=len(tape.lines), expected=2,
                    tried="mul and add inside the block, one more add behind it",
                    likely="append one Line to the open tape for each op; none where no tape is "
                           "open")
    line = tape.lines[0]
    for part, want in ("op", "mul"), ("inputs", (a, b)), ("outputs", (y,)):
        got = getattr(line, part)
        if got != want:
            raise Wrong(f"the {part} of the first line are wrong", got=str(got), expected=str(want),
                        likely="the tensors themselves, not copies and not their data: the tape "
                               "knows\na tensor by its identity")


def check_innermost(student):
    "of two open tapes the inner one is written"
    a = number(student, 3, "a")
    with student.Tape() as outer:
        student.apply("mul", a, a)
        with student.Tape() as inner:
            student.apply("mul", a, a)
    if (len(outer.lines), len(inner.lines)) != (1, 1):
        raise Wrong("an op inside two tapes is written on the wrong one",
                    got=f"{len(outer.lines)} lines outside, {len(inner.lines)} inside",
                    expected="1 and 1", likely="the innermost open tape is the last: "
                                               "_open.get()[-1]")


def check_by_hand(student):
    "a product and a sum, by hand"
    a, b = number(student, 3, "a"), number(student, 4, "b")
    with student.Tape() as tape:
        loss = student.apply("mul", student.apply("add", a, b), b)      # (a + b) b
    likely = "the list is read from its end, where the loss is"
    da, db = gradient(tape, loss, [a, b], likely)
    tried = {"loss": "(a + b) b", "a": 3.0, "b": 4.0}
    expect("dloss/da", da, 4.0, tried=tried, likely=likely)
    expect("dloss/db", db, 11.0, tried=tried,
           likely="b is used twice: its contributions (a + b) = 7 and b = 4 add up")


def check_used_twice(student):
    "a tensor that is used again"
    x = number(student, 3, "x")
    for op, want in ("mul", 6.0), ("add", 2.0):
        with student.Tape() as tape:
            loss = student.apply(op, x, x)
        likely = "both inputs are x: add the second contribution to the first, do not replace it"
        (dx,) = gradient(tape, loss, [x], likely)
        expect("dloss/dx", dx, want, tried={"loss": f"{op}(x, x)", "x": 3.0}, likely=likely)


def check_again(student):
    "asked twice, the tape answers twice"
    x = number(student, 3, "x")
    with student.Tape() as tape:
        y = student.apply("mul", x, x)
        loss = student.apply("mul", y, y)
    likely = "the gradients are made anew in each call, and without tear=True the lines stay"
    for which in "first", "second":
        (dx,) = gradient(tape, loss, [x], likely)
        expect(f"the {which} answer of one tape", dx, 108.0, tried={"loss": "x⁴", "x": 3.0},
               likely=likely)
    gradient(tape, loss, [x], likely, tear=True)
    if tape.lines:
        raise Wrong("with tear=True lines are left", got=f"{len(tape.lines)} lines",
                    expected="none",
                    likely="take each line off the tape's own list")


def check_intermediate(student):
    "the gradient of a tensor on the way"
    x = number(student, 3, "x")
    with student.Tape() as tape:
        y = student.apply("mul", x, x)
        loss = student.apply("mul", y, y)
    likely = ("an output's gradient may be thrown away once its line is read, but not if it is in "
              "`wrt`")
    dy, dx = gradient(tape, loss, [y, x], likely)
    expect("dloss/dy", dy, 18.0, tried={"loss": "y y, y = x x", "x": 3.0}, likely=likely)
    expect("dloss/dx", dx, 108.0)
    likely = "the start of everything is dloss/dloss = 1, in loss's shape"
    (dloss,) = gradient(tape, loss, [loss], likely)
    expect("dloss/dloss", dloss, 1.0, likely=likely)


def check_shared_array(student):
    "a gradient changes no other"
    x = student.Tensor(np.array([1.0, 2, 3]), "x")
    with student.Tape() as tape:
        y = student.apply("mul", x, x)
        z = student.apply("add", y, x)                  # add hands one array to both
        loss = student.apply("sum", z)
    likely = ("an array may be the gradient of two tensors, so `known += dx` changes both:\nwrite "
              "known + dx")
    dx, dy, dz = gradient(tape, loss, [x, y, z], likely)
    tried = {"loss": "sum(z), z = y + x, y = x x", "x": x.data}
    for name, got, want in ("dx", dx, [3.0, 5, 7]), ("dy", dy, [1.0] * 3), ("dz", dz, [1.0] * 3):
        expect(f"dloss/{name}", got, np.array(want), tried=tried, likely=likely)


def check_two_outputs(student):
    "of an op with two results only one is used"
    x = student.Tensor(np.arange(4.0), "x")
    with student.Tape() as tape:
        left, _ = student.apply("split", x, parts=2)
        loss = student.apply("sum", left)
    likely = ("the gradient of a result that nobody used is zero, in its shape; only if all are "
              "missing\ncan the line be skipped")
    (dx,) = gradient(tape, loss, [x], likely)
    expect("dloss/dx", dx, np.array([1.0, 1, 0, 0]), tried={"loss": "sum of split(x, parts=2)[0]"},
           likely=likely)


def check_unused(student):
    "lines that the loss does not depend on"
    x, z = number(student, 3, "x"), number(student, 5, "z")
    with student.Tape() as tape:
        loss = student.apply("mul", x, x)
        student.apply("mul", x, z)
    likely = "a line none of whose outputs has a gradient is skipped"
    (dx,) = gradient(tape, loss, [x], likely)
    expect("dloss/dx", dx, 6.0, tried={"loss": "x x", "also": "x z on the tape, used nowhere"},
           likely=likely)
    with student.Tape() as tape:
        loss = student.apply("mul", x, x)
    for wrt in [z], [x, z]:
        expect_error(tape, loss, wrt, "the loss does not depend on what is asked for")


def check_not_a_number(student):
    "a loss that is not one number"
    x = student.Tensor(np.arange(3.0), "x")
    with student.Tape() as tape:
        y = student.apply("mul", x, x)
    expect_error(tape, y, [x], "the loss has 3 entries")


def expect_error(tape, loss, wrt, what):
    try:
        got = tape.gradient(loss, wrt)
    except InputError:
        return
    except Exception as error:
        raise Wrong(f"{what}, and the error does not say so",
                    got=f"{type(error).__name__}: {error}",
                    expected="InputError") from None
    raise Wrong(f"{what}, and no error is raised", got=str(got), expected="InputError",
                likely="the docstring says when it is raised")


def check_constants(student):
    "plain arrays and None get no gradient"
    w = student.Tensor(np.arange(6.0).reshape(3, 2), "w")
    with student.Tape() as tape:
        y = student.apply("embedding", np.array([0, 2, 0]), w)
        loss = student.apply("sum", student.apply("linear", y, w.constant(np.eye(2)), None))
    likely = "only a Tensor gets a gradient, and only where dx is not None"
    (dw,) = gradient(tape, loss, [w], likely)
    expect("dloss/dw", dw, np.array([[2.0, 2], [0, 0], [1, 1]]), tried={"ids": "0 2 0"},
           likely=likely)
    ids = student.Tensor(np.array([0, 2, 0]), "ids")
    with student.Tape() as tape:
        loss = student.apply("sum", student.apply("embedding", ids, w))
    expect_error(tape, loss, [ids], "ids have no gradient")


def check_dtype(student):
    "float32 stays float32"
    x = student.Tensor(np.ones((2, 2), np.float32), "x")
    with student.Tape() as tape:
        loss = student.apply("mean", student.apply("mul", x, x))
    likely = "the first gradient, 1, is made with the loss's dtype"
    (dx,) = gradient(tape, loss, [x], likely)
    expect("dloss/dx", dx, np.full((2, 2), 0.5), dtype=np.float32, tol=1e-6, likely=likely)


def check_network(student):
    "a small network, against finite differences"
    r = np.random.default_rng(0)
    x = r.standard_normal((4, 3))
    w = student.Tensor(r.standard_normal((3, 3)), "w")

    def loss():
        h = x
        for _ in range(3):                          # w is shared: three contributions
            h = student.apply("tanh", student.apply("linear", h, w, None))
        return student.apply("mean", student.apply("mul", h, h))

    with student.Tape() as tape:
        y = loss()
    (dw,) = gradient(tape, y, [w], "w is shared by three layers: its contributions add up")
    want = np.zeros_like(dw)
    for at in np.ndindex(dw.shape):
        kept, sides = w.data[at], []
        for step in 1e-6, -1e-6:
            w.data[at] = kept + step
            sides.append(float(loss().data))
        w.data[at] = kept
        want[at] = (sides[0] - sides[1]) / 2e-6
    expect("dloss/dw of tanh(tanh(tanh(x w) w) w)", dw, want, tol=1e-7)


EXERCISE = Exercise(
    name="tape", title="The tape: backpropagation as a list", group="pieces",
    notebook="06_tape", page="nanollm/tape.py", blanks=("Tape.gradient", "apply"),
    environment={"NANOLLM_BACKEND": "numpy"},
    checks=(check_apply, check_lines, check_innermost, check_by_hand, check_used_twice, check_again,
            check_intermediate, check_shared_array, check_two_outputs, check_unused,
            check_not_a_number, check_constants, check_dtype, check_network),
    hints=(
        ("apply: look the op up, run it on the arrays, wrap the results, and if a tape is open "
         "append one Line. gradient: a dict from id(tensor) to its gradient, which starts with the "
         "loss; walk the lines from the last to the first.",
         "apply：查到算子，用数组运行它，把结果包成 Tensor；如果有打开的 tape，就追加一个 Line。"
         "gradient：用一个从 id(张量) 到梯度的字典，起点是 loss；从最后一行往前走。"),
        ("At each line: take the gradients of its outputs from the dict (zeros for a missing one; "
         "skip the line if all are missing), call line.backward(dy, line.saved), and add each dx "
         "to what is known of its input. One output: dy is an array, several: a tuple.",
         "对每一行：从字典取出各输出的梯度（缺的补零；全都缺就跳过这一行），调用 "
         "line.backward(dy, line.saved)，再把每个 dx 加到对应输入已有的梯度上。"
         "只有一个输出时 dy 是数组，多个时是元组。"),
        ("grads = {id(loss): kernels.ones(loss.shape, loss.dtype)} with kernels = "
         "backend.module(); grads[id(x)] = dx if id(x) is new else kernels.add(known, dx)[0]; in "
         "the end [grads[id(t)] for t in wrt], and InputError for a t that is not there.",
         "grads = {id(loss): kernels.ones(loss.shape, loss.dtype)}，其中 kernels = "
         "backend.module()；"
         "若 id(x) 是新的则 grads[id(x)] = dx，否则 kernels.add(known, dx)[0]；"
         "最后返回 [grads[id(t)] for t in wrt]，缺哪个 t 就抛 InputError。"),
    ))

"""The tape: write down every op, read the list backwards."""

import copy
import gc
import weakref
from collections import Counter

import numpy as np

from nanollm.errors import InputError
from nanollm.exercises.spec import Exercise, Wrong, call, expect, kind
from nanollm.exercises.stubs import WRITE_ME

FROM_ITS_END = "the list is read from its end, where the loss is"
EACH_INPUT = "each input of a line gets its own dx: zip(line.inputs, dxs)"


def number(student, value, name=""):
    return student.Tensor(np.array(float(value)), name)


def apply(student, op, *inputs, **settings):
    """What the student's apply returns; what it raises is told with a likely cause."""
    try:
        return call(student.apply, op, *inputs, **settings)
    except Exception as error:
        if "Tensor" in str(error):
            error.likely = "an op computes with arrays: of a Tensor it is given x.data"
        elif "keyword" in str(error):
            error.likely = "the settings go to the forward as they are: forward(..., **settings)"
        elif not student.recording() and (isinstance(error, IndexError)
                                          or "NoneType" in str(error)):
            error.likely = "no tape is open here: _open.get() is (), and nothing is written down"
        raise


def watch(tape):
    """A list that is told of each line of the tape that is read: (number, dy, saved, dxs)."""
    def watched(n, line):
        def backward(dy, saved):
            reading = [n, copy.deepcopy(dy), saved, None]
            seen.append(reading)
            dxs = line.backward(dy, saved)
            reading[3] = copy.deepcopy(dxs)
            return dxs
        return line._replace(backward=backward)

    seen = []
    tape.lines[:] = [watched(n, line) for n, line in enumerate(tape.lines)]
    return seen


def dy_of(y, loss, known, where):
    """(what it is, its value, how it is made) of the dy that an output of a line must be given."""
    if y is loss:
        what, how = "∂loss/∂loss, the first gradient,", (
            "1 in the loss's shape and dtype: kernels.ones(loss.shape, loss.dtype),\nwith kernels "
            "= backend.module()")
    elif id(y) not in known:
        what, how = f"the dy of {where} for an output that nobody used", (
            "zeros in its shape and dtype: kernels.zeros(y.shape, y.dtype),\nwith kernels = "
            "backend.module()")
    else:
        what, how = f"the dy of {where}", (
            "what later lines have given to the line's own output, added up; ∂loss/∂loss = 1\nis "
            "the dy of the line that made the loss alone")
    return what, known.get(id(y), np.zeros(y.shape, y.dtype)), how


def misread(lines, loss, seen, tried):
    """Wrong if a line was read twice or too early, or its backward was not given what it needs."""
    for n, times in Counter(n for n, *_ in seen).items():
        if times > 1:
            raise Wrong(f"line {n} ({lines[n].op}) is read more than once", tried=tried,
                        got=f"{times} times", expected="once",
                        likely="no search from the loss along all paths, which may be 2ⁿ: walk the "
                               "list once,\nfrom its end; by then a line's dy is complete")
    known = {id(loss): np.ones(loss.shape, loss.dtype)}         # the gradients as they come in
    used = []
    for n, dy, saved, dxs in seen:
        line, where = lines[n], f"line {n} ({lines[n].op})"
        if saved is not line.saved:
            raise Wrong(f"the backward of {where} is not given what the line saved", tried=tried,
                        got=kind(saved), expected=kind(line.saved),
                        likely="line.backward(dy, line.saved)")
        several = len(line.outputs) > 1
        if several != isinstance(dy, list | tuple) or several and len(dy) != len(line.outputs):
            raise Wrong(f"the backward of {where} is given another dy than it takes", tried=tried,
                        got=kind(dy), expected=f"a tuple of {len(line.outputs)}" if several else
                        "an array", likely="of one output dy is the array itself, of several it "
                                           "is a tuple")
        for y, given in zip(line.outputs, dy if several else (dy,)):
            what, right, likely = dy_of(y, loss, known, where)
            if not isinstance(given, np.ndarray | np.generic) or given.shape != y.shape:
                raise Wrong(f"{what} is no array of its shape", tried=tried, got=kind(given),
                            expected=kind(right), likely=likely)
            if given.dtype != y.dtype:
                raise Wrong(f"{what} has the wrong dtype", tried=tried, got=str(given.dtype),
                            expected=str(y.dtype), likely=likely)
            if not np.allclose(given, right):
                raise Wrong(f"{what} is wrong", tried=tried, got=given, expected=right,
                            likely=likely)
            used.append((where, y, right))
        for x, dx in zip(line.inputs, dxs or ()):
            if dx is not None:
                known[id(x)] = known[id(x)] + dx if id(x) in known else dx
    for where, y, right in used:
        if not np.array_equal(known.get(id(y), right), right):
            raise Wrong(f"{where} is read before its dy is complete", tried=tried, got=right,
                        expected=known[id(y)], likely=FROM_ITS_END)


def unread(lines, seen):
    """What is likely where a gradient is not found, by the lines that were read."""
    if not seen:
        return "for each line, from the last to the first: dxs = line.backward(dy, line.saved)"
    if len(seen) == len(lines):
        return EACH_INPUT
    return f"{FROM_ITS_END};\nand {EACH_INPUT}"


def gradient(tape, loss, wrt, likely=None, **settings):
    """The student's gradients; Wrong if lines are misread, or a gradient that exists is not found.

    Without `likely` what is likely is told by the lines that were read.
    """
    tried, lines, seen = str(tape), list(tape.lines), watch(tape)
    try:
        grads = call(tape.gradient, loss, wrt, **settings)
    except Exception as error:
        misread(lines, loss, seen, tried)
        if isinstance(error, InputError | KeyError):
            likely = likely or unread(lines, seen)
        elif "'Tensor' object has no attribute" in str(error):
            likely = "a Tensor has data and name alone: gradients stand in a dict, by id(tensor)"
        if isinstance(error, InputError):
            raise Wrong("a gradient is not found, though the loss depends on the tensor",
                        got=f"InputError: {error}", tried=tried, likely=likely) from None
        error.tried, error.likely = tried, likely
        raise
    misread(lines, loss, seen, tried)
    if not (isinstance(grads, list | tuple) and len(grads) == len(wrt)):
        raise Wrong("gradient does not return one array for each tensor asked for", got=str(grads),
                    expected="a list")
    for grad in grads:
        if not isinstance(grad, np.ndarray | np.generic):
            raise Wrong("gradient does not return arrays", got=kind(grad), tried=tried,
                        expected="an array", likely=likely or "dy and dx are plain arrays, and so "
                                                              "is what is returned: no Tensor")
    return grads


def check_apply(student):
    "apply computes, with or without a tape"
    a, b = number(student, 3, "a"), number(student, 4, "b")
    y = apply(student, "mul", a, b)
    if not isinstance(y, student.Tensor):
        likely = "the op gives (y, saved): wrap y in a Tensor, saved is for the line"
        if isinstance(y, tuple) and len(y) == 1:
            likely = "one output comes bare, as a Tensor; a tuple is returned where y is a tuple"
        raise Wrong("apply returns no Tensor", tried="apply('mul', a, b)", got=kind(y),
                    expected="a Tensor", likely=likely)
    expect("apply('mul', a, b).data", y.data, 12.0, tried={"a": 3.0, "b": 4.0})
    parts = apply(student, "split", student.Tensor(np.arange(4.0)), parts=2)
    if not (isinstance(parts, tuple) and len(parts) == 2
            and all(isinstance(part, student.Tensor) for part in parts)):
        raise Wrong("an op with two results does not give a tuple of two tensors",
                    tried="apply('split', x, parts=2)", got=kind(parts),
                    expected="(Tensor, Tensor)")
    plain = apply(student, "mul", a, np.array(2.0))
    expect("apply with a plain array", plain.data, 6.0,
           likely="x.data of a Tensor; an array goes in as it is")


def check_lines(student):
    "each op is one line"
    a, b = number(student, 3, "a"), number(student, 4, "b")
    with student.Tape() as tape:
        y = apply(student, "mul", a, b)
        z = apply(student, "add", y, a)
    apply(student, "add", z, z)
    if len(tape.lines) != 2:
        raise Wrong("the tape has the wrong number of lines", got=len(tape.lines), expected=2,
                    tried="mul and add inside the block, one more add behind it",
                    likely="append one Line to the open tape for each op; none where no tape is "
                           "open")
    line, fields = tape.lines[0], "Line(op, inputs, outputs, saved, backward)"
    if not isinstance(line, student.Line):
        raise Wrong("what stands on the tape is no Line", got=kind(line), expected=fields)
    if not callable(line.backward) or not isinstance(line.saved, tuple):
        raise Wrong("saved and backward of the first line are not what they should be",
                    got=f"backward is {kind(line.backward)}, saved is {kind(line.saved)}",
                    expected="backward is a function, saved is a tuple",
                    likely=f"the order of the fields: {fields};\ny, saved = forward(...)")
    if line.op != "mul":
        raise Wrong("the first line has the wrong op", got=str(line.op), expected="mul",
                    likely="the op's name, as apply is given it; the functions are found by it")
    for part, made, want in ("inputs", "apply was given", (a, b)), ("outputs", "it returned", (y,)):
        got = getattr(line, part)
        if not isinstance(got, tuple):
            raise Wrong(f"the {part} of the first line are no tuple", got=kind(got),
                        expected=f"a tuple of {len(want)}",
                        likely="one tensor, too, stands on its line in a tuple: (y,)")
        if len(got) != len(want) or any(g is not w for g, w in zip(got, want)):
            raise Wrong(f"the {part} of the first line are not what {made}", got=str(got),
                        expected=f"{want}, the same objects",
                        likely="the tensors themselves, not copies and not their data: the tape "
                               "knows\na tensor by its identity")


def check_innermost(student):
    "of two open tapes the inner one is written"
    a = number(student, 3, "a")
    with student.Tape() as outer:
        apply(student, "mul", a, a)
        with student.Tape() as inner:
            apply(student, "mul", a, a)
    if (len(outer.lines), len(inner.lines)) != (1, 1):
        raise Wrong("an op inside two tapes is not written on the inner one alone",
                    got=f"{len(outer.lines)} lines outside, {len(inner.lines)} inside",
                    expected="1 and 1", likely="on the innermost open tape, the last, and no "
                                               "other: _open.get()[-1]")


def check_by_hand(student):
    "a product and a sum, by hand"
    a, b = number(student, 3, "a"), number(student, 4, "b")
    tried = {"loss": "(a + b) b", "a": 3.0, "b": 4.0}
    for name, tensor, want in ("dloss/da", a, 4.0), ("dloss/db", b, 11.0):
        with student.Tape() as tape:
            loss = apply(student, "mul", apply(student, "add", a, b), b)
        (grad,) = gradient(tape, loss, [tensor])
        expect(name, grad, want, tried=tried, likely=tensor is b and (
            "b is used twice: its contributions (a + b) = 7 and b = 4 add up") or None)
    for wrt, want in ([a, b], [4.0, 11.0]), ([b, a], [11.0, 4.0]):
        with student.Tape() as tape:
            loss = apply(student, "mul", apply(student, "add", a, b), b)
        expect(f"gradient(loss, [{wrt[0].name}, {wrt[1].name}])",
               np.array(gradient(tape, loss, wrt)), want, tried=tried,
               likely="one gradient for each tensor of wrt, in the order of wrt")


def check_used_twice(student):
    "a tensor that is used again"
    x = number(student, 3, "x")
    for op, want in ("mul", 6.0), ("add", 2.0):
        with student.Tape() as tape:
            loss = apply(student, op, x, x)
        likely = "both inputs are x: add the second contribution to the first, do not replace it"
        (dx,) = gradient(tape, loss, [x], likely)
        expect("dloss/dx", dx, want, tried={"loss": f"{op}(x, x)", "x": 3.0}, likely=likely)


def check_again(student):
    "asked twice, the tape answers twice"
    x = number(student, 3, "x")
    with student.Tape() as tape:
        y = apply(student, "mul", x, x)
        loss = apply(student, "mul", y, y)
    likely = "the gradients are made anew in each call, and without tear=True the lines stay"
    for which in "first", "second":
        (dx,) = gradient(tape, loss, [x], likely)
        expect(f"the {which} answer of one tape", dx, 108.0, tried={"loss": "x⁴", "x": 3.0},
               likely=likely)


def check_intermediate(student):
    "the gradient of a tensor on the way"
    x = number(student, 3, "x")
    with student.Tape() as tape:
        y = apply(student, "mul", x, x)
        loss = apply(student, "mul", y, y)
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
        y = apply(student, "mul", x, x)
        z = apply(student, "add", y, x)                 # add hands one array to both
        loss = apply(student, "sum", z)
    likely = ("an array may be the gradient of two tensors, so `known += dx` changes both:\nwrite "
              "known + dx")
    dx, dy, dz = gradient(tape, loss, [x, y, z], likely)
    tried = {"loss": "sum(z), z = y + x, y = x x", "x": x.data}
    for name, got, want in ("dx", dx, [3.0, 5, 7]), ("dy", dy, [1.0] * 3), ("dz", dz, [1.0] * 3):
        expect(f"dloss/{name}", got, np.array(want), tried=tried, likely=likely)


def check_two_outputs(student):
    "of an op with two results only one is used"
    x = student.Tensor(np.arange(4, dtype=np.float32), "x")
    likely = ("the gradient of a result that nobody used is zero, in its shape; only if all are "
              "missing\ncan the line be skipped")
    for used, want in enumerate(([1, 1, 0, 0], [0, 0, 1, 1])):
        with student.Tape() as tape:
            loss = apply(student, "sum", apply(student, "split", x, parts=2)[used])
        (dx,) = gradient(tape, loss, [x], likely)
        expect("dloss/dx", dx, np.array(want, np.float32), dtype=np.float32, likely=likely,
               tried={"loss": f"sum of split(x, parts=2)[{used}]"})


def check_unused(student):
    "lines that the loss does not depend on"
    x, z = number(student, 3, "x"), number(student, 5, "z")
    with student.Tape() as tape:
        loss = apply(student, "mul", x, x)
        y = apply(student, "mul", x, z)
    likely = "a line none of whose outputs has a gradient is skipped"
    (dx,) = gradient(tape, loss, [x], likely)
    expect("dloss/dx", dx, 6.0, tried={"loss": "x x", "also": "x z on the tape, used nowhere"},
           likely=likely)
    what = "the loss does not depend on what is asked for"
    for wrt in [y], [number(student, 5)], [x, y]:
        expect_error(tape, loss, wrt, what, "before the answer is put together: is there a tensor "
                                            "in wrt that has\nno gradient?")
    expect_error(tape, loss, [z], what, f"{likely}, its backward not called: with\ndy = 0 the "
                                        "loss would seem to depend on what the line reads")


def check_not_a_number(student):
    "a loss that is not one number"
    x = student.Tensor(np.arange(3.0), "x")
    with student.Tape() as tape:
        y = apply(student, "mul", x, x)
        loss = apply(student, "sum", x, keepdims=True)
    expect_error(tape, y, [x], "the loss has 3 entries", "loss.data.size must be 1")
    (dx,) = gradient(tape, loss, [x], "a loss of shape (1,) has one entry, too: look at its size, "
                                      "not at its shape")
    expect("dloss/dx", dx, np.ones(3), tried={"loss": "sum(x, keepdims=True)"})


def expect_error(tape, loss, wrt, what, likely):
    """Wrong unless the student's gradient raises InputError."""
    try:
        got = tape.gradient(loss, wrt)
    except InputError:
        return
    except Exception as error:
        if str(error).endswith(WRITE_ME):
            raise
        raise Wrong(f"{what}, and another error is raised than InputError",
                    got=f"{type(error).__name__}: {error}", expected="InputError",
                    likely=likely if isinstance(error, KeyError | TypeError | AttributeError) else
                    "raise InputError(what is wrong): the page imports it") from None
    raise Wrong(f"{what}, and no error is raised", got=str(got), expected="InputError",
                likely=likely)


def check_constants(student):
    "plain arrays and None get no gradient"
    w = student.Tensor(np.arange(6.0).reshape(3, 2), "w")
    with student.Tape() as tape:
        y = apply(student, "embedding", np.array([0, 2, 0]), w)
        loss = apply(student, "sum", apply(student, "linear", y, w.constant(np.eye(2)), None))
    likely = "only a Tensor gets a gradient, and only where dx is not None"
    (dw,) = gradient(tape, loss, [w], likely)
    expect("dloss/dw", dw, np.array([[2.0, 2], [0, 0], [1, 1]]), tried={"ids": "0 2 0"},
           likely=likely)
    ids = student.Tensor(np.array([0, 2, 0]), "ids")
    with student.Tape() as tape:
        loss = apply(student, "sum", apply(student, "embedding", ids, w))
    (dw,) = gradient(tape, loss, [w], "dx is None where an input has no gradient: skip it")
    expect_error(tape, loss, [ids], "ids have no gradient",
                 "their dx is None: skip it, so that nothing is kept for them")


def check_dtype(student):
    "float32 stays float32"
    x = student.Tensor(np.ones((2, 2), np.float32), "x")
    with student.Tape() as tape:
        loss = apply(student, "mean", apply(student, "mul", x, x))
    likely = "a gradient has its tensor's dtype, from the first one, 1, on"
    (dx,) = gradient(tape, loss, [x], likely)
    expect("dloss/dx", dx, np.full((2, 2), 0.5), dtype=np.float32, tol=1e-6, likely=likely)


def check_tear(student):
    "torn, the tape gives back what each line saved"
    tape, kept, held, left = student.Tape(), [], [], []

    def backward(dy, saved):
        gc.collect()
        held.append([n for n, array in enumerate(kept) if array() is not None])
        left.append(len(tape.lines))
        return (dy,)

    tensors = [number(student, n, f"x{n}") for n in range(6)]
    for x, y in zip(tensors, tensors[1:]):
        saved = np.zeros(3)
        kept.append(weakref.ref(saved))
        tape.lines.append(student.Line("step", (x,), (y,), (saved,), backward))
        del saved
    tried = "gradient(x4, [x0], tear=True) of x1 = step(x0), ..., x5 = step(x4)"
    try:
        (dx,) = call(tape.gradient, tensors[4], tensors[:1], tear=True)     # the last: not used
    except InputError as error:
        raise Wrong("with tear=True a gradient is not found", tried=tried,
                    got=f"InputError: {error}", expected="the same as without",
                    likely="a `for` over a list that loses entries skips some: while self.lines:"
                           "\nline = self.lines.pop()") from None
    expect("dx4/dx0", dx, 1.0, tried=tried)
    if tape.lines:
        passed = len(tape.lines) == 1 and "a line that is passed over is removed, too"
        raise Wrong("with tear=True lines are left", got=f"{len(tape.lines)} of 5", tried=tried,
                    expected="none", likely=passed or "take each line off the tape's own list")
    if max(held[-1]) > 1:                                           # the line before may linger
        raise Wrong("with tear=True nothing is freed while the tape is read", tried=tried,
                    got=f"when line 0 is read, what lines {held[-1]} saved is in memory",
                    expected="what line 0 saved",
                    likely="each line is taken off when it is read, not all at the end:\n"
                           "line = self.lines.pop()" if left[-1] > 2 else
                           "a copy of the list still holds its lines: while there are lines,\n"
                           "line = self.lines.pop()")


def check_long(student):
    "many paths, and a long tape"
    x = number(student, 3, "x")
    with student.Tape() as tape:
        h = x
        for _ in range(10):
            h = apply(student, "add", h, h)
    (dx,) = gradient(tape, h, [x])
    expect("dloss/dx", dx, 1024.0, tried={"loss": "h = h + h, ten times, from x"})
    with student.Tape() as tape:
        for _ in range(5000):
            x = student.apply("add", x, np.array(1.0))
    try:
        call(tape.gradient, x, [tape.lines[0].inputs[0]])
    except RecursionError:
        raise Wrong("gradient fails on a long tape", tried="h = h + 1, 5,000 times",
                    got="RecursionError", expected="no recursion, at any length",
                    likely="the lines are in order already: a loop over the list, from its "
                           "end") from None


def check_network(student):
    "a small network, against finite differences"
    r = np.random.default_rng(0)
    x = r.standard_normal((4, 3))
    w = student.Tensor(r.standard_normal((3, 3)), "w")

    def loss():
        h = x
        for _ in range(3):                          # w is shared: three contributions
            h = apply(student, "tanh", apply(student, "linear", h, w, None))
        return apply(student, "mean", apply(student, "mul", h, h))

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
            check_not_a_number, check_constants, check_dtype, check_tear, check_long,
            check_network),
    hints=(
        ("apply: look the op up, run it on the arrays, wrap the results, and if a tape is open "
         "append one Line to the innermost. gradient: a dict from id(tensor) to its gradient, "
         "which starts with the loss; walk the lines from the last to the first.",
         "apply：查到算子，用数组运行它，把结果包成 Tensor；"
         "如果有打开的 tape，就在最内层的 tape 上追加一个 Line。"
         "gradient：用一个从 id(张量) 到梯度的字典，起点是 loss；从最后一行往前走。"),
        ("At each line: take the gradients of its outputs from the dict (zeros for a missing one; "
         "skip the line if all are missing), call line.backward(dy, line.saved), and add each dx "
         "to what is known of its input. One output: dy is an array, several: a tuple. With tear "
         "take each line off self.lines itself; no copy of the list may hold it.",
         "对每一行：从字典取出各输出的梯度（缺的补零；全都缺就跳过这一行），调用 "
         "line.backward(dy, line.saved)，再把每个 dx 加到对应输入已有的梯度上。"
         "只有一个输出时 dy 是数组，多个时是元组。"
         "tear 为真时，读一行就从 self.lines 本身取走一行，不要留着列表的副本。"),
        ("grads = {id(loss): kernels.ones(loss.shape, loss.dtype)} with kernels = "
         "backend.module(); grads[id(x)] = dx if id(x) is new else kernels.add(known, dx)[0]; in "
         "the end [grads[id(t)] for t in wrt], and InputError for a t that is not there.",
         "grads = {id(loss): kernels.ones(loss.shape, loss.dtype)}，其中 kernels = "
         "backend.module()；"
         "若 id(x) 是新的则 grads[id(x)] = dx，否则 kernels.add(known, dx)[0]；"
         "最后返回 [grads[id(t)] for t in wrt]，缺哪个 t 就抛 InputError。"),
    ))

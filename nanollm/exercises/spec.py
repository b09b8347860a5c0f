"""What an exercise is, and how its checks say no.

    EXERCISE = Exercise(name="softmax", title="...", group="ops", notebook="04_softmax",
                        page="nanollm/ops/softmax.py", blanks=("softmax", ...),
                        checks=(check_values, ...), hints=((english, chinese), ...))

One file an exercise: specs/NAME.py. It is imported when it is needed and must be light (a check
imports numba when it runs, not before).

A check is a function of the student's module. The first line of its docstring is its title in the
score sheet. It returns nothing, or raises Wrong (or AssertionError):

    def check_values(student):
        "values"
        x = np.array([[0.0, 1.0]])
        y, _ = pair(call(student.softmax, x), "softmax")
        expect("softmax's y", y, ops.softmax(x)[0], tried={"x": x})

What the student's own lines raise needs no care: it is told with the line it came from and, where
`call` was used, with what was tried.
"""

import contextlib
import copy
import functools
import inspect
import io
import textwrap
from dataclasses import dataclass, field

import numpy as np

from nanollm import diagnosis

SHOWN = (np.ndarray, np.generic, int, float, str, bytes, list, tuple, dict)
GROUPS = ("ops", "pieces", "kernels", "cuda", "museum")


@dataclass(frozen=True)
class Exercise:
    """A page to be written again, or repaired.

    page          the solved page, from the project's root; `start` makes the stub from it
    blanks        functions whose bodies `start` empties: "softmax", or "Tape.gradient" in a class
    broken        ((right, wrong), ...): texts of the page that `start` exchanges: a museum's bug
    checks        functions of the student's module, in the order in which they are best met
    hints         three pairs (English, Chinese): the idea, the equation, nearly the line
    suspects      mistakes people make: (function, right, wrong, words). Where an answer of an op,
                  of bpe, lstm_step, beam or kv_cache is wrong, each is planted in the solved page,
                  then two at once; if the same wrong numbers come, the words are what is likely
                  wrong
    limit         seconds that the checks may take in all
    environment   variables that must be set before Python starts (the CUDA simulator's)
    thread        where a bug of the museum was reported: a public address
    explanation   what was wrong and why, shown with the solution
    """

    name: str
    title: str
    group: str
    notebook: str
    page: str
    checks: tuple
    hints: tuple
    blanks: tuple = ()
    broken: tuple = ()
    suspects: tuple = ()
    limit: float = 20
    environment: dict = field(default_factory=dict)
    thread: str = ""
    explanation: str = ""


class Wrong(AssertionError):
    """An answer is wrong: what was tried, what came, what was expected, what is likely wrong.

    tried            text, or {name: value} of the smallest input that fails
    got, expected    text or values
    likely           text, or a list of lines
    """

    def __init__(self, what, *, tried=None, got=None, expected=None, likely=None):
        self.parts = {"tried": tried, "got": got, "expected": expected, "likely": likely}
        super().__init__("\n".join([what, *(
            line for word, part in self.parts.items() for line in told(word, part))]))

    def because(self, likely):
        """The same, with another likely cause."""
        return Wrong(str(self).splitlines()[0], **{**self.parts, "likely": likely})


def told(word, part):
    """The lines of a part of a message, none for None; only `likely` and `printed` may be lists."""
    if part is None:
        return []
    if isinstance(part, dict):
        part = "\n".join(f"{name} = " + show(value).replace("\n", "\n" + " " * (len(name) + 3))
                         for name, value in part.items())
    elif isinstance(part, list | tuple) and word in ("likely", "printed"):
        part = "\n".join(part)
    return [f"  {'' if i else word:10}{line}" for i, line in enumerate(show(part).splitlines())]


def wrapped(text):
    """Text in lines that a terminal shows whole."""
    return textwrap.fill(" ".join(text.split()), 84)


def show(value):
    """A value as a message shows it: small arrays whole, of large ones a corner and the shape."""
    if isinstance(value, str):
        return value
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, tuple) and value:
        return f"({', '.join(map(show, value))}{',' * (len(value) == 1)})"
    if not isinstance(value, np.ndarray):
        try:
            text = repr(value)
        except Exception:                                       # a student's own __repr__
            text = f"a {type(value).__name__} that cannot be printed"
        return text if len(text) <= 200 else text[:200] + " ..."
    if value.size == 0:
        return f"an empty {value.dtype} array of shape {value.shape}"
    text = np.array2string(value, precision=4, separator=", ", threshold=24, edgeitems=2,
                           max_line_width=84)
    return text if value.size <= 24 else f"{value.dtype} of shape {value.shape}:\n{text}"


def call(function, *inputs, **settings):
    """The result of the student's function; Wrong if there is none."""
    printed = io.StringIO()
    try:
        with contextlib.redirect_stdout(printed):
            result = function(*inputs, **settings)
    except Exception as error:
        error.tried = given(function, inputs, settings)
        raise
    finally:
        print(printed.getvalue(), end="")                       # to whoever listens outside
    if result is None:
        name = getattr(function, "__name__", "the function")
        if printed.getvalue().strip():
            raise Wrong(f"{name} prints its answer and returns nothing", expected="a return",
                        got=f"None; printed: {printed.getvalue().strip()[:200]}",
                        likely="print shows a value to you, return hands it to the caller: end "
                               "with\nreturn in place of print")
        raise Wrong(f"{name} returns nothing", got="None", expected="a result",
                    likely="the `return` is missing, or an `if` leads past it")
    return result


def given(function, inputs, settings):
    """{name: value} of a call's arguments that can be shown; None if there are none."""
    try:
        named = inspect.signature(function).bind(*inputs, **settings).arguments
    except (TypeError, ValueError):
        return None
    return {name: value for name, value in named.items() if isinstance(value, SHOWN)} or None


def spared(function):
    """The function, called with copies: what it writes into its arrays spoils nothing that follows.

    Whether it does so is a check of its own.
    """
    @functools.wraps(function)
    def on_copies(*inputs, **settings):
        return function(*map(copy.deepcopy, inputs), **settings)
    return on_copies


def pair(result, name):
    """(y, saved) that a forward returned; Wrong if it returned something else."""
    if not (isinstance(result, tuple) and len(result) == 2 and isinstance(result[1], tuple)):
        if isinstance(result, tuple) and len(result) == 2:
            got = f"a tuple whose second part is {kind(result[1])}"
        else:
            got = kind(result)
        raise Wrong(f"{name} does not return a pair (y, saved)", got=got,
                    expected="(y, saved), where saved is a tuple of what the backward needs",
                    likely="write `return y, (a, b)`, with one array `return y, (a,)`")
    return result


def kind(value):
    """What sort of thing a value is, in words."""
    if type(value) is np.ndarray:
        return f"an array {value.dtype} {value.shape}"
    if isinstance(value, np.ndarray):
        return f"a {type(value).__name__}, not a plain array"
    if isinstance(value, tuple | list):
        return f"a {type(value).__name__} of {len(value)}"
    return f"{type(value).__name__} {show(value)}"


def expect(what, got, want, *, tried=None, tol=1e-9, dtype=None, likely=None):
    """Wrong unless `got` is an array (or number) like `want`, to `tol` of its largest entry.

    dtype     what got's must be (default: not looked at)
    likely    lines to add in place of what the numbers suggest
    """
    want = np.asarray(want)
    if not isinstance(got, np.generic | float | int) and type(got) is not np.ndarray:
        raise Wrong(f"{what} is {kind(got)}", tried=tried, expected=kind(want))
    got = np.asarray(got)
    if got.shape != want.shape:
        raise Wrong(f"{what} has the wrong shape", tried=tried, got=f"shape {got.shape}",
                    expected=f"shape {want.shape}", likely=likely or of_shape(got, want))
    if dtype is not None and got.dtype != dtype:
        raise Wrong(f"{what} has the wrong dtype", tried=tried, got=str(got.dtype),
                    expected=str(np.dtype(dtype)), likely=likely or (
                        "np.zeros(shape) is float64, and a number of NumPy's, such as np.sqrt(2)\n"
                        "or mask.sum(), makes float64 of float32. np.zeros(shape, x.dtype) does\n"
                        "not, nor do Python's own numbers: math.sqrt(2), int(mask.sum())"))
    if want.dtype.kind not in "fc":
        if not np.array_equal(got, want):
            raise Wrong(f"{what} is wrong", tried=tried, got=got, expected=want,
                        likely=likely or where(got != want))
        return
    scale = np.abs(want).max(initial=0)
    with np.errstate(invalid="ignore"):
        error = np.abs(got - want)
    if not np.all((error <= tol * max(scale, 0.1)) | (got == want)):
        likely = likely or of_values(got, want, tol * max(scale, 0.1))
        if want.size > 16:                                      # too many to show: the worst
            at = np.unravel_index(np.where(np.isnan(error), np.inf, error).argmax(), want.shape)
            what, got, want = f"{what}, worst at {list(map(int, at))},", got[at], want[at]
        if show(got) == show(want):
            got, want = (np.array2string(a, precision=15, separator=", ") for a in (got, want))
        raise Wrong(f"{what} is wrong", tried=tried, got=got, expected=want, likely=likely)


def of_shape(got, want):
    """What a wrong shape suggests."""
    if got.size == want.size:
        if want.ndim > 1 and diagnosis.near(got, want.swapaxes(-1, -2)):
            return "its values are right, but transposed"
        if got.size and diagnosis.near(got.reshape(want.shape), want):
            return "its values are right: an axis of size 1 is too many or too few (keepdims)"
    if got.ndim < want.ndim:
        return "an axis has been summed away: look at axis= and keepdims="
    if got.ndim > want.ndim:
        return "an axis is left that should have been summed, or a broadcast has added one"
    return None


def of_values(got, want, close):
    """What wrong values suggest: the first explanation that fits, as lines.

    close    how far an entry may be off
    """
    if not np.isfinite(got).all() and np.isfinite(want).all():
        bad = ~np.isfinite(got)
        return ["look for 0 / 0, log(0), inf - inf, or an exp that overflows", *where(bad)]
    if want.ndim and want.any() and not got.any():
        return ["it is zero everywhere: never filled in?"]
    if diagnosis.near(got, want):
        return ["it agrees to five digits: look for a float32 on the way, a constant with too few "
                "digits,\nor an epsilon that is not in the equation"]
    ratio = (got * want).sum() / max((want ** 2).sum(), np.finfo(float).tiny)
    if diagnosis.near(got, ratio * want):
        lines = diagnosis.factor(ratio, [])
        if want.size > 1 or ratio == -1 or len(lines) > 1:      # any number is another's multiple
            return lines
    if want.ndim > 1 and diagnosis.near(got, want.swapaxes(-1, -2)):
        return ["it is transposed: exchange the factors, or move a .T"]
    if want.ndim and want.shape[-1] > 1:
        off, scale = got - want, np.abs(want).max()
        if np.ptp(off) <= diagnosis.NEAR * scale:
            return [f"every entry is off by {off.flat[0]:.4g}: a term is missing, or there twice"]
        if np.ptp(off, axis=-1).max() <= diagnosis.NEAR * scale:
            return ["every row is off by a constant of its own: a term along the row is missing"]
        right, ours = want.sum(axis=-1), got.sum(axis=-1)
        if np.abs(right - 1).max() < 1e-9 and np.abs(ours - 1).max() > 1e-6:
            return [rows(got)]
    return where(np.abs(got - want) > close)


def rows(got):
    """What is said of an array whose rows should sum to 1, and do not: what sums to 1 in it?"""
    for axis in range(got.ndim - 1):
        if np.abs(got.sum(axis=axis) - 1).max() < 1e-9:
            return (f"it sums to 1 along axis {axis}; each row must, along the last axis: axis=-1 "
                    "wherever\na row is meant")
    if abs(got.sum() - 1) < 1e-9:
        return ("all entries together sum to 1; each row must alone: axis=-1, keepdims=True in the "
                "sum")
    return ("the right rows sum to 1 and these do not: is each entry divided by the sum of its own "
            "row,\nof the very numbers that are divided?")


def where(wrong):
    """Which entries are wrong, as lines; nothing if all are."""
    return diagnosis.positions(np.asarray(wrong)) if np.ndim(wrong) and not np.all(wrong) else []

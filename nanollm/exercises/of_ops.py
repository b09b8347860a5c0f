"""The checks of ops: what every op must do, asked of a student's over the tests' situations.

The inputs are the rows of tests/cases.py: first those without a mask and with one head, of these
the smallest first, so that what fails is simple. Values are compared with the book's own op in
float64, gradients with central differences (gradcheck.py, which also says what is likely wrong).
Where an answer is wrong, the exercise's suspects are planted in the book's page one by one, then
two at once: where the same wrong numbers come, their words name the mistake.
"""

import ast
import contextlib
import functools
import inspect
import io
import itertools
import re
import textwrap
import types

import numpy as np

from nanollm import checkout, diagnosis, gradcheck, ops as reference
from nanollm.exercises import stubs
from nanollm.exercises.spec import Exercise, Wrong, call, expect, kind, pair, spared, wrapped
from nanollm.gradcheck import flat

NUMBERS = np.ndarray | np.generic | float | int
CLOSE = {np.float64: 1e-9, np.float32: 2e-5}    # relative to the largest entry
SORTS = ("ordinary", "edge", "extreme")
EXTREME = ("large numbers", "huge", "small", "tiny")
EDGE = ("one", "no", "number", "numbers", "nothing", "everything", "all")
MOST = 20_000           # entries of all Jacobians beyond which a row is left to the tests
STEPS = 5               # how often an optimizer's step is taken
ROWS = 6                # rows on which a suspect must give the student's numbers
SHOWN = 30              # entries of all inputs that a message shows; beyond, their shapes
UNKNOWN = ["no mistake known here, and no two of them, give these numbers: compute one entry by",
           "hand, line by line, and print what each line of yours makes of this input"]
VIEWS = {"transposed": "transposed views", "strided": "views with gaps"}    # how they are stored
SIZES = ("tokens", "longer than a block", "many rows")      # labels that say what the shapes say
NO_GRADIENT = "None stands where there is no gradient: ids, masks, an input that is None"


def exercise(name, *, ops, more=(), suspects=(), **settings):
    """The Exercise of the page nanollm/ops/NAME.py with these ops; checks `more` come last."""
    page, found = f"nanollm/ops/{name}.py", []
    likely = Suspects(page, suspects)
    for op in ops:
        of = of_pair if hasattr(reference, op + "_backward") else of_step
        found += of(op, likely)
    return Exercise(name=name, group="ops", page=page, checks=(*found, *more), suspects=suspects,
                    **settings)


def of_pair(op, likely):
    """The checks of a forward and its backward."""

    @titled(f"{op}: shape and dtype")
    def shape(student):
        for row in rows(op):
            for dtype in CLOSE:
                with likely.explaining(outputs, student, row):
                    y, want = forward(student, row, dtype), forward(reference, row, dtype)
                    for name, got, right in results(f"{op}'s y", y, want):
                        expect_shape(name, got, right, dtype, tried(row, dtype))

    @titled(f"{op}: its inputs stay as they are")
    def pure(student):
        for row in rows(op):
            inputs, settings, _ = situation(row)
            kept = [x if x is None else x.copy() for x in inputs]
            pair(call(getattr(student, op), *inputs, **settings), op)
            unchanged(row, inputs, kept)

    @titled(f"{op}: values")
    def values(student):
        for row in rows(op, "ordinary"):
            compare_forward(student, row, likely)

    @titled(f"{op}: edges, such as one row or one column")
    def edges(student):
        for row in rows(op, "edge", empty=True):
            compare_forward(student, row, likely)

    @titled(f"{op}: extreme values")
    def extremes(student):
        with np.errstate(over="raise", invalid="raise", divide="raise"):
            for row in rows(op, "extreme"):
                compare_forward(student, row, likely)

    @titled(f"{op}_backward: the gradient, against differences")
    def gradient(student):
        for row in rows(op):
            if sort(row) != "extreme":                          # there, differences are rounding
                compare_with_differences(student, row, likely)

    @titled(f"{op}_backward: dtype and edges")
    def backward_edges(student):
        for row in rows(op, empty=True):
            for dtype in CLOSE:
                compare_backward(student, row, dtype, likely)

    return [shape, pure, values, edges, *([extremes] if has_extremes(op) else []), gradient,
            backward_edges]


def of_step(op, likely):
    """The checks of a step, which has no backward and may write into its arguments."""
    @titled(f"{op}: values")
    def values(student):
        for row in rows(op, "ordinary"):
            compare_steps(student, row, np.float64, likely)

    @titled(f"{op}: edges and extreme values, in float32 too")
    def edges(student):
        for row in rows(op, empty=True):
            for dtype in CLOSE:
                compare_steps(student, row, dtype, likely)

    @titled(f"{op}: what it writes into, and what not" if op.endswith("_") else
            f"{op}: its inputs stay as they are")
    def in_place(student):
        _, judges = checkout.tests()
        for row in rows(op):
            inputs, settings, _ = situation(row)
            before = [x if x is None else x.copy() for x in inputs]
            step(student, row, inputs, settings, 1)
            for name, x, kept in zip(names(row), inputs, before):
                if x is None:
                    continue
                same = np.array_equal(x, kept, equal_nan=True)
                if name not in judges.WRITTEN and not same:
                    raise Wrong(f"{op} changes {name}", tried=tried(row), likely=(
                        f"`{name} *= ...` writes into the caller's array; write g = ... instead"))
                if name in judges.WRITTEN and same and sort(row) == "ordinary":
                    raise Wrong(f"{op} leaves {name} as it was", tried=tried(row), likely=(
                        f"nothing writes into it: `{name} -= ...` or `{name}[...] = ...` would, "
                        f"but\n`{name} = ...` makes a new array that only this function sees"))

    return [in_place, values, edges] if op.endswith("_") else [values, edges, in_place]


def titled(title):
    """Give a check its title."""
    def put(check):
        check.__doc__ = title
        return check
    return put


# ---- situations

@functools.cache
def all_rows(op):
    """The rows of tests/cases.py for an op, simple ones first, without the large ones: slow."""
    cases, _ = checkout.tests()
    found = [row for row in cases.CASES + cases.STEPS
             if row[0] == op and row[1].partition(",")[0] != "large"]
    return sorted(found, key=lambda row: (SORTS.index(sort(row)), extras(row), size(row)))


def rows(op, which=None, empty=False):
    """The rows of one sort, or of all; those with an array without entries only if asked for."""
    return [row for row in all_rows(op)
            if which in (None, sort(row)) and (empty or filled(row))]


def has_extremes(op):
    """Has an op rows of extreme values? (No arrays are made: this is asked at import.)"""
    cases, _ = checkout.tests()
    return any(row[0] == op and is_extreme(row) for row in cases.CASES)


def is_extreme(row):
    return any(word in row[1] for word in EXTREME)


def sort(row):
    """Is a row "extreme", an "edge", or "ordinary"?"""
    if is_extreme(row):
        return "extreme"
    label = row[1]
    first = label.replace(",", " ").split()[0]
    return "edge" if first in EDGE or "everywhere" in label or not filled(row) else "ordinary"


def extras(row):
    """How many things a row asks for that come after the plain op: a mask, several heads."""
    inputs, settings, _ = situation(row)
    masks = sum(x is not None and x.dtype == bool for x in inputs)
    return masks + settings.get("causal", False) + (settings.get("heads", 1) > 1)


def size(row):
    return sum(x.size for x in situation(row)[0] if x is not None)


def filled(row):
    return all(x is None or x.size for x in situation(row)[0])


def situation(row, dtype=np.float64):
    """(inputs, settings, the draw they came from) of a row."""
    cases, _ = checkout.tests()
    r = cases.Draw(cases.seed(row), np.dtype(dtype))
    inputs, settings = row[2](r)
    return [x if x is None else np.asarray(x) for x in inputs], dict(settings), r


def names(row):
    """The names of a row's inputs, as the op calls them."""
    return diagnosis.named(getattr(reference, row[0]), situation(row)[0])[0]


def tried(row, dtype=np.float64):
    """What is tried: the inputs whole if they are small, else their shapes."""
    inputs, settings, _ = situation(row, dtype)
    given = dict(zip(names(row), inputs))
    if size(row) <= SHOWN:
        return {**given, **settings}
    items = [*(f"{name} {x if x is None else x.shape}" for name, x in given.items()),
             *(f"{name}={value}" for name, value in settings.items())]
    whole = ", ".join(item.replace(" ", "\xa0") for item in items)      # no line ends inside
    label = "" if row[1] in SIZES else f": {VIEWS.get(row[1], row[1])}"
    return textwrap.fill(whole + label, 86).replace("\xa0", " ")


@contextlib.contextmanager
def trying(row, dtype):
    """What is raised inside, by the student's code, carries what was tried."""
    try:
        yield
    except Exception as error:
        error.tried = tried(row, dtype)
        raise


# ---- what is computed: by the student, by the book (in float64), by the book with a mistake

def forward(module, row, dtype=np.float64):
    """y of a row."""
    inputs, settings, _ = situation(row, dtype)
    if module is reference:
        inputs = [exact(x) for x in inputs]
    with trying(row, dtype):
        return pair(call(getattr(module, row[0]), *inputs, **settings), row[0])[0]


def backward(module, row, dtype=np.float64):
    """The gradients of a row, for a random dy."""
    op, (inputs, settings, r) = row[0], situation(row, dtype)
    dy = incoming(op, inputs, settings, r)
    if module is reference:
        inputs = [exact(x) for x in inputs]
        dy = tuple(map(exact, dy)) if isinstance(dy, tuple) else exact(dy)
    with trying(row, dtype):
        _, saved = pair(call(getattr(module, op), *inputs, **settings), op)
        try:
            dxs = call(getattr(module, op + "_backward"), dy, saved)
        except Exception as error:
            if isinstance(dy, tuple) and re.search("tuple|inhomogeneous", str(error)):
                error.likely = f"y is a tuple of {len(dy)} here, and so is dy: take it apart first"
            raise
    wanted = names(row)
    if not isinstance(dxs, tuple):
        raise Wrong(f"{op}_backward returns {type(dxs).__name__}, not a tuple",
                    expected="a tuple, with a gradient for each input: " + ", ".join(wanted),
                    likely="write `return tuple(...)`" if isinstance(dxs, list) else
                           NO_GRADIENT if len(wanted) > 1 else
                           "with one input write `return (dx,)`, with the comma")
    if len(dxs) != len(wanted):
        raise Wrong(f"{op}_backward returns a tuple of {len(dxs)}", tried=tried(row, dtype),
                    expected=f"{len(wanted)}, a gradient for each input: {', '.join(wanted)}",
                    likely=NO_GRADIENT if len(dxs) < len(wanted) else
                           "settings, such as axis, have none")
    return dxs


def incoming(op, inputs, settings, r):
    """A random dy for an op's y, a tuple where y is one."""
    y, _ = getattr(reference, op)(*inputs, **settings)
    return tuple(r.normal(*a.shape) for a in y) if isinstance(y, tuple) else r.normal(*y.shape)


def step(module, row, arrays, settings, t):
    """Take step t on these arrays, in place; returns the result, in float64 from the book."""
    function = getattr(module, row[0])
    parameters = inspect.signature(getattr(reference, row[0])).parameters
    for counter, value in ("t", t), ("length", t - 1):
        if counter in parameters:
            settings[counter] = value
    with trying(row, arrays[0].dtype):
        return function(*arrays, **settings)


def after_steps(module, row, dtype=np.float64, times=1):
    """All arrays of a row, and the last result, after some steps."""
    arrays, settings, _ = situation(row, dtype)
    arrays = [x if x is None else np.array(exact(x) if module is reference else x) for x in arrays]
    written = [name in checkout.tests()[1].WRITTEN for name in names(row)]
    result = None
    for t in range(1, times + 1):
        given = [x if own or x is None else x.copy() for own, x in zip(written, arrays)]
        result = step(module, row, given, settings, t)
        if row[0] == "attention_step_":                         # another token comes next
            arrays[0] = result
    return arrays, result


# ---- compared

def outputs(module, row):
    return flat(forward(module, row))


def gradients(module, row):
    return [*outputs(module, row), *backward(module, row)]


def compare_forward(student, row, likely):
    for dtype, close in CLOSE.items():
        with likely.explaining(outputs, student, row):
            y, want = forward(student, row, dtype), forward(reference, row, dtype)
            for name, got, right in results(f"{row[0]}'s y", y, want):
                expect(name, got, right, tried=tried(row, dtype), tol=close)


def compare_backward(student, row, dtype, likely):
    with likely.explaining(gradients, student, row):
        dxs, want = backward(student, row, dtype), backward(reference, row, dtype)
        for name, got, right in zip(names(row), dxs, want):
            if got is not None and right is not None:
                expect(f"the gradient of {name}", got, right, tried=tried(row, dtype),
                       tol=CLOSE[dtype], dtype=dtype)
            elif right is not got:
                raise Wrong(f"the gradient of {name} is {'None' if got is None else 'an array'}",
                            tried=tried(row, dtype),
                            expected="None" if right is None else "an array")


def compare_with_differences(student, row, likely):
    """The student's pair against central differences, if the row is not too large."""
    op, (inputs, settings, r) = row[0], situation(row)
    y = forward(reference, row)
    if sum(x.size for x in inputs if x is not None) * sum(a.size for a in flat(y)) > MOST:
        return
    dy_stays(student, row)
    calls_stay_apart(student, row)
    with likely.explaining(gradients, student, row):
        dxs = backward(student, row)                            # does it return a tuple?
        try:
            gradcheck.check(spared(getattr(student, op)), getattr(student, op + "_backward"),
                            inputs, settings, r.rng)
        except gradcheck.GradientError as error:
            what, *evidence = (line.strip() for line in str(error).splitlines())
            if "cannot be nudged" in " ".join(evidence):
                evidence = [f"the order is that of the inputs, {', '.join(names(row))}; whole "
                            "numbers and bools have no gradient"]
            elif any(np.shape(dx) == (1, *np.shape(x)) for dx, x in zip(dxs, inputs)):
                evidence = ["saved is a tuple, also if it holds one array: take it out with "
                            "`(y,) = saved`"]
            if evidence and evidence[0].startswith("at "):
                what = f"{what} {evidence.pop(0)}"
            raise Wrong(what, tried=tried(row), likely=[
                textwrap.fill(line, 86) for line in evidence]) from None


def dy_stays(student, row):
    """Wrong if the backward writes into dy; what it raises is left to the comparison."""
    op, (inputs, settings, r) = row[0], situation(row)
    dy = incoming(op, inputs, settings, r)
    kept = [a.copy() for a in flat(dy)]
    try:
        _, saved = getattr(student, op)(*inputs, **settings)
        getattr(student, op + "_backward")(dy, saved)
    except Exception:
        return
    if not all(map(np.array_equal, flat(dy), kept)):
        raise Wrong(f"{op}_backward changes dy", tried=tried(row), likely=(
            "`dy *= ...` and `dy[...] = ...` write into the caller's array: write g = dy * ..."))


def calls_stay_apart(student, row):
    """Wrong if a call for other inputs changes y, or the gradients, of the call before it.

    What the pair raises, or changes by itself, is left to the comparison.
    """
    op, (inputs, settings, r) = row[0], situation(row)
    function, back = getattr(student, op), getattr(student, op + "_backward")
    dy, (_, judges) = incoming(op, inputs, settings, r), checkout.tests()
    try:
        y, saved = function(*inputs, **settings)
        ys = flat(y)
        before = judges.copies([*ys, *back(dy, saved)])
        again = judges.copies([*ys, *back(dy, saved)])
        function(*map(other, inputs), **settings)
        after = [*ys, *back(dy, saved)]
    except Exception:
        return
    if judges.same_bits(before, again) and not judges.same_bits(before, after):
        what = (f"what {op}_backward gives for the first"
                if judges.same_bits(before[:len(ys)], ys) else "the first y")
        raise Wrong(f"a call of {op} for other inputs changes {what}", tried=tried(row), likely=[
            "something outside of the function is kept and written again. In a network each op",
            "runs many times before the first backward: y is a new array each time, and all that",
            "the backward needs is in saved"])


def other(x):
    """Other numbers for an input, of its kind and shape."""
    if x is None:
        return None
    return ~x if x.dtype == bool else np.flip(x) if x.dtype.kind == "i" else x + 1


def compare_steps(student, row, dtype, likely):
    """After each of several steps, the result and all arrays are as the book has them.

    The weights come last: they are made of the others.
    """
    op = row[0]
    for t in range(1, STEPS + 1 if op.endswith("_") else 2):
        def compute(module, row, t=t):
            arrays, result = after_steps(module, row, dtype, t)
            return [*arrays, result]

        when = f" after {t} step{'s' * (t > 1)}" if op.endswith("_") else ""
        with likely.explaining(compute, student, row):
            *arrays, got = compute(student, row)
            *right, want = compute(reference, row)
            if want is None and got is not None:
                raise Wrong(f"{op} returns {kind(got)}", expected="nothing: it writes into its "
                            "arguments", likely="leave the `return` out: what is written into "
                                                "an argument is there for the caller")
            if want is not None and got is None:
                raise Wrong(f"{op} returns nothing", tried=tried(row, dtype), got="None",
                            expected=kind(want), likely="the `return` is missing, an `if` leads "
                                                        "past it, or it returns None")
            if want is not None:
                close = CLOSE[np.float64 if isinstance(want, float) else dtype]
                expect(f"{op}'s result{when}", got, want, tried=tried(row, dtype), tol=close)
            for name, x, y in sorted(zip(names(row), arrays, right), key=lambda a: a[0] == "w"):
                if y is not None:
                    expect(f"{name}{when}", x, y, tried=tried(row, dtype), tol=CLOSE[dtype])


def unchanged(row, inputs, kept):
    for name, x, before in zip(names(row), inputs, kept):
        if x is not None and not np.array_equal(x, before, equal_nan=True):
            raise Wrong(f"{row[0]} changes its input {name}", tried=tried(row), likely=(
                f"`{name} -= ...` and `{name}[...] = ...` write into the caller's array, also\n"
                f"through a view (reshape, a slice, .T): write `{name} = {name} - ...`"))


def results(name, y, want):
    """(name, got, wanted) for each result; Wrong unless y has as many as the book's."""
    if not isinstance(want, tuple):
        return [(name, y, want)]
    if not isinstance(y, tuple) or len(y) != len(want):
        raise Wrong(f"{name} is {kind(y)}", expected=f"a tuple of {len(want)}",
                    likely="write `tuple(...)`" if isinstance(y, list) else None)
    return [(f"{name}[{i}]", got, right) for i, (got, right) in enumerate(zip(y, want))]


def expect_shape(name, got, want, dtype, tried):
    """Wrong unless got is an array (or number) of want's shape, and of `dtype`."""
    if isinstance(got, np.ndarray | np.generic) and got.shape == want.shape:
        got, want = np.zeros_like(got), np.zeros_like(want)
    expect(name, got, want, tried=tried, dtype=dtype)


# ---- suspects

class Suspects:
    """The mistakes that are looked for where an answer is wrong.

    They are the rows of Exercise.suspects, and each of the page's functions that run along the
    last axis, run along another. Where none gives the student's numbers, two at once are tried.
    """

    def __init__(self, page, rows):
        self.page, self.rows = page, rows

    @functools.cached_property
    def all(self):
        return [*self.rows, *of_axes(self.page)]

    @contextlib.contextmanager
    def explaining(self, compute, student, row):
        """What is raised inside is told with the words of the mistake that does the same, if any.

        compute(module, row) gives what is compared, a list of arrays.
        """
        try:
            yield
        except NotImplementedError:
            raise
        except Wrong as wrong:
            words = self.words(compute, student, row)
            if words or not wrong.parts["likely"]:
                wrong = wrong.because(words or UNKNOWN)
            raise wrong from None
        except Exception as error:
            error.likely = self.words(compute, student, row) or getattr(error, "likely", None)
            raise

    def words(self, compute, student, row):
        """The words of the mistake that gives the student's numbers, or of two; or None."""
        tried = Tried(compute, student, row)
        found = [one for one in self.all if tried.same(planted(self.page, one))]
        if len(found) > 1:
            tried = Tried(compute, student, row, most=np.inf)
            found = [one for one in found if tried.same(planted(self.page, one))] or found
        if found:
            return found[0][-1]
        seen = [one for one in self.all if tried.shows(planted(self.page, one))]
        for one in seen:
            if tried.same(planted(self.page, one), sign=-1):
                return ["the sign is flipped; with the other sign it is a known mistake:", one[-1]]
        return two_at_once(self.page, seen, tried.same)


def of_axes(page):
    """Suspects of a page's functions that work along the last axis: along another one, or all."""
    for name, node in stubs.functions(ast.parse(stubs.text(page))).items():
        if "axis=-1" in ast.unparse(node.body) and "axis" not in stubs.signature(node):
            for axis, where in (0, "along axis 0"), (1, "along axis 1"), (None, "over all axes"):
                yield name, "axis=-1", f"axis={axis}", (
                    f"{name} runs {where}; a row lies along the last axis, axis=-1")


@functools.cache
def planted(page, *suspects):
    """The page with these mistakes in it, a module; None if they do not go together."""
    text, module = stubs.text(page), types.ModuleType("planted")
    for number, (function, right, wrong, _) in enumerate(suspects):
        try:
            text = stubs.plant(text, function, right, wrong)
        except ValueError:
            if number == 0:
                raise
            return None
    try:
        exec(text, vars(module))
    except SyntaxError:                                         # one has cut into the other
        return None
    return module


def named(page, rows, same):
    """The words of the suspect, or of two at once, that makes of the page what `same` looks for.

    same    a function of a module, the page with its mistakes: is it like the student's?
    """
    for row in rows:
        if same(planted(page, row)):
            return wrapped(row[-1])
    words = two_at_once(page, rows, same)
    return words and [*map(wrapped, words)]


def two_at_once(page, rows, same):
    """The words of the two suspects that together do what `same` looks for; None if none do."""
    for one, other in itertools.combinations(rows, 2):
        both = planted(page, one, other)
        if both and same(both):
            return ["two mistakes at once give these numbers:", one[-1], other[-1]]
    return None


class Tried:
    """A student's numbers on several rows, to be held against those of a page with a mistake.

    The first row is the one that failed; others follow until the array that was wrong first there
    is wrong on `most` of them. Of a step, all arrays must agree, for what is wrong with one is
    seen in the others.
    """

    def __init__(self, compute, student, row, most=ROWS):
        self.compute, self.which, self.rows = compute, None, []
        for other in row, *(other for other in all_rows(row[0]) if other != row):
            theirs, right = attempt(compute, student, other), attempt(compute, reference, other)
            wrong = wrong_arrays(theirs, right)
            if not self.rows:
                self.which = wrong[0] if wrong else None
            self.rows.append((other, theirs, right, self.which in wrong))
            if sum(seen for *_, seen in self.rows) >= most:
                break

    def same(self, module, sign=1):
        """Does the page with a mistake give the student's numbers?

        On the first row it must give the first array that is wrong, times `sign`, and spoil none
        that is right. Other rows must agree in that array, of a step in all.
        """
        every = self.rows[0][0][0].endswith("_")
        return any(seen for *_, seen in self.rows) and all(
            does_the_same(self.signed(attempt(self.compute, module, row), sign), theirs, right,
                          self.which, row is self.rows[0][0], every)
            for row, theirs, right, _ in self.rows)

    def signed(self, arrays, sign):
        """The arrays, the one that is looked at times `sign`."""
        if sign == 1 or self.which is None or isinstance(arrays, str):
            return arrays
        return [sign * x if i == self.which and isinstance(x, NUMBERS) else x
                for i, x in enumerate(arrays)]

    def shows(self, module):
        """Is the mistake seen in the array that is wrong, on any of the rows?"""
        return any(self.which in wrong_arrays(attempt(self.compute, module, row), right)
                   for row, _, right, _ in self.rows)


def attempt(compute, module, row):
    """What compute gives, printing nothing: a list of arrays, or what it raises as text."""
    try:
        with np.errstate(all="ignore"), contextlib.redirect_stdout(io.StringIO()):
            return compute(module, row)
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def alike(ours, theirs):
    """Do two attempts end alike: with the same text, or with the same arrays?"""
    if isinstance(ours, str) or isinstance(theirs, str):
        return type(ours) is type(theirs) and ours == theirs
    return all(a.shape == b.shape and np.allclose(a, b, 0, 1e-9, equal_nan=True)
               for a, b in zip(ours, theirs))


def wrong_arrays(theirs, right):
    """The numbers of the arrays that are wrong; None stands for a result that is no such list."""
    if isinstance(theirs, str) or isinstance(right, str) or len(theirs) != len(right):
        return [None]
    return [i for i, (a, b) in enumerate(zip(theirs, right)) if distance(a, b) > 1e-9]


def does_the_same(ours, theirs, right, which, strict, every):
    """Is array number `which` the same in both, to a hundredth of what is wrong with it?

    strict    ours must also be right wherever theirs is
    every     all arrays must be the same
    """
    mine, wrong = wrong_arrays(ours, right), wrong_arrays(theirs, right)
    if None in mine or None in wrong:
        return isinstance(ours, str) and isinstance(theirs, str) and ours == theirs
    if which is None:                                           # the first row raised
        return mine == wrong
    if strict and not set(mine) <= set(wrong):
        return False
    looked_at = {*mine, *wrong} if every else {which} & {*mine, *wrong}
    return looked_at <= set(wrong) and all(
        distance(ours[i], theirs[i]) <= 0.01 * reach(distance(theirs[i], right[i]))
        for i in looked_at)


def reach(off):
    """How far off an array is, as a bound for how near another must come."""
    return min(off, 1e3) if off < np.inf else 1


def distance(a, b):
    """The largest difference, infinite where shapes differ or one alone is not finite."""
    if a is None or b is None:
        return 0 if a is b else np.inf
    if not isinstance(a, NUMBERS) or not isinstance(b, NUMBERS):
        return np.inf
    a, b = np.asarray(a), np.asarray(b)
    if a.shape != b.shape or not np.array_equal(np.isfinite(a), np.isfinite(b)):
        return np.inf
    a, b = a[np.isfinite(a)], b[np.isfinite(a)]                 # inf - inf would be invalid
    return np.abs(np.subtract(a, b, dtype=np.float64)).max(initial=0)


def exact(x):
    """x in float64, if it holds real numbers."""
    return x.astype(np.float64) if x is not None and x.dtype.kind == "f" else x

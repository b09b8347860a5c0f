"""Run the checks of an exercise on a student's file, in this process: a verdict for each.

What can be said without running the file is said first: syntax, missing functions, changed
signatures, imports of the answer. Then each check runs. An exception that passed through the
student's file is told with the student's own lines; there is never a traceback through ours.

    python -m nanollm.exercises.examine NAME FILE OUT SECONDS       isolated.py calls this
"""

import ast
import builtins
import contextlib
import difflib
import io
import json
import linecache
import os
import re
import sys
import threading
import traceback
import types
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from nanollm.exercises import catalog, spec, stubs
from nanollm.exercises.spec import Wrong

PASSED, WRONG, EMPTY, SKIPPED = "passed", "wrong", "not written yet", "not reached"
FILE = "the file"       # the title of what is wrong with all of it, so that no check is reached
OURS = {"nanollm", "kernels"}
IMPORTERS = {"importlib", "pkgutil", "runpy"}               # modules that import what a text names
ROADS = {"__import__", "__builtins__", "exec", "eval", "sys.modules"}   # names that lead there
OVERTIME = 75           # the exit code of a process whose time ran out
PRINTED = 10            # lines of a failing check's output that are shown


@dataclass
class Verdict:
    """What a check has found."""

    title: str
    state: str              # PASSED, WRONG, EMPTY or SKIPPED
    message: str = ""


def title(check):
    """A check's name in the score sheet: the first line of its docstring."""
    return check.__doc__.strip().splitlines()[0]


def examine(exercise, path):
    """Yield a Verdict for each check of `exercise` on the file `path`.

    If no check can be reached, what is wrong with the file comes first, as a Verdict titled FILE.
    """
    path, state, problem = Path(path), WRONG, None
    with quiet() as printed:
        try:
            text = read(path)
            if not look(exercise, path, text):
                state = EMPTY
                raise Wrong("not written yet: " + ", ".join(exercise.blanks))
            student = load(path, text)
        except BaseException as error:
            problem = told(error, path, printed)
    if problem is not None:
        yield Verdict(FILE, state, problem)
        for check in exercise.checks:
            yield Verdict(title(check), EMPTY if state == EMPTY else SKIPPED)
        return
    told_before = {}
    for check in exercise.checks:
        verdict = run(check, student, path)
        if verdict.state == WRONG and verdict.message in told_before:
            verdict.message = f"the same as in {told_before[verdict.message]}"
        told_before.setdefault(verdict.message, verdict.title)
        yield verdict


def read(path):
    """The text of the student's file; Wrong if it is no text."""
    try:
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Wrong(f"{path.name} is not UTF-8 text (byte {error.start}): save it as UTF-8") \
            from None


def look(exercise, path, text):
    """Read the file without running it; returns whether anything is written in it."""
    anew = f"`exercise start {exercise.name} --again` begins anew and keeps your file beside it"
    if not text.strip():
        raise Wrong(f"{path.name} is empty", likely=anew)
    stub = ast.parse(stubs.make(exercise))
    try:
        tree = ast.parse(text, str(path))
    except SyntaxError as error:
        raise Wrong(syntax(error, path)) from None
    except ValueError as error:
        raise Wrong(f"{path.name} is no Python text: {error}") from None
    forbid_imports(stub, tree, path)
    forbid_names(tree, path)
    wanted, found = stubs.functions(stub), stubs.functions(tree)
    names = exercise.blanks or tuple(wanted)
    for name in names:
        if name not in found:
            raise Wrong(f"{path.name} has no function {name}",
                        expected=f"def {name.split('.')[-1]}({stubs.signature(wanted[name])}):",
                        likely=f"it was renamed or deleted; {anew}")
        ours, theirs = stubs.signature(wanted[name]), stubs.signature(found[name])
        if ours != theirs:
            raise Wrong(f"the signature of {name} was changed ({path.name}:{found[name].lineno})",
                        got=f"def {name}({theirs}):", expected=f"def {name}({ours}):",
                        likely="others call it by these names: change what is inside, not this "
                               "line")
    return not exercise.blanks or not all(stubs.is_empty(found[name]) for name in names)


def syntax(error, path):
    """A syntax error with its line and a caret."""
    lines = [f"{path.name}:{error.lineno}: {type(error).__name__}: {error.msg}"]
    if error.text:
        text = error.text.rstrip("\n")
        bare = text.lstrip()
        lines.append(f"    {bare}")
        lines.append("    " + " " * max((error.offset or 1) - 1 - len(text) + len(bare), 0) + "^")
    return "\n".join(lines)


def forbid_imports(stub, tree, path):
    """Wrong if the file imports more of this project than its stub does, or a library.

    So that nobody takes the answer by mistake; whoever wants to can still copy the page.
    """
    allowed = set(imports(stub))
    libraries = {"numpy", *sys.stdlib_module_names, *(root(module) for module, _ in allowed)}
    for (module, name), line in imports(tree).items():
        if (module, name) in allowed or root(module) in libraries - OURS - IMPORTERS:
            continue
        what = f"{name} from {module}" if name else module
        if root(module) in OURS | IMPORTERS:
            which = ("the library's own answer" if root(module) in OURS
                     else "a way around the stub's imports")
            raise Wrong(f"{path.name}:{line} imports {what}: {which}",
                        likely="write it yourself; of nanollm, only what the stub imports may be "
                               "used")
        raise Wrong(f"{path.name}:{line} imports {what}",
                    likely="the exercise is to be written with NumPy and what the stub imports")


def forbid_names(tree, path):
    """Wrong if the file can import by text, or changes a module for everyone, as in np.sum = ..."""
    modules = {alias.asname or root(alias.name) for node in ast.walk(tree)
               if isinstance(node, ast.Import) for alias in node.names}
    for node in ast.walk(tree):
        if isinstance(node, ast.Name | ast.Attribute):
            name, at = ast.unparse(node), f"{path.name}:{node.lineno}"
            if name.removeprefix("builtins.") in ROADS:
                raise Wrong(f"{at} uses {name}", likely="that way the library's own answer could "
                                                        "come in: write it yourself, plainly")
            if isinstance(node, ast.Attribute) and not isinstance(node.ctx, ast.Load) and (
                    root(name) in modules):
                raise Wrong(f"{at} changes {name}", likely="the checks use it too: give what you "
                                                           "need a name of your own")


def imports(tree):
    """{(module, name or None): line} of all imports of a file."""
    found = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found.update({(alias.name, None): node.lineno for alias in node.names})
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            found.update({(module, alias.name): node.lineno for alias in node.names})
    return found


def root(name):
    """The package of a module, a.b.c: a."""
    return name.partition(".")[0]


def load(path, text):
    """The student's file as a module."""
    module = types.ModuleType(f"exercise_{path.stem}")
    module.__file__ = str(path)
    sys.modules[module.__name__] = module
    linecache.checkcache(str(path))
    exec(compile(text, str(path), "exec"), vars(module))
    return module


def run(check, student, path):
    """The Verdict of one check."""
    with quiet() as printed:
        try:
            check(student)
        except BaseException as error:
            if isinstance(error, NotImplementedError) and str(error).endswith(stubs.WRITE_ME):
                name = str(error).removesuffix(stubs.WRITE_ME)
                return Verdict(title(check), EMPTY, f"{name.split()[-1]} is not written yet")
            return Verdict(title(check), WRONG, told(error, path, printed))
    return Verdict(title(check), PASSED)


@contextlib.contextmanager
def quiet():
    """Inside, what is printed is kept, warnings are not shown, and input() finds nothing."""
    printed, keyboard = io.StringIO(), sys.stdin
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(io.StringIO()), \
            warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sys.stdin = io.StringIO()
        try:
            yield printed
        finally:
            sys.stdin = keyboard


def told(error, path, printed):
    """What an exception says to a student."""
    if isinstance(error, KeyboardInterrupt):
        raise error
    mine = [frame for frame in traceback.extract_tb(error.__traceback__)
            if frame.filename == str(path)]
    kind = type(error).__name__
    if type(error).__module__.startswith("numba"):
        lines = [f"Numba refuses: {kind}", *compiler(str(error), path)]
    elif mine:
        lines = raised(error, mine, path)
    elif isinstance(error, AssertionError):
        lines = str(error).splitlines() or ["an assertion of the check does not hold"]
    else:
        lines = [f"the check cannot use what your code returned ({kind}: {error})",
                 "  likely    a result of another kind than the docstring says"]
    output = printed.getvalue().strip().splitlines()
    if output and "print" not in lines[0]:
        more = [f"... and before, {len(output) - PRINTED} more lines"][:len(output) > PRINTED]
        lines += spec.told("printed", more + [line[:90] for line in output[-PRINTED:]])
    return "\n".join(lines)


def raised(error, frames, path):
    """An exception that passed through the student's file: what it is, and their lines."""
    kind, what = type(error).__name__, "".join(str(error).strip().splitlines()[:1])
    what = what if len(what) <= 200 else what[:200] + " ..."
    if isinstance(error, SystemExit):
        what = "the file ends Python; leave exit() out"
    elif isinstance(error, EOFError):
        what = "input() waits for a keyboard; nobody is there during a check"
    elif isinstance(error, RecursionError):
        what = "a function calls itself without end"
    lines = [f"your code raises {kind}" + (f": {what}" if what else "")]
    for frame in frames[-3:]:
        inside = "" if frame.name == "<module>" else f" in {frame.name}"
        lines.append(f"  {path.name}:{frame.lineno}{inside}:  {frame.line}")
    lines += spec.told("tried", getattr(error, "tried", None))
    lines += spec.told("likely", getattr(error, "likely", None) or likely(error, frames[-1].line))
    return lines


def likely(error, line):
    """What an exception, raised in this line, most often comes from; None for any other."""
    what = str(error)
    if isinstance(error, ValueError) and "could not be broadcast" in what:
        return ("a sum, mean or max along an axis takes the axis away: keepdims=True keeps it,\nso "
                "that the result fits the array again")
    if isinstance(error, ValueError) and what.startswith("matmul"):
        return ("(n, k) @ (k, m): the inner sizes do not agree. Is a transpose missing,\n.T or "
                ".swapaxes(-1, -2), or are the factors exchanged?")
    if isinstance(error, ValueError) and "to unpack" in what and "= saved" in line:
        return "the forward saves another number of things than are taken out here"
    if isinstance(error, IndexError) and "0-dimensional" in what or "unsized object" in what:
        return ("an array may be a single number, of shape (): it has no rows to go through, and "
                "no\n[:]. Arithmetic on the whole array, and x[...], fit every shape")
    if isinstance(error, IndexError) and "indexing arrays" in what:
        return ("arrays used together as an index need one shape: fold the leading axes of\nall "
                "into one first, with reshape")
    if isinstance(error, np.exceptions.AxisError):
        return "inputs may have one axis or many: axis=-1 is the last one of any"
    if isinstance(error, FloatingPointError) and "overflow" not in what:
        return "0 / 0, log(0), or inf - inf"
    if isinstance(error, NameError):
        return near_name(error)
    if isinstance(error, FloatingPointError) and "np.where" in line:
        return ("np.where computes both of its branches, also where one is not taken: no entry\nof "
                "either may overflow")
    if isinstance(error, FloatingPointError):
        return ("numbers grow too large: subtract the maximum first, or use a form that\ncannot "
                "overflow")
    return None


def near_name(error):
    """The name that a misspelled one is nearest to, where it was used; None if none is near."""
    frame = list(traceback.walk_tb(error.__traceback__))[-1][0]
    known = {**frame.f_globals, **frame.f_locals, **vars(builtins)}
    near = difflib.get_close_matches(error.name or "", known, n=1)
    return f"no name {error.name} is known here; is it {near[0]}?" if near else None


def compiler(message, path):
    """The lines of a compiler's message that speak of the student's file, its own line first."""
    message = re.sub(r"\x1b\[[0-9;]*m", "", message)
    at = re.search(rf'File "[^"]*{re.escape(path.name)}", line (\d+)', message)
    kept = [line for line in message.splitlines()
            if line.strip() and "site-packages" not in line and not line.startswith("During: ")]
    if at:
        text = linecache.getline(str(path), int(at[1])).strip()
        kept.insert(0, f"{path.name}:{at[1]}:  {text}")
    return ["  " + line for line in kept[:14]]


def main(name, path, out, limit):
    """Write one JSON line a verdict to `out`; if time runs out, the last one says so."""
    exercise, path, limit = catalog.load(name), Path(path), float(limit)
    with open(out, "w", encoding="utf-8") as sink:
        done = []

        def put(verdict):
            sink.write(json.dumps(asdict(verdict)) + "\n")
            sink.flush()
            done.append(verdict)

        def out_of_time():
            check = exercise.checks[min(len(done), len(exercise.checks) - 1)]
            put(Verdict(FILE if runs(load, main_thread) else title(check), WRONG,
                        overtime(limit, path, main_thread)))
            os._exit(OVERTIME)

        main_thread = threading.main_thread().ident
        watch = threading.Timer(limit, out_of_time)
        watch.daemon = True
        watch.start()
        for verdict in examine(exercise, path):
            put(verdict)
        watch.cancel()


def runs(function, thread):
    """Is the thread inside this function just now?"""
    frame = sys._current_frames().get(thread)
    while frame is not None and frame.f_code is not function.__code__:
        frame = frame.f_back
    return frame is not None


def overtime(limit, path, thread):
    """What is said of a file that does not end: where it was."""
    stopped = f"stopped after {limit:g} s: an endless loop, or far too slow"
    frames = sys._current_frames()
    for frame in (frames.pop(thread, None), *frames.values()):      # others: those of a kernel
        while frame is not None:
            if frame.f_code.co_filename == str(path):
                text = linecache.getline(str(path), frame.f_lineno).strip()
                name = frame.f_code.co_name
                inside = "" if name == "<module>" else f" in {name}"
                return f"{stopped}\n  it was at {path.name}:{frame.f_lineno}{inside}:  {text}"
            frame = frame.f_back
    return stopped


if __name__ == "__main__":
    main(*sys.argv[1:])

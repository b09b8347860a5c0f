"""check: is every op right? Its gradient against differences, each backend against the reference.

The inputs are the tests' own, tests/cases.py, and so are the tolerances.
"""

import sys
import time

from nanollm import backend, checkout
from nanollm.cli.options import table
from nanollm.errors import InputError

WORDS = """Check the ops: how far is each off, at worst, over all its test cases?

gradient   the reference's backward against central differences, in float64
others     a backend's results and gradients against the reference's in float64

With --backend one backend alone is checked, with numbers drawn anew each time.
Errors are relative to an array's largest entry. An error that is too large is marked, explained
below the table, and makes the exit code 1."""


def add(commands):
    parser = commands.add_parser(
        "check", help="check every op: gradients, and the backends against each other",
        description=WORDS, epilog="example:\n  python -m nanollm check softmax attention\n"
                                              "  python -m nanollm check --backend cuda")
    parser.add_argument("ops", nargs="*", metavar="OP", help="which ops (default: all)")
    parser.add_argument("--backend", metavar="NAME", help="check this one alone")
    parser.add_argument("--seed", type=int, metavar="N",
                        help="draw the numbers of seed N [0; with --backend by the clock]")
    parser.set_defaults(run=run)


def run(args):
    from tqdm import tqdm
    cases, judges = checkout.tests()
    rows = {}
    for case in cases.CASES + cases.STEPS:
        rows.setdefault(case[0], []).append(case)
    unknown = [op for op in args.ops if op not in rows]
    if unknown:
        raise InputError(f"no op {unknown[0]!r}; ops are {', '.join(rows)}")
    if args.backend:
        backend.module(args.backend)                            # if it cannot run, say so
    again = args.seed if args.seed is not None else args.backend and time.time_ns() % 1_000_000
    columns = [(name, dtype) for name in ([args.backend] if args.backend else available())
               for dtype in judges.CLOSE if (name, dtype) != ("numpy", "float64")]   # the reference
    lines, problems, missing = [], [], []
    if again:
        print(f"numbers of seed {again}: --seed {again} draws them again\n", flush=True)
    for op in tqdm(args.ops or rows, unit="op", leave=False, disable=not sys.stderr.isatty()):
        began = time.perf_counter()
        line = [op, len(rows[op])]
        step = rows[op][0] in cases.STEPS                       # not differentiated
        line.append(None if step else worst(gradient_error, rows[op], problems, judges))
        for name, dtype in columns:
            line.append(worst(step_error if step else parity_error, rows[op], problems, judges,
                              name, dtype, again=again or 0)
                        if hasattr(backend.module(name), op) else None)
        if args.backend and not hasattr(backend.module(args.backend), op):
            missing.append(op)
        lines.append([*line, round(time.perf_counter() - began, 2)])
    print(table(lines, ["op", "cases", "gradient", *(" ".join(c) for c in columns), "seconds"]))
    if missing:
        problems.append(f"not on this backend: {', '.join(missing)}")
    print("\nall is well" if not problems else "\n" + "\n".join(problems))
    return 1 if problems else 0


def available():
    """The backends that this machine can run."""
    for name in backend.MODULES:
        try:
            backend.module(name)
            yield name
        except InputError:
            pass


def worst(error, cases, problems, judges, *which, **settings):
    """The largest error over the cases, marked if it is too large; the reasons go to `problems`."""
    largest, failed = 0.0, False
    for case in cases:
        try:
            largest = max(largest, error(case, judges, *which, **settings))
        except Exception as problem:                    # also what a broken kernel may raise
            failed = True
            problems.append(f"{case[0]}, {case[1]}, {' '.join(which) or 'gradient'}: "
                            f"{type(problem).__name__}: {problem}")
    return f"{largest:.0e}" + " WRONG" * failed


def gradient_error(case, judges):
    return judges.check_gradient(case).worst


def parity_error(case, judges, name, dtype, again):
    """How far y and the gradients of backend `name` are from the reference's in float64."""
    with judges.poisoned(name):
        return judges.check_numbers(case, dtype, judges.pair(name, case[0]), judges.Arrays(name),
                                    again)


def step_error(case, judges, name, dtype, again):
    """How far five steps of backend `name` are from the reference's in float64."""
    with judges.poisoned(name):
        return judges.check_step(case, dtype, getattr(backend.module(name), case[0]),
                                 judges.Arrays(name), again)

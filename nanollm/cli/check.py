"""check: is every op right? Its gradient against differences, each backend against the reference.

The inputs are the tests' own, tests/cases.py, and so are the tolerances.
"""

import sys
import time
from pathlib import Path

from nanollm import backend
from nanollm.cli.options import table
from nanollm.errors import InputError

TESTS = Path(__file__).parents[2] / "tests"

WORDS = """Check the ops: how far is each off, at worst, over all its test cases?

gradient   the reference's backward against central differences, in float64
others     a backend's results and gradients against the reference's in float64

Errors are relative to an array's largest entry. An error that is too large is marked, explained
below the table, and makes the exit code 1."""


def add(commands):
    parser = commands.add_parser(
        "check", help="check every op: gradients, and the backends against each other",
        description=WORDS, epilog="example:\n  python -m nanollm check softmax attention")
    parser.add_argument("ops", nargs="*", metavar="OP", help="which ops (default: all)")
    parser.set_defaults(run=run)


def run(args):
    from tqdm import tqdm
    cases, judges = load()
    rows = {}
    for case in cases.CASES:
        rows.setdefault(case[0], []).append(case)
    unknown = [op for op in args.ops if op not in rows]
    if unknown:
        raise InputError(f"no op {unknown[0]!r}; ops are {', '.join(rows)}")
    columns = [(name, dtype) for name in available() for dtype in judges.CLOSE
               if (name, dtype) != ("numpy", "float64")]        # that is the reference
    lines, problems = [], []
    for op in tqdm(args.ops or rows, unit="op", leave=False, disable=not sys.stderr.isatty()):
        began = time.perf_counter()
        line = [op, len(rows[op]), worst(gradient_error, rows[op], problems, judges)]
        for name, dtype in columns:
            line.append(worst(parity_error, rows[op], problems, judges, name, dtype)
                        if hasattr(backend.module(name), op) else None)
        lines.append([*line, round(time.perf_counter() - began, 2)])
    print(table(lines, ["op", "cases", "gradient", *(" ".join(c) for c in columns), "seconds"]))
    print("\nall is well" if not problems else "\n" + "\n".join(problems))
    return 1 if problems else 0


def load():
    """The tests' table of cases and their judges; they stand beside the package."""
    if not (TESTS / "cases.py").is_file():
        raise InputError(f"check needs {TESTS / 'cases.py'}: run it from a checkout of the project")
    sys.path.insert(0, str(TESTS))
    import cases
    import judges
    return cases, judges


def available():
    """The backends that this machine can run."""
    for name in backend.MODULES:
        try:
            backend.module(name)
            yield name
        except InputError:
            pass


def worst(error, cases, problems, judges, *which):
    """The largest error over the cases, marked if it is too large; the reasons go to `problems`."""
    largest, failed = 0.0, False
    for case in cases:
        try:
            largest = max(largest, error(case, judges, *which))
        except Exception as problem:                    # also what a broken kernel may raise
            failed = True
            problems.append(f"{case[0]}, {case[1]}, {' '.join(which) or 'gradient'}: "
                            f"{type(problem).__name__}: {problem}")
    return f"{largest:.0e}" + " WRONG" * failed


def gradient_error(case, judges):
    return judges.check_gradient(case).worst


def parity_error(case, judges, name, dtype):
    """How far y and the gradients of backend `name` are from the reference's in float64."""
    return judges.check_numbers(case, dtype, judges.pair(name, case[0]), judges.Arrays(name))

"""The contract: every backend has every op, every op its rows and its page, a page its words."""

import importlib
import inspect
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest

from cases import CASES, LARGE, STEPS
from judges import check_signatures, public
from nanollm import functional, ops

ROOT = Path(__file__).parents[1]
FUNCTIONS = public(ops)
PAIRS = {name.removesuffix("_backward") for name in FUNCTIONS if name.endswith("_backward")}
ARRAYS = {name for name, f in FUNCTIONS.items() if f.__module__ == "nanollm.ops.arrays"}
DRAWS = {"keep"}                # differ from backend to backend: judged in test_facts.py
SECTIONS = ["Equation", "Shapes", "Saved", "Backward", "Source", "Kernels", "Used by"]
PAGES = sorted({f.__module__ for name, f in FUNCTIONS.items() if name not in ARRAYS})


def test_a_backend_has_the_names_and_signatures_of_the_reference(backend):
    check_signatures(backend)


def test_every_pair_has_rows_in_cases():
    assert {op for op, _, _ in CASES} == PAIRS
    assert {op for op, _, _ in LARGE} == PAIRS


def test_every_step_has_rows_in_cases():
    backwards = {op + "_backward" for op in PAIRS}
    steps = set(FUNCTIONS) - PAIRS - backwards - ARRAYS - DRAWS
    assert {step for step, _, _ in STEPS} == steps


@pytest.mark.parametrize("rows", [CASES, LARGE, STEPS], ids=["cases", "large", "steps"])
def test_no_two_rows_have_the_same_name(rows):
    names = [(op, label) for op, label, _ in rows]
    assert len(names) == len(set(names))


def test_backward_takes_dy_and_saved():
    for op in PAIRS:
        assert str(inspect.signature(FUNCTIONS[op + "_backward"])) == "(dy, saved)"


def test_functional_has_one_line_for_each_pair():
    for op in PAIRS:
        assert inspect.signature(getattr(functional, op)) == inspect.signature(FUNCTIONS[op])


def test_every_page_of_ops_is_reached_from_the_package():
    files = {f"nanollm.ops.{page.name}" for page in pkgutil.iter_modules(ops.__path__)}
    assert files == {*PAGES, "nanollm.ops.arrays", "nanollm.ops.checks"}


@pytest.mark.parametrize("page", PAGES)
def test_a_page_has_its_sections_in_order(page):
    module = importlib.import_module(page)
    first, *_ = module.__doc__.splitlines()
    assert first.endswith(".")
    expected = [s for s in SECTIONS if s != "Backward" or has_backward(module)]
    assert re.findall(rf"^({'|'.join(SECTIONS)})\b  ", module.__doc__, re.MULTILINE) == expected


@pytest.mark.parametrize("page", PAGES)
def test_a_page_names_the_kernels_there_are(page):
    doc = importlib.import_module(page).__doc__
    named = re.findall(r"kernels/\w+/\w+\.py", doc)
    assert all((ROOT / path).is_file() for path in named)
    assert named or "Kernels     none: " in doc
    ours = f"kernels/cpu/{page.rpartition('.')[2]}.py"
    assert ours in named or not (ROOT / ours).exists()


def has_backward(module):
    return any(name.endswith("_backward") and f.__module__ == module.__name__
               for name, f in public(module).items())


def test_importing_nanollm_imports_neither_numba_nor_matplotlib():
    code = ("import sys, nanollm, nanollm.ops, nanollm.functional, nanollm.gradcheck, nanollm.nn, "
            "nanollm.optim; print(*({'numba', 'matplotlib'} & set(sys.modules)))")
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert (result.returncode, result.stdout.strip()) == (0, ""), result.stderr + result.stdout

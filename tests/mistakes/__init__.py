"""Mistakes planted in the solved pages of the exercises: each must be told by its kind.

A file a group (ops.py, pieces.py, kernels.py, cuda.py, museum.py) holds ROWS: (exercise, function,
old, new, regex). In the solved page's `function` ("f", "Class.method"; "" for the whole page), `old`
becomes `new`; the first message that a student would read must match `regex`.

    python -m tests.mistakes [GROUP ...]        the table of all mistakes and their messages
"""

import ast
import importlib
import sys
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
GROUPS = ("ops", "pieces", "kernels", "cuda", "museum")

sys.path[:0] = [path for path in (str(TESTS), str(TESTS.parent)) if path not in sys.path]


def rows(group):
    """The planted mistakes of a group."""
    return importlib.import_module(f"mistakes.{group}").ROWS


def plant(page, function, old, new):
    """The text of `page` with `old` replaced in one of its functions."""
    from nanollm.exercises.stubs import functions
    lines, first, last = page.splitlines(keepends=True), 0, None
    if function:
        node = functions(ast.parse(page))[function]
        first = min([node.lineno, *(d.lineno for d in node.decorator_list)]) - 1
        last = node.end_lineno
    part = "".join(lines[first:last])
    assert old in part, f"{function or 'the page'} has no {old!r}: adapt this row to its page"
    return "".join(lines[:first]) + part.replace(old, new) + "".join(
        lines[last:] if function else [])

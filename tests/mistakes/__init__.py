"""Mistakes planted in the solved pages of the exercises: each must be told by its kind.

A file a group (ops.py, pieces.py, kernels.py, cuda.py, museum.py) holds ROWS: (exercise, function,
old, new, regex). In the solved page's `function` ("f", "Class.method"; "": the whole page), `old`
becomes `new`; the first message that a student would read must match `regex`.

right.py holds the opposite: other right answers, which must pass.

    python -m tests.mistakes [GROUP ...]        the table of all mistakes and their messages
"""

import importlib
import sys
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
GROUPS = ("ops", "pieces", "kernels", "cuda", "museum")

sys.path[:0] = [path for path in (str(TESTS), str(TESTS.parent)) if path not in sys.path]


def rows(group):
    """The planted mistakes of a group; of "right", the other right answers of all."""
    return importlib.import_module(f"mistakes.{group}").ROWS


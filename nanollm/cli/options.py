"""What several commands share: the options --backend and --quiet, and aligned tables."""

import os
import shutil
import sys

from nanollm import backend


def add_backend(parser, when=""):
    parser.add_argument("--backend", metavar="NAME",
                        help=f"{when}{', '.join(backend.MODULES)}: whose kernels compute (default "
                        "numba, or the environment variable NANOLLM_BACKEND)")


def program():
    """How this program is called here: "python -m nanollm" if `python` is the one now running."""
    known = shutil.which("python")
    if known and os.path.abspath(known) == os.path.abspath(sys.executable):
        return "python -m nanollm"
    near = os.path.relpath(sys.executable) if os.name == "posix" else sys.executable
    return f"{sys.executable if near.startswith('..') else near} -m nanollm"


def choose_backend(args, default=None):
    """Use the backend of --backend, or else the default one. InputError if this machine cannot."""
    backend.use(args.backend or default or backend.current())


def tell_change(before):
    """Say so where a run goes on with another backend than `before`, if there was one."""
    if before not in (None, backend.current()):
        print(f"backend    {before} until now, {backend.current()} from here on: its rounding, and "
              "so the last bits, differ", flush=True)


def table(rows, header):
    """Lines of an aligned table: text to the left, numbers to the right."""
    rows = [list(row) for row in rows]
    cells = [list(header), *([shown(value) for value in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells)]
    right = [all(isinstance(row[i], int | float | None) for row in rows)
             for i in range(len(header))]
    return "\n".join("  ".join(
        cell.rjust(width) if to_right else cell.ljust(width)
        for cell, width, to_right in zip(line, widths, right)).rstrip() for line in cells)


def shown(value):
    """A value as a table shows it: four digits of a fraction, commas in a whole number."""
    if value is None:
        return "-"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        if value == 0 or 0.001 <= abs(value) < 1000:
            return f"{value:.4g}"
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.1e}"
    return str(value)

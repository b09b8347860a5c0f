"""Which exercises there are: the files of specs/, each imported when it is asked for."""

import difflib
import importlib
from pathlib import Path

from nanollm.cli.options import program
from nanollm.errors import InputError

SPECS = Path(__file__).parent / "specs"
MET = ("softmax", "cross_entropy", "descent", "adam", "rnn", "lstm_step", "lstm", "gru",
       "layernorm", "gelu", "dropout", "kv_cache", "decode", "kernel_gelu", "kernel_softmax",
       "kernel_scatter")


def names():
    """The names of all exercises, in alphabetical order, without importing any."""
    return sorted(path.stem for path in SPECS.glob("*.py") if path.stem != "__init__")


def load(name):
    """The Exercise of this name. Raises InputError if there is none."""
    if name not in names():
        near = difflib.get_close_matches(Path(name.lower()).stem, names(), n=3)
        raise InputError(f"there is no exercise {name!r}" + (
            f"; did you mean {' or '.join(near)}?" if near
            else f"; `{program()} exercise list` lists them"))
    return importlib.import_module(f"nanollm.exercises.specs.{name}").EXERCISE


def all_of_them():
    """All exercises in the order of the course: by notebook, its bugs from the museum last; in one
    notebook as it names them (MET), where that is not by name.
    """
    return sorted(map(load, names()), key=lambda e: (
        e.notebook, e.group == "museum", MET.index(e.name) if e.name in MET else 0, e.name))

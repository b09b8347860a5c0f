"""The folder where the student works: exercises/ of the checkout, which git ignores.

    NAME.py        what the student writes
    scores.json    {NAME: the last report, of which text of the file it speaks, hints asked for}
    conftest.py    lets plain `pytest exercises` do the same checks

The environment variable NANOLLM_EXERCISES names another folder.
"""

import hashlib
import os
from pathlib import Path

from nanollm import files
from nanollm.checkout import ROOT
from nanollm.errors import InputError
from nanollm.exercises import stubs

CONFTEST = '''"""`pytest exercises` checks what was written here, as `exercise check` does."""

from nanollm.exercises.collect import pytest_collect_file  # noqa: F401
'''


def folder():
    """Where the student's files lie. InputError if that is no folder."""
    found = Path(os.environ.get("NANOLLM_EXERCISES") or ROOT / "exercises")
    if found.exists() and not found.is_dir():
        raise InputError(f"{found} is a file, expected the folder of the exercises: move it away, "
                         "or let NANOLLM_EXERCISES name another")
    return found


def path(name):
    """The student's file of an exercise."""
    return folder() / f"{name}.py"


def shown(path):
    """A path as one would type it here."""
    try:
        return str(path.resolve().relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def start(exercise, again=False):
    """Write the stub; returns where the old file was put aside, if there was one.

    Raises InputError where a file exists, unless `again`.
    """
    target, kept = path(exercise.name), None
    if target.exists():
        if not again:
            raise InputError(f"{shown(target)} exists and is left alone; --again begins anew and "
                             "keeps it aside")
        n = 1
        while (kept := target.with_name(f"{target.stem}.{n}.old")).exists():
            n += 1
    folder().mkdir(parents=True, exist_ok=True)
    if kept:
        target.rename(kept)
    files.write(target, stubs.make(exercise).encode())
    conftest = folder() / "conftest.py"
    if not conftest.exists():
        files.write(conftest, CONFTEST.encode())
    return kept


def read():
    """The score sheet: empty if there is none yet. InputError if it is damaged."""
    scores = folder() / "scores.json"
    try:
        found = files.read_json(scores) if scores.exists() else {}
        if all(map(is_score, found.values())):
            return found
    except InputError:
        pass
    raise InputError(f"{scores} is damaged: delete it (it holds how far you are, not what you "
                     "wrote)")


def is_score(entry):
    """Can a score sheet hold this of an exercise?"""
    return isinstance(entry, dict) and isinstance(entry.get("hints", 0), int) and (
        "digest" not in entry or {"passed", "of"} <= entry.keys())


def keep(name, **entries):
    """Write entries of an exercise into the score sheet."""
    scores = read()
    scores[name] = {**scores.get(name, {}), **entries}
    files.write_json(folder() / "scores.json", scores)


def digest(name):
    """What tells one text of the student's file from another."""
    return hashlib.sha256(path(name).read_bytes()).hexdigest()


def keep_report(report):
    """Write what a check has found into the score sheet."""
    keep(report.name, passed=report.passed, of=len(report.checks), digest=digest(report.name))


def state(name, scores):
    """How far the student is: "not started", "started", "passed", or "k of n checks"."""
    if not path(name).is_file():
        return "not started"
    score = scores.get(name, {})
    if "digest" not in score:
        return "started"
    found = "passed" if score["passed"] == score["of"] else (
        f"{score['passed']} of {score['of']} checks")
    return found if score["digest"] == digest(name) else f"changed since ({found})"

"""Check a student's file in a process of its own: it may loop, crash or exit as it likes.

Nothing is sent anywhere: the verdicts come back through a file.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from nanollm.checkout import ROOT
from nanollm.cli.options import program
from nanollm.errors import InputError
from nanollm.exercises.examine import FILE, OVERTIME, PASSED, SKIPPED, WRONG, Verdict, title

GRACE = 10          # seconds beyond the limit, in which a process should have ended by itself


@dataclass
class Report:
    """The verdicts of all checks of one exercise, and before them what is wrong with the file."""

    name: str
    verdicts: list
    seconds: float

    @property
    def checks(self):
        """The verdicts of the checks alone."""
        return [verdict for verdict in self.verdicts if verdict.title != FILE]

    @property
    def passed(self):
        return sum(verdict.state == PASSED for verdict in self.checks)

    @property
    def complete(self):
        return self.passed == len(self.verdicts)

    @property
    def first(self):
        """The verdict to be read first: a wrong one before one that is not written, FILE before
        all; or None.
        """
        failed = [v for v in self.verdicts if v.state != PASSED]
        return next((v for v in failed if v.state == WRONG), failed[0] if failed else None)

    def json(self):
        """The report as it stands in a score sheet."""
        return {"exercise": self.name, "passed": self.passed, "of": len(self.checks),
                "seconds": round(self.seconds, 2), "checks": list(map(asdict, self.verdicts))}


def check(exercise, path):
    """The Report of `exercise` on the file `path`."""
    path, began = Path(path).resolve(), time.perf_counter()
    if path.is_dir():
        raise InputError(f"{path} is a folder, expected a file: move it away, and `{program()} "
                         f"exercise start {exercise.name}` writes one")
    if not path.is_file():
        raise InputError(f"there is no {path}: `{program()} exercise start {exercise.name}` "
                         "writes it")
    environment = {**os.environ, **exercise.environment, "PYTHONPATH": os.pathsep.join(
        filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))}
    with tempfile.TemporaryDirectory(prefix="nanollm-") as folder:
        out = Path(folder) / "verdicts"
        command = [sys.executable, "-m", "nanollm.exercises.examine", exercise.name, str(path),
                   str(out), str(exercise.limit)]
        code = run(command, environment, exercise.limit + GRACE, Path(folder) / "errors")
        lines = out.read_text("utf-8").splitlines() if out.exists() else []
        complaint = (Path(folder) / "errors").read_text("utf-8", "replace").strip()
    verdicts = [Verdict(**json.loads(line)) for line in lines]
    checks = exercise.checks
    if len(verdicts) < len(checks) and code != OVERTIME:
        if not verdicts and "Traceback" in complaint and code == 1:
            raise RuntimeError(complaint)                       # a mistake of ours
        verdicts.append(Verdict(title(checks[len(verdicts)]), WRONG, ended(exercise, code)))
    reached = sum(verdict.title != FILE for verdict in verdicts)
    verdicts += [Verdict(title(check), SKIPPED) for check in checks[reached:]]
    return Report(exercise.name, verdicts, time.perf_counter() - began)


def run(command, environment, limit, errors):
    """Run a command silently in the project's root; its exit code, None if it had to be ended."""
    with open(errors, "wb") as sink:
        process = subprocess.Popen(command, env=environment, cwd=ROOT, stdin=subprocess.DEVNULL,
                                   stdout=subprocess.DEVNULL, stderr=sink)
        try:
            return process.wait(limit)
        except subprocess.TimeoutExpired:
            return None
        finally:
            process.kill()
            process.wait()


def ended(exercise, code):
    """What is said of a process that ended before its last check."""
    if code is None:
        return f"stopped after {exercise.limit:g} s: an endless loop, or far too slow"
    return (f"Python ended in the middle of this check (exit code {code})\n  likely    the file "
            "ends it, a kernel writes outside its arrays, or memory ran out")

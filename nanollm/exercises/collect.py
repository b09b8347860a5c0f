"""Plain `pytest exercises`: a test for the file of each exercise, and one for each of its checks.

exercises/conftest.py takes `pytest_collect_file` from here.
"""

import pytest

from nanollm.errors import InputError
from nanollm.exercises import catalog, sheet
from nanollm.exercises.examine import FILE, PASSED, WRONG, title


def pytest_collect_file(file_path, parent):
    """Collect NAME.py if NAME is an exercise and the file lies in the exercises' folder."""
    if (file_path.suffix == ".py" and file_path.stem in catalog.names()
            and file_path == sheet.path(file_path.stem).resolve()):
        return ExerciseFile.from_parent(parent, path=file_path)


class ExerciseFile(pytest.File):
    """A student's file. Its checks run all at once, in a process of their own, when first asked."""

    report = None

    def collect(self):
        self.told = {""}
        self.exercise = catalog.load(self.path.stem)
        for name in FILE, *map(title, self.exercise.checks):
            yield ExerciseItem.from_parent(self, name=name)

    def verdict(self, title):
        """The Verdict of this title; None for FILE if nothing is wrong with the file."""
        from nanollm.exercises import isolated
        if self.report is None:
            self.report = isolated.check(self.exercise, self.path)
            sheet.keep_report(self.report)
        return next((v for v in self.report.verdicts if v.title == title), None)


class ExerciseItem(pytest.Item):
    """One check of one exercise, or FILE: can the checks be reached?"""

    def runtest(self):
        verdict = self.parent.verdict(self.name)
        if verdict is None or verdict.state == PASSED:
            return
        if verdict.state != WRONG and verdict.message in self.parent.told:
            pytest.skip(verdict.state)                          # once is enough
        self.parent.told.add(verdict.message)
        raise Failed(verdict.message)

    def repr_failure(self, excinfo, style=None):
        if isinstance(excinfo.value, Failed | InputError):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self):
        return self.path, None, f"{self.path.stem}: {self.name}"


class Failed(Exception):
    """A check says no; the message is the whole story."""

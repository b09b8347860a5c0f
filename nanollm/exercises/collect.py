"""Plain `pytest exercises`: a test for each check of each exercise that was started.

exercises/conftest.py takes `pytest_collect_file` from here.
"""

import pytest

from nanollm.exercises import catalog, sheet
from nanollm.exercises.examine import EMPTY, PASSED, SKIPPED, title


def pytest_collect_file(file_path, parent):
    """Collect NAME.py if NAME is an exercise and the file lies in the exercises' folder."""
    if (file_path.suffix == ".py" and file_path.stem in catalog.names()
            and file_path == sheet.path(file_path.stem).resolve()):
        return ExerciseFile.from_parent(parent, path=file_path)


class ExerciseFile(pytest.File):
    """A student's file. Its checks run all at once, in a process of their own, when first asked."""

    report = None

    def collect(self):
        self.exercise = catalog.load(self.path.stem)
        for number, check in enumerate(self.exercise.checks):
            yield ExerciseItem.from_parent(self, name=title(check), number=number)

    def verdict(self, number):
        from nanollm.exercises import isolated
        if self.report is None:
            self.report = isolated.check(self.exercise, self.path)
            sheet.keep_report(self.report)
        return self.report.verdicts[number]


class ExerciseItem(pytest.Item):
    """One check of one exercise."""

    def __init__(self, number, **settings):
        super().__init__(**settings)
        self.number = number

    def runtest(self):
        verdict = self.parent.verdict(self.number)
        if verdict.state == SKIPPED:
            pytest.skip(SKIPPED)
        if verdict.state != PASSED:
            raise Failed(verdict.message or EMPTY)

    def repr_failure(self, excinfo, style=None):
        if isinstance(excinfo.value, Failed):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self):
        return self.path, None, f"{self.path.stem}: {self.name}"


class Failed(Exception):
    """A check says no; the message is the whole story."""

"""What lies beside the package in a checkout of the project: the tests' table of cases."""

import sys
from pathlib import Path

from nanollm.errors import InputError

ROOT = Path(__file__).resolve().parents[1]


def tests():
    """The modules `cases` and `judges` of the tests. Raises InputError where they are missing."""
    folder = ROOT / "tests"
    if not (folder / "cases.py").is_file():
        raise InputError(f"{folder / 'cases.py'} is missing: run from a checkout of the project")
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
    import cases
    import judges
    return cases, judges

"""What the notebooks of the course share: how long they compute.

    steps = course.sized(400, quick=20)     400, or 20 where NANOLLM_QUICK is set

The tests run every notebook with NANOLLM_QUICK=1.
"""

import os


def sized(full, quick):
    """A size that is `full` for a reader and `quick` for the tests."""
    return quick if os.environ.get("NANOLLM_QUICK") else full

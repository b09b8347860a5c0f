"""For all checks of the CUDA kernels: memory full of NaN, and a share of the checks a process.

SIMULATOR_SHARE=1/2 leaves every second check out; 0/2 runs these. Each such process keeps to one
processor: the simulator's threads only take turns, and do so faster there.
"""

import os

import pytest

from judges import poisoned


def share():
    """(which, of how many)"""
    which, _, of = os.environ.get("SIMULATOR_SHARE", "0/1").partition("/")
    return int(which), int(of)


def pytest_configure():
    if os.environ.get("NUMBA_ENABLE_CUDASIM") == "1" and hasattr(os, "sched_setaffinity"):
        processors = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {processors[share()[0] % len(processors)]})


def pytest_collection_modifyitems(items):
    which, of = share()
    items[:] = items[which::of]


@pytest.fixture(autouse=True)
def poisoned_memory():
    """All that `empty` lends is full of NaN: an entry that no thread writes shows."""
    with poisoned("cuda"):
        yield

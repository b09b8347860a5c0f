"""Parametrize: a test that takes `case`, `large` or `step` runs on every row of that table.

A test that takes `backend` runs on each backend: numpy and numba, or those that the environment
variable NANOLLM_TEST_BACKENDS names (the CUDA simulator and plain Python run in processes of their
own).
"""

import os
import zlib

import pytest

from cases import CASES, LARGE, STEPS, Draw
from judges import Arrays
from nanollm.backend import module

BACKENDS = os.environ.get("NANOLLM_TEST_BACKENDS", "numpy numba").split()
TABLES = {"case": CASES, "large": LARGE, "step": STEPS}


def pytest_generate_tests(metafunc):
    for name, rows in TABLES.items():
        if name in metafunc.fixturenames:
            metafunc.parametrize(name, rows, ids=[f"{op}, {label}" for op, label, _ in rows])
    if "backend" in metafunc.fixturenames:
        metafunc.parametrize("backend", BACKENDS)


@pytest.fixture
def r(request):
    """Random float64 arrays, the same for a test every time."""
    return Draw(zlib.crc32(request.node.name.encode()))


@pytest.fixture
def arrays(backend):
    """How arrays reach the backend under test and come back."""
    return Arrays(backend)


@pytest.fixture
def kernels(backend):
    """The module of the backend under test: kernels.softmax, kernels.softmax_backward ..."""
    return module(backend)


@pytest.fixture(autouse=True)
def ctrl_c_ends_the_tests(request, monkeypatch):
    """A training inside a test would take Ctrl-C for itself (tests of training send their own)."""
    if request.module.__name__ not in ("test_train", "checks_training", "checks_fit"):
        monkeypatch.setattr("nanollm.interrupt.Interrupt.ask",
                            lambda *_: pytest.exit("stopped by Ctrl-C", returncode=130))

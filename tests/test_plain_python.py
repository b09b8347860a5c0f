"""The CPU kernels are right as plain Python too: what one steps through with a debugger."""

import os
import subprocess
import sys
from pathlib import Path


def test_the_cpu_kernels_agree_with_the_reference_without_compilation():
    settings = {"NUMBA_DISABLE_JIT": "1", "NANOLLM_TEST_BACKENDS": "numba"}
    result = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "tests/test_ops.py",
         "-k", "agree_with_the_reference and not large"],
        cwd=Path(__file__).parents[1], env=os.environ | settings, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout[-5000:] + result.stderr

"""What the notebooks of the course share: how long they compute, and where CUDA kernels run.

    steps = course.sized(400, quick=20)     400, or 20 where NANOLLM_QUICK is set
    where = course.gpu_or_simulator()       before anything imports numba

The tests run every notebook with NANOLLM_QUICK=1.
"""

import ctypes
import os
import sys
from importlib.util import find_spec

from nanollm.errors import InputError


def sized(full, quick):
    """A size that is `full` for a reader and `quick` for the tests."""
    return quick if os.environ.get("NANOLLM_QUICK") else full


def gpu_or_simulator():
    """Choose where CUDA kernels run in this process, and say it in a line.

    The GPU, if there is one and numba-cuda is installed; else, or with NANOLLM_CUDA=simulator,
    Numba's simulator, which needs two variables before numba is imported.

    Raises InputError where that has happened already.
    """
    if os.environ.get("NANOLLM_CUDA") != "simulator" and gpus() and find_spec("numba_cuda"):
        return "on this machine's GPU"
    settings = {"NUMBA_ENABLE_CUDASIM": "1", "NUMBA_DISABLE_JIT": "1"}
    if "numba" in sys.modules and not sys.modules["numba"].config.ENABLE_CUDASIM:
        raise InputError("numba is imported already, without its simulator: restart the notebook's "
                         "kernel and run it from the top")
    os.environ.update(settings)
    return "in Numba's simulator: each thread of the GPU is a thread of Python"


def gpus():
    """How many GPUs NVIDIA's driver finds; 0 without a driver."""
    try:
        driver = ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return 0
    count = ctypes.c_int(0)
    found = driver.cuInit(0) == 0 and driver.cuDeviceGetCount(ctypes.byref(count)) == 0
    return count.value if found else 0

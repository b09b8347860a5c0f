"""The one door to numba.cuda: kernel files say `from kernels.cuda.device import cuda`.

Whoever comes here asked for the GPU. If this machine has none that works, an InputError says in
one line what is missing and what to do.

In Numba's simulator (both environment variables below, set before Numba is imported) a kernel runs
as Python, a thread of Python for each thread of the GPU: slow, but it needs no GPU, and one can
print and set breakpoints in it.
"""

import importlib
import sys
import threading
from importlib.util import find_spec

import numpy as np

from nanollm.errors import InputError

INSTEAD = ("use --backend numba, or, to study the kernels, Numba's simulator: "
           "NUMBA_ENABLE_CUDASIM=1 NUMBA_DISABLE_JIT=1")
OLDEST = (12, 0)                                 # CUDA of the driver that cu12 packages can use


class Simulator:
    """What the simulator offers under the name `cuda`, safe in every module.

    Inside a kernel, `cuda.threadIdx` and the rest belong to the launch that is running. The
    simulator puts that launch into a module's name `cuda` when a function of the module is entered
    and takes it out when it is left, which for a device function in another module than its
    kernel's happens once a thread, under the feet of the others. Here the launch is looked up at
    each use instead.
    """

    def __init__(self, cuda):
        self._cuda = cuda
        cuda.simulator.kernelapi.FakeCUDAShared.array = shared_array

    def __getattr__(self, name):
        launch = self._cuda.simulator.kernel._get_kernel_context()
        return getattr(self._cuda if launch is None else launch, name)


one_at_a_time = threading.Lock()


def shared_array(self, shape, dtype):
    """A shared array in the simulator: one for each call that asks, the same for all of a block.

    The simulator's own looks for it and makes it in two steps, between which another thread can
    make a second one.
    """
    return shared_numbers(self, sys._getframe(1), shape, dtype, np.empty)


def shared_numbers(block, frame, shape, dtype, make):
    """The array of the call that `frame` is at; made by the first thread that comes."""
    with one_at_a_time:
        place = frame.f_code, frame.f_lasti
        if place not in block._allocations:
            block._allocations[place] = make(shape, dtype)
        return block._allocations[place]


def find():
    """numba.cuda, or the simulator in its place; InputError if neither can run here."""
    try:
        import numba
    except ModuleNotFoundError:
        raise unusable("Numba is not installed (pip install -r requirements.txt)") from None
    simulated = numba.config.ENABLE_CUDASIM
    if sys.platform == "darwin" and not simulated:
        raise unusable("there is no CUDA on macOS")
    try:
        from numba import cuda
    except ImportError:
        raise unusable(f"Numba {numba.__version__} comes without CUDA "
                       "(pip install -r requirements-gpu.txt)") from None
    if simulated:
        sys.setswitchinterval(1e-4)              # its threads wait for each other: 5 times faster
        return Simulator(cuda)
    if not cuda.is_available():
        problem = " ".join((cuda.cuda_error() or "").split())
        if not problem:
            raise unusable("NVIDIA's compiler was not found (pip install -r requirements-gpu.txt)")
        if "library cannot be found" in problem:
            raise unusable("no NVIDIA driver was found on this machine")
        raise unusable(f"no GPU was found on this machine ({problem})")
    version = cuda.cudadrv.driver.get_version()
    if version < OLDEST:
        raise unusable("the NVIDIA driver is too old: it knows CUDA {}.{}, needed is {}.{} or "
                       "later (update the driver)".format(*version, *OLDEST))
    if not find_spec("numba_cuda"):              # Numba's own is older than these kernels need
        raise unusable("numba-cuda is not installed (pip install -r requirements-gpu.txt)")
    numba.config.CUDA_LOW_OCCUPANCY_WARNINGS = 0     # small arrays make small grids: no news
    return cuda


def unusable(reason):
    return InputError(f"backend cuda: {reason}; {INSTEAD}")


class SimulatedFailure(Exception):
    """Stands for the driver's error in the simulator, which has no driver."""


def failed(error):
    """The driver's error in one line that says what to do."""
    words = " ".join(str(error).split())
    if out_of_memory(error):
        return InputError("the GPU's memory is full: take a smaller batch, or end what else is "
                          "using it")
    return InputError(f"the GPU failed ({words}), and this process cannot go on with it; a run's "
                      "last checkpoint, if it has one, is whole: go on from it with --resume")


def out_of_memory(error):
    return "OUT_OF_MEMORY" in str(error)


def failures():
    """The exceptions by which numba-cuda says that the driver reports an error.

    Memory and copies go through its own binding, launches through NVIDIA's cuda.core.
    """
    if SIMULATED:
        return (SimulatedFailure,)
    core = importlib.import_module("cuda.core._utils.cuda_utils")
    return cuda.cudadrv.driver.CudaAPIError, core.CUDAError


cuda = find()
SIMULATED = isinstance(cuda, Simulator)
FAILURE = failures()

"""Does every CUDA kernel compile, and does a float32 kernel keep to float32? No GPU is needed.

    pip install -r requirements-gpu.txt          about 800 MB
    python tests/ptx.py                          one to two minutes
    python tests/ptx.py softmax                  only kernels with this in their names
    python tests/ptx.py --registers softmax      assemble them as well

The simulator knows no types; here are types and no numbers. The cases run with arrays of paper,
which have a shape and a dtype, and where a kernel would be launched it is compiled to PTX for the
types of its arguments, as the GPU's driver would get it, for three generations of GPUs. Paper can
do no arithmetic, as a device array can not, and what the host reads back is all zeros: so an op
that leans on the host shows here too.

--registers gives what each kernel takes of a multiprocessor: registers a thread, bytes a thread of
"local" memory, where what finds no room in registers goes and comes back from, and bytes of shared
memory a block.
"""

import re
import subprocess
import sys
import tempfile
from collections import Counter
from functools import partial
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from types import SimpleNamespace

import numpy as np

ROOT = Path(__file__).parents[1]
CAPABILITIES = (7, 0), (8, 0), (9, 0)            # Volta, Ampere, Hopper
PROCESSORS = 132                                 # of the GPU that we pretend to have


class Paper:
    """A device array without a device: what the code around kernels may ask of one."""

    __cuda_ndarray__ = True

    def __init__(self, zeros, owner=None):
        self._zeros, self._owner = zeros, owner
        self.shape, self.dtype, self.ndim = zeros.shape, zeros.dtype, zeros.ndim
        self.size, self.nbytes, self.strides = zeros.size, zeros.nbytes, zeros.strides
        self.__cuda_array_interface__ = zeros.__array_interface__

    def reshape(self, *shape):
        return Paper(self._zeros.reshape(*shape), self)

    def view(self, dtype):
        return Paper(self._zeros.view(dtype), self)

    def __getitem__(self, index):
        return Paper(self._zeros[index], self)

    def __len__(self):
        return len(self._zeros)

    def is_c_contiguous(self):
        return self._zeros.flags.c_contiguous

    def copy_to_device(self, x, stream=0):
        assert x.shape == self.shape and x.dtype == self.dtype

    def copy_to_host(self, ary=None, stream=0):
        return np.zeros(self.shape, self.dtype)


def pretend_a_gpu(launch):
    """Answer what the backend and Numba ask of a driver; launch(kernel, grid, threads, ...)."""
    from numba import cuda
    device = SimpleNamespace(compute_capability=CAPABILITIES[-1], MULTIPROCESSOR_COUNT=PROCESSORS)
    cuda.is_available = lambda: True
    cuda.cudadrv.driver.get_version = lambda: (12, 9)
    cuda.get_current_device = cuda.dispatcher.get_current_device = lambda: device
    cuda.device_array = lambda shape, dtype: Paper(np.zeros(shape, dtype))
    cuda.as_cuda_array = lambda x: Paper(
        np.zeros(x.__cuda_array_interface__["shape"], x.__cuda_array_interface__["typestr"]), x)
    cuda.dispatcher.CUDADispatcher.configure = (
        lambda kernel, grid, threads, *_: partial(launch, kernel, grid, threads))


def numba_type(x):
    """The type that a kernel sees."""
    from numba import from_dtype, typeof, types
    if isinstance(x, Paper):
        assert x.is_c_contiguous(), f"an array of shape {x.shape} has strides {x.strides}"
        return types.Array(from_dtype(x.dtype), x.ndim, "C")
    if isinstance(x, tuple):
        return types.Tuple(tuple(map(numba_type, x)))
    return typeof(x)


def run_cases():
    """Every row of cases.py for each op that the backend has, and what has no row."""
    from cases import CASES, LARGE, STEPS, Draw, seed
    from judges import Arrays, counters, pair, situation
    from kernels import cuda

    arrays = Arrays("cuda")
    for dtype in "float32", "float64":
        for case in CASES + LARGE:
            if hasattr(cuda, case[0]):
                inputs, settings, dy = situation(case, dtype)
                forward, backward = pair("cuda", case[0])
                _, saved = forward(*map(arrays.put, inputs), **settings)
                backward(arrays.put(dy), saved)
        for step in STEPS:
            if hasattr(cuda, step[0]):
                inputs, settings = step[2](Draw(seed(step), np.dtype(dtype)))
                getattr(cuda, step[0])(*map(arrays.put, map(as_array, inputs)), **settings,
                                       **counters(step[0], inputs))
    cuda.keep(np.random.default_rng(0), (3, 5), 0.1)
    run_ladder()
    run_ceilings()
    run_puzzles()


def as_array(x):
    return None if x is None else np.asarray(x)


def run_ladder():
    """The rungs of the matrix product that the backend shows and does not use."""
    from kernels import cuda
    from kernels.cuda.ladder import RUNGS
    for rung in RUNGS.values():
        rung(cuda.zeros((256, 512)), cuda.zeros((512, 128)))


def run_ceilings():
    """The kernels that measure a GPU, launched as they are there."""
    from kernels.cuda import ceilings
    ceilings.timed = lambda run, times: (run() or 1.0, True)
    ceilings.copy_rate()
    ceilings.arithmetic_rate()


def run_puzzles():
    """The solved puzzles of the exercises, in float32 as there."""
    from nanollm.exercises import catalog
    for exercise in catalog.all_of_them():
        if exercise.group == "cuda":
            page = import_module(f"nanollm.exercises.pages.{exercise.name}")
            spec = import_module(f"nanollm.exercises.specs.{exercise.name}")
            (kernel,) = (getattr(page, name) for name in exercise.blanks)
            for grid, threads, arguments in spec.situations(np.random.default_rng(0)):
                kernel[grid, threads](*(Paper(x) if isinstance(x, np.ndarray) else x
                                        for x in arguments.values()))


class Compiler:
    """Compiles what is launched, each kernel once for the same types."""

    def __init__(self, wanted, registers):
        self.wanted, self.registers, self.done, self.kernels = wanted, registers, set(), []
        self.complaints, self.table = [], []

    def launch(self, kernel, grid, threads, *arguments):
        signature = tuple(map(numba_type, arguments))
        if (id(kernel), signature) in self.done:
            return
        self.done.add((id(kernel), signature))
        self.kernels.append(kernel)              # kept, so that no other gets its id
        name = f"{title(kernel)}({', '.join(map(str, signature))})"
        for cc in CAPABILITIES:
            if cc >= getattr(kernel, "needs", cc) and self.wanted in name:
                try:
                    text = ptx(kernel, signature, cc)
                except Exception as error:       # whatever Numba throws: on to the next kernel
                    self.complaints.append(f"{name} does not compile for {cc}: {error}")
                else:
                    self.check(name, signature, text, cc)

    def check(self, name, signature, text, cc):
        double = re.findall(r"^\s*(.*\.f64.*)", text, re.MULTILINE)
        if double and "float64" not in str(signature):
            self.complaints.append(f"{name}: {len(double)} lines in double precision for "
                                   f"{cc}, the last: {double[-1]}")
        if self.registers:
            self.table.append((name, cc, *assemble(text, cc)))


def title(kernel):
    """Module and name, and the constants that a factory put in."""
    cells = [cell.cell_contents for cell in kernel.py_func.__closure__ or ()]
    constants = [str(x) for x in cells if isinstance(x, bool | int | float | str | np.dtype)]
    name = f"{kernel.py_func.__module__}.{kernel.py_func.__qualname__}"
    return name.replace(".<locals>", f"[{' '.join(constants)}]")


def ptx(kernel, signature, cc):
    from numba import cuda
    fast = kernel.targetoptions.get("fastmath", False)
    return cuda.compile_ptx(kernel.py_func, signature, cc=cc, fastmath=fast)[0]


def assemble(text, cc):
    """(registers, bytes of local memory, bytes of shared memory), as NVIDIA's assembler says."""
    paths = [path for place in sys.path
             for path in Path(place).glob("nvidia/cuda_nvcc/bin/ptxas*")]
    if not paths:
        sys.exit("ptxas was not found: pip install nvidia-cuda-nvcc-cu12")
    with tempfile.NamedTemporaryFile("w", suffix=".ptx") as file:
        file.write(text)
        file.flush()
        said = subprocess.run([paths[0], "-v", f"-arch=sm_{cc[0]}{cc[1]}", "-o", "/dev/null",
                               file.name], capture_output=True, text=True, check=True).stderr

    def number(pattern):
        return sum(map(int, re.findall(pattern, said)))
    return (number(r"Used (\d+) registers"), number(r"(\d+) bytes stack"),
            number(r"(\d+) bytes smem"))


def kernels():
    """Every kernel under kernels/cuda that stands in its file, device functions left out."""
    package = import_module("kernels.cuda")
    modules = [import_module(f"kernels.cuda.{m.name}") for m in iter_modules(package.__path__)]
    return {value for module in modules for value in vars(module).values()
            if hasattr(value, "py_func") and not value.targetoptions.get("device")}


def main(wanted="", registers=False):
    compiler = Compiler(wanted, registers)
    pretend_a_gpu(compiler.launch)
    run_cases()
    never = [f"{title(kernel)} was never launched" for kernel in kernels() - set(compiler.kernels)]
    complaints = sorted(compiler.complaints + never)
    for name, cc, *numbers in compiler.table:
        print("{:3} registers, {:4} bytes local, {:5} shared ".format(*numbers),
              "sm_{}{} ".format(*cc), name)
    print(*complaints, sep="\n", end="\n" if complaints else "")
    launched = Counter(title(kernel).partition("[")[0] for kernel in compiler.kernels)
    print(f"{len(launched)} kernels in {len(compiler.done)} combinations of constants and types "
          f"compiled for {len(CAPABILITIES)} generations, {len(complaints)} complaints")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.path[:0] = [str(ROOT)]
    words = sys.argv[1:]
    sys.exit(main(words[-1] if words and words[-1] != "--registers" else "",
                  "--registers" in words))

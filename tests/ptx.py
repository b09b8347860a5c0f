"""Does every CUDA kernel compile, and does a float32 kernel keep to float32? No GPU is needed.

    pip install -r requirements-gpu.txt          about 800 MB
    python tests/ptx.py                          about 15 s

The simulator knows no types, and the compiler does not run: so the cases run in the simulator, in
a process of its own, which writes down with what types each kernel was launched, and then each is
compiled to PTX for those types and three generations of GPUs.
"""

import json
import os
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from types import SimpleNamespace

import numpy as np

ROOT = Path(__file__).parents[1]
CAPABILITIES = (7, 0), (8, 0), (9, 0)            # Volta, Ampere, Hopper


def record():
    """Run every case in the simulator and print the launches: [module, kernel, types] a line."""
    from cases import CASES
    from judges import Arrays, pair, situation
    from kernels import cuda
    from kernels.cuda import block

    launches, launch = set(), block.launch

    def launch_and_record(kernel, blocks, *arguments):
        launches.add((kernel.__module__, kernel.__name__, tuple(map(description, arguments))))
        launch(kernel, blocks, *arguments)

    block.launch = launch_and_record
    arrays = Arrays("cuda")
    for case in CASES:
        if hasattr(cuda, case[0]) and case[1] != "many rows":
            for dtype in "float32", "float64":
                inputs, settings, dy = situation(case, dtype)
                forward, backward = pair("cuda", case[0])
                _, saved = forward(*map(arrays.put, inputs), **settings)
                backward(arrays.put(dy), saved)
    print(json.dumps(sorted(launches)))


def description(x):
    """The type of a kernel's argument, in words that `numba_type` understands."""
    if isinstance(x, tuple):
        return "tuple", len(x), description(x[0])
    if isinstance(x, int):
        return "number", 0, "int64"
    return "number" if isinstance(x, np.generic) else "array", x.ndim, str(x.dtype)


def numba_type(kind, n, inner):
    from numba import types
    if kind == "tuple":
        return types.UniTuple(numba_type(*inner), n)
    number = getattr(types, "boolean" if inner == "bool" else inner)
    return number if kind == "number" else types.Array(number, n, "C")


def compile_all(launches):
    """Compile each launch; return the complaints."""
    pretend_a_gpu()
    from numba import cuda
    complaints, compiled = [], set()
    for module, name, arguments in launches:
        kernel = getattr(import_module(module), name)
        compiled.add(kernel)
        signature = tuple(numba_type(*argument) for argument in arguments)
        for cc in CAPABILITIES:
            ptx, _ = cuda.compile_ptx(kernel.py_func, signature, cc=cc)
        double = re.findall(r"^\s*(.*\.f64.*)", ptx, re.MULTILINE)
        if double and not any("float64" in str(argument) for argument in arguments):
            complaints.append(f"{module}.{name}({', '.join(map(str, signature))}): {len(double)} "
                              f"lines in double precision, the last: {double[-1]}")
    return complaints + [f"{kernel.__module__}.{kernel.__name__} was never launched"
                         for kernel in kernels() - compiled]


def pretend_a_gpu():
    """What the backend asks before it lets itself be imported, and Numba before it compiles."""
    from numba import cuda
    cuda.is_available = lambda: True
    cuda.cudadrv.driver.get_version = lambda: (12, 9)
    cuda.dispatcher.get_current_device = lambda: SimpleNamespace(compute_capability=CAPABILITIES[0])


def kernels():
    """Every kernel under kernels/cuda, device functions left out."""
    package = import_module("kernels.cuda")
    modules = [import_module(f"kernels.cuda.{m.name}") for m in iter_modules(package.__path__)]
    return {value for module in modules for value in vars(module).values()
            if hasattr(value, "py_func") and not value.targetoptions.get("device")}


def main():
    result = subprocess.run(
        [sys.executable, __file__, "record"], stdout=subprocess.PIPE, text=True, check=True,
        env=os.environ | {"NUMBA_ENABLE_CUDASIM": "1", "NUMBA_DISABLE_JIT": "1"})
    launches = json.loads(result.stdout)
    complaints = compile_all(launches)
    print(*complaints, sep="\n", end="\n" if complaints else "")
    print(f"{len(launches)} combinations of kernel and types compiled for {len(CAPABILITIES)} "
          f"generations, {len(complaints)} complaints")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.path[:0] = [str(ROOT)]
    sys.exit(record() if sys.argv[1:] == ["record"] else main())

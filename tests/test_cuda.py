"""The CUDA backend: its checks run in Numba's simulator; without a GPU it says what to do."""

import importlib
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest

from nanollm.errors import InputError

ROOT = Path(__file__).parents[1]
SIMULATOR = {"NUMBA_ENABLE_CUDASIM": "1", "NUMBA_DISABLE_JIT": "1"}


def run(*command, **settings):
    """Run Python in a process of its own: Numba reads its settings when it is imported."""
    kept = {name: value for name, value in os.environ.items() if name not in SIMULATOR}
    return subprocess.run([sys.executable, *command], cwd=ROOT, env=kept | settings,
                          capture_output=True, text=True)


def test_the_kernels_pass_their_checks_in_the_simulator():
    """A process for each processor, up to four, with its share of the checks."""
    files = sorted(map(str, (ROOT / "tests/simulator").glob("checks*.py")))
    count = min(os.cpu_count(), 4)
    with ThreadPoolExecutor(count) as pool:
        results = pool.map(lambda which: run(
            "-m", "pytest", "-q", "-p", "no:cacheprovider", *files,
            SIMULATOR_SHARE=f"{which}/{count}", **SIMULATOR), range(count))
        for result in results:
            assert result.returncode == 0, result.stdout + result.stderr


def test_without_a_driver_one_line_says_what_to_do():
    result = run("-c", "from nanollm import backend; backend.use('cuda')", NUMBA_CUDA_DRIVER="0")
    assert result.stderr.splitlines()[-1] == (
        "nanollm.errors.InputError: backend cuda: no NVIDIA driver was found on this machine; "
        "use --backend numba, or, to study the kernels, Numba's simulator: "
        "NUMBA_ENABLE_CUDASIM=1 NUMBA_DISABLE_JIT=1")


def test_a_notebook_takes_the_simulator_where_it_is_asked_to_or_there_is_no_gpu():
    for settings in {"NANOLLM_CUDA": "simulator"}, {}:
        result = run("-c", "from nanollm import course; course.gpus = lambda: 0; "
                     "print(course.gpu_or_simulator()); from kernels.cuda import device; "
                     "print(device.SIMULATED)", **settings)
        first, second = result.stdout.splitlines()
        assert first.startswith("in Numba's simulator") and second == "True"


def test_a_notebook_that_imported_numba_too_early_is_told():
    result = run("-c", "import numba; from nanollm import course; course.gpu_or_simulator()",
                 NANOLLM_CUDA="simulator")
    assert result.stderr.splitlines()[-1].endswith("run it from the top")


def machine(available=False, error=None, version=(12, 4)):
    """What numba.cuda is like on some machine."""
    driver = SimpleNamespace(get_version=lambda: version)
    return SimpleNamespace(is_available=lambda: available, cuda_error=lambda: error,
                           cudadrv=SimpleNamespace(driver=driver))


@pytest.mark.parametrize("platform, cuda, line", [
    ("darwin", machine(), "there is no CUDA on macOS"),
    ("linux", None, "comes without CUDA \\(pip install -r requirements-gpu.txt\\)"),
    ("linux", machine(error="\nCUDA driver library cannot be found.\nIf"), "no NVIDIA driver"),
    ("linux", machine(error="CUDA_ERROR_NO_DEVICE\n(100)"), "no GPU .*CUDA_ERROR_NO_DEVICE \\(100"),
    ("linux", machine(), "NVIDIA's compiler was not found"),
    ("linux", machine(True, version=(11, 4)), "too old: it knows CUDA 11.4, needed is 12.0"),
    ("linux", machine(True), "numba-cuda is not installed \\(pip install -r requirements-gpu.txt"),
])
def test_each_machine_that_cannot_run_cuda_gets_its_own_line(platform, cuda, line, monkeypatch):
    import numba
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.delattr(numba, "cuda", raising=False)
    monkeypatch.setitem(sys.modules, "numba.cuda", cuda)
    refuse(line, monkeypatch)


def test_without_numba_one_line_says_so(monkeypatch):
    monkeypatch.setitem(sys.modules, "numba", None)
    refuse("Numba is not installed", monkeypatch)


def refuse(line, monkeypatch):
    for name in [name for name in sys.modules if name.startswith("kernels.cuda")]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(InputError, match=line) as error:
        importlib.import_module("kernels.cuda")
    assert "\n" not in str(error.value) and "--backend numba" in str(error.value)

"""What all CPU kernels stand on: scalars, compiling, threads and memory."""

import io
import math
import os
import queue
import random
import re
import shutil
import subprocess
import sys
import threading
import time
from contextvars import ContextVar
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from numba import config

from kernels import scalar
from kernels.cpu import announce, compile, memory, threads
from kernels.cpu.compile import kernel
from kernels.cpu.rows import as_rows, empty_like
from nanollm.errors import InputError

ROOT = Path(__file__).parents[1]
compiles = pytest.mark.skipif(bool(config.DISABLE_JIT), reason="NUMBA_DISABLE_JIT is set")


# exp, tanh, erf, sigmoid

def loop_of(f):
    @kernel
    def loop(x, y):
        for i in range(x.size):
            y[i] = f(x[i])
    return loop


LOOPS = {name: loop_of(getattr(scalar, name)) for name in ("exp", "tanh", "erf", "sigmoid")}
EXACT = {
    "exp": np.exp,
    "tanh": np.tanh,
    "erf": lambda x: np.array([math.erf(v) for v in x]),
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
}
scalars = pytest.mark.parametrize("name", LOOPS)


def apply(name, x):
    y = np.empty_like(x)
    LOOPS[name](x, y)
    return y


@scalars
@pytest.mark.parametrize("dtype, close", [("float32", 3e-7), ("float64", 1e-14)])
def test_relative_error_is_small_everywhere(name, dtype, close):
    tiny = 10.0 ** np.linspace(-37, 0, 2000)
    x = np.concatenate([np.linspace(-86.9, 88.7, 20000), np.linspace(-5, 5, 20000), tiny, -tiny])
    x = x.astype(dtype)
    exact = EXACT[name](x.astype("float64"))
    assert (abs(apply(name, x) - exact) <= close * abs(exact)).all()


@scalars
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_ends_are_exact_and_nan_stays_nan(name, dtype):
    low, high = {"exp": (0, np.inf), "sigmoid": (0, 1)}.get(name, (-1, 1))
    at_zero = {"exp": 1, "sigmoid": 0.5}.get(name, 0)
    x = np.array([-np.inf, -1e30, -1000, 0, 1000, 1e30, np.inf, np.nan] * 9, dtype)
    want = np.array([low, low, low, at_zero, high, high, high, np.nan] * 9, dtype)
    np.testing.assert_array_equal(apply(name, x), want)


@compiles
def test_exp_is_zero_where_a_float32_ends():
    x = np.float32([-88, -100, -104, -3e38])
    assert (apply("exp", x) == 0).all()


@compiles
@scalars
def test_a_loop_over_it_is_vectorized(name):
    apply(name, np.zeros(100, "float32"))
    texts = LOOPS[name].inspect_llvm().values()
    assert any(re.search(r"fmul.*<\d+ x float>", text) for text in texts)


# compiling, each case in a process of its own, on a copy of the sources

COPIED = ["kernels/__init__.py", "kernels/scalar.py", "nanollm/__init__.py", "nanollm/errors.py",
          *(f"kernels/cpu/{name}.py" for name in ("announce", "compile"))]
TRIAL = """
from kernels.cpu.compile import kernel
from kernels.scalar import exp

@kernel
def inner(x):
    return exp(x)

@kernel
def outer(x, y):
    for i in range(x.size):
        y[i] = inner(x[i])
"""
USE = """
import sys, numpy as np
from kernels.cpu.trial import outer
y = np.empty(20, sys.argv[1] if len(sys.argv) > 1 else "float32")
outer(np.zeros_like(y), y)
print(y[0])
"""
STUDENT = """
import numba
from kernels.cpu import compile
@numba.njit
def mine(x):
    return x + 1
print(mine(1), numba.config.CACHE_DIR == "", compile.FOLDER)
"""


@pytest.fixture
def copy(tmp_path):
    """A checkout with one trial kernel, and a home for the user's caches."""
    for name in COPIED:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / "kernels/cpu/__init__.py").touch()
    (tmp_path / "kernels/cpu/trial.py").write_text(TRIAL)
    (tmp_path / "home").mkdir()
    return tmp_path


def start(copy, code, *arguments, **environment):
    home = str(copy / "home")
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("NUMBA_", "NANOLLM_"))}
    environment = {**kept, "PYTHONPATH": str(copy), "HOME": home, "XDG_CACHE_HOME": home,
                   "LOCALAPPDATA": home, "USERPROFILE": home, **environment}
    return subprocess.Popen([sys.executable, "-c", code, *arguments], cwd=copy, env=environment,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(process):
    out, error = process.communicate(timeout=60)
    assert process.returncode == 0, error
    return out.strip(), error


def python(copy, code=USE, *arguments, **environment):
    """Run code there: (stdout, stderr)."""
    return finish(start(copy, code, *arguments, **environment))


ONCE = announce.FIRST + "\n"


def test_compiling_is_announced_once_and_again_after_an_edit_of_a_helper(copy):
    assert python(copy) == ("1.0", ONCE)
    assert python(copy) == ("1.0", "")                       # loaded from the folder
    helper = copy / "kernels/scalar.py"
    helper.write_text(helper.read_text().replace("return half *", "return TWO * half *"))
    assert python(copy) == ("2.0", ONCE)


def test_readers_kernels_are_neither_announced_nor_cached_here(copy):
    out, error = python(copy, STUDENT)
    digits = compile.source_hash(copy / "kernels", copy / "nanollm/ops")
    folder = copy / "kernels/__pycache__" / f"numba-{digits}"
    assert (out, error) == (f"2 True {folder.resolve()}", "")
    assert list(folder.iterdir()) == []


def test_a_read_only_checkout_caches_in_the_users_folder_or_not_at_all(copy):
    (copy / "kernels/__pycache__").touch()                   # a file: no folder can be made there
    assert python(copy) == ("1.0", ONCE)
    assert len(list((copy / "home").rglob("*.nbc"))) == 2
    shutil.rmtree(copy / "home")
    (copy / "home").touch()
    assert python(copy, NANOLLM_QUIET="1") == ("1.0", "")


def test_processes_that_compile_at_once_do_not_spoil_each_others_cache(copy):
    dtypes = ["float32", "float64"]
    for process in [start(copy, USE, dtype) for dtype in dtypes * 2]:
        assert finish(process) == ("1.0", ONCE)
    for dtype in dtypes:
        assert python(copy, USE, dtype)[0] == "1.0"


def test_without_compiling_kernels_are_plain_python(copy):
    code = USE + "\nfrom kernels import scalar as s\n" \
        "print(type(outer).__name__, s.exp(1e3), s.exp(-1e3), s.tanh(1e3), s.sigmoid(-1e3))"
    out, error = python(copy, code, NUMBA_DISABLE_JIT="1")
    assert (out, error) == ("1.0\nfunction inf 0.0 1.0 0.0", "")
    assert not list(copy.rglob("numba-*"))


def test_the_hash_changes_with_the_text_the_name_and_the_number_of_sources(tmp_path):
    hashes = []
    source = tmp_path / "a.py"
    for text in ("x = 1", "x = 2"):
        source.write_text(text)
        hashes.append(compile.source_hash(tmp_path))
    source = source.rename(tmp_path / "b.py")
    hashes.append(compile.source_hash(tmp_path))
    (tmp_path / "empty.py").touch()
    hashes.append(compile.source_hash(tmp_path))
    assert len(set(hashes)) == 4
    (tmp_path / "notes.txt").touch()
    assert compile.source_hash(tmp_path) == hashes[-1]


def test_only_folders_unused_for_an_hour_are_removed(tmp_path):
    ours, old, young, other = (tmp_path / n for n in ("numba-a", "numba-b", "numba-c", "other"))
    for folder in (ours, old, young, other):
        folder.mkdir()
        (folder / "file").touch()
    for folder in (ours, old, other):
        os.utime(folder, (0, time.time() - 2 * compile.HOUR))
    compile.remove_stale(ours)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["numba-a", "numba-c", "other"]
    compile.remove_stale(tmp_path / "numba-gone")            # in use by nobody: no error


class Terminal(io.StringIO):
    def isatty(self):
        return True


@compiles
@pytest.mark.parametrize("quiet", ["0", "1"])
def test_a_terminal_sees_a_bar_that_goes_away(monkeypatch, quiet):
    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setenv("NANOLLM_QUIET", quiet)
    told = announce.Announcement()
    compiled = [SimpleNamespace(data={"dispatcher": loop}) for loop in LOOPS.values()]
    readers = SimpleNamespace(data={"dispatcher": len})
    told.on_start(readers)
    told.on_start(compiled[0])
    told.on_start(compiled[1])                               # on behalf of the one before
    told.on_end(compiled[1])
    told.on_end(compiled[0])
    told.on_end(readers)
    told.on_start(compiled[2])
    told.on_end(compiled[2])
    screen = sys.stderr.getvalue()
    assert told.count == 2
    if quiet == "1":
        assert screen == ""
    else:
        assert screen.startswith(ONCE)
        assert "0 compiled" in screen and "1 compiled" in screen and "2 compiled" not in screen
        assert re.search(r"\r +\r$", screen)                 # wiped


# threads

@pytest.fixture
def four(monkeypatch):
    """Four threads, however many cores there are."""
    monkeypatch.setenv("NANOLLM_THREADS", "4")
    threads.count.cache_clear()
    yield 4
    threads.count.cache_clear()


def test_results_come_in_the_order_of_the_calls(four):
    def wait(i):
        time.sleep(random.random() / 1000)
        return i
    assert threads.run(lambda i=i: wait(i) for i in range(50)) == list(range(50))
    assert threads.run([]) == []


def test_calls_run_side_by_side(four):
    meeting = threading.Barrier(four)                        # all four must be there at once
    workers = threads.run([lambda: (meeting.wait(20), threading.current_thread())[1]] * four)
    assert len(set(workers)) == four
    assert workers[0] is threading.current_thread()          # the caller takes the first
    assert all(worker.daemon for worker in workers[1:])


def test_the_first_error_in_order_is_raised_after_all_were_called(four):
    called = []

    def call(i):
        called.append(i)
        if i % 2:
            raise KeyError(i)
    with pytest.raises(KeyError, match="1"):
        threads.run(lambda i=i: call(i) for i in range(6))
    assert sorted(called) == list(range(6))


def test_what_runs_on_the_pool_does_not_split_again(four):
    def here():
        return threading.current_thread()

    def nested():
        return set(threads.run([here] * 3)) == {here()} and threads.share_count() == 1
    assert threads.run([nested] * 8) == [True] * 8
    assert threads.share_count() == four                     # and the caller may, afterwards


def test_in_a_serial_block_the_caller_does_everything(four):
    with threads.serial():
        assert set(threads.run([threading.current_thread] * 5)) == {threading.current_thread()}


def test_calls_see_the_context_of_the_caller_and_leave_it_alone(four):
    name = ContextVar("name", default="nobody")
    token = name.set("caller")

    def rename():
        before = name.get()
        name.set("call")
        return before
    assert threads.run([rename] * 8) == ["caller"] * 8
    assert name.get() == "caller"
    name.reset(token)


def test_several_callers_share_the_pool(four):
    results = {}

    def caller(i):
        results[i] = [threads.run(lambda j=j: i * j for j in range(5)) for _ in range(50)]
    callers = [threading.Thread(target=caller, args=(i,)) for i in range(5)]
    for thread in callers:
        thread.start()
    for thread in callers:
        thread.join()
    assert results == {i: [[i * j for j in range(5)]] * 50 for i in range(5)}


@pytest.mark.parametrize("text", ["0", "-2", "two", "1.5"])
def test_a_number_of_threads_that_is_none_is_an_input_error(monkeypatch, text):
    monkeypatch.setenv("NANOLLM_THREADS", text)
    threads.count.cache_clear()
    with pytest.raises(InputError, match="NANOLLM_THREADS"):
        threads.count()
    monkeypatch.delenv("NANOLLM_THREADS")
    assert 1 <= threads.count() <= threads.MOST
    threads.count.cache_clear()


@kernel
def double(x, y, factor, total):                 # (N, K), (N, K), scalar, (K,)
    for n in range(x.shape[0]):
        for k in range(x.shape[1]):
            y[n, k] += factor * x[n, k]
            total[k] += x[n, k]


@pytest.mark.parametrize("N", [0, 1, 3, 4, 1001])
@pytest.mark.parametrize("work", [None, 2 ** 30])            # serial, shared out
def test_every_row_is_done_once_and_sums_are_whole(four, N, work):
    x = np.arange(3.0 * N).reshape(N, 3)
    y, total = np.zeros_like(x), np.full(3, np.nan)
    threads.by_rows(double, (x, y), 2.0, sums=(total,), work=work)
    np.testing.assert_array_equal(y, 2 * x)
    np.testing.assert_array_equal(total, x.sum(axis=0))


def test_sums_over_rows_are_the_same_bits_every_time(four):
    x = np.random.default_rng(0).standard_normal((1001, 7)).astype("float32")
    seen = set()
    for _ in range(30):
        total = np.empty(7, "float32")
        threads.by_rows(double, (x, np.zeros_like(x)), np.float32(2), sums=(total,), work=2 ** 30)
        seen.add(total.tobytes())
    assert len(seen) == 1


def test_rows_may_be_single_numbers(four):
    x, y = np.arange(10.0), np.empty(10)
    threads.by_rows(lambda a, b: np.copyto(b, a), (x, y), work=2 ** 30)
    np.testing.assert_array_equal(x, y)


def test_blas_takes_the_number_of_threads_it_is_given():
    before = threads.blas_threads(1)
    if before is None:
        pytest.skip("this BLAS does not let itself be told")
    assert threads.blas_threads(before) == 1
    assert threads.blas_threads(before) == before


# memory

pooled = pytest.mark.skipif(memory.FREE is None, reason="this Python's counts do not tell")


@pytest.fixture(autouse=True)
def empty_pool():
    memory.release()


@pytest.mark.parametrize("shape", [(), (0,), (3, 0), (5,), (100, 100), (7, 33, 129), 5000])
@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "bool"])
def test_arrays_are_what_numpy_would_make(shape, dtype):
    got, want = memory.empty(shape, dtype), np.empty(shape, dtype)
    assert type(got) is np.ndarray
    assert (got.shape, got.dtype, got.strides) == (want.shape, want.dtype, want.strides)
    assert got.flags.c_contiguous and got.flags.writeable and got.flags.aligned
    if got.nbytes >= memory.TINY:
        assert got.ctypes.data % memory.LINE == 0
    got[...] = 1
    assert (got == 1).all()


@pooled
def test_a_buffer_nobody_uses_is_used_again():
    array = memory.empty((100, 100))
    place, held = array.ctypes.data, memory.held()
    del array
    array = memory.empty((10000,))                           # of another shape, but of that size
    assert (array.ctypes.data, memory.held()) == (place, held)


def handed_out(rounds, exchange):
    """Take and drop arrays at random; is what was written into each still there at the end?"""
    rng, live = random.Random(threading.get_ident()), []
    for i in range(rounds):
        array = memory.empty((rng.choice([2000, 2500, 5000]),))
        array.fill(i)
        view = rng.choice([array, array[1:], array.reshape(-1, 2).T, array[None, ::3],
                           memoryview(array)])
        live.append((view, i))
        del array, view
        if rng.random() < 0.1:
            exchange.put(live.pop(rng.randrange(len(live))))
        if rng.random() < 0.1 and not exchange.empty():
            live.append(exchange.get())
        while len(live) > rng.choice([1, 10, 60]):
            kept, number = live.pop(rng.randrange(len(live)))
            if not (np.asarray(kept) == number).all():
                return False
    return all((np.asarray(kept) == number).all() for kept, number in live)


def test_a_buffer_in_use_is_never_handed_out():
    assert handed_out(5000, queue.SimpleQueue())


def test_threads_do_not_hand_out_each_others_buffers(four):
    exchange = queue.SimpleQueue()
    assert threads.run([lambda: handed_out(1000, exchange)] * four) == [True] * four


@pooled
def test_in_a_loop_the_pool_holds_no_more_than_was_in_use_at_once():
    def step():
        saved = [memory.empty((1024, n)) for n in (2, 4, 2, 4, 8)]
        for _ in range(10):
            passing = memory.empty((1024, 2))
            del passing
        while saved:
            dx = memory.empty(saved[-1].shape)
            saved.pop()
            del dx
    step()
    held = memory.held()
    assert held == 4096 * (2 * 3 + 4 * 3 + 8 * 2)            # of each size what is saved, and one
    for _ in range(5):
        step()
    assert memory.held() == held


@pooled
def test_release_drops_what_is_free_and_only_that():
    kept, dropped = memory.empty((2000,)), memory.empty((4000,))
    kept.fill(1)
    del dropped
    memory.release()
    assert memory.held() == 8000 + 192                       # rounded up to a multiple of 512
    other = memory.empty((2000,))
    assert not np.shares_memory(kept, other) and (kept == 1).all()


@pooled
def test_sizes_nobody_asked_for_in_a_minute_are_dropped(monkeypatch):
    now = 1000.0
    monkeypatch.setattr(memory, "monotonic", lambda: now)
    memory.empty((2048,))
    assert memory.held() == 8192
    now += memory.MINUTE / 2
    memory.empty((4096,))
    assert memory.held() == 8192 + 16384
    now += memory.MINUTE / 2 + 1
    memory.empty((4096,))                                    # nothing has to be made
    assert memory.held() == 8192 + 16384
    memory.empty((8192,))
    assert memory.held() == 16384 + 32768


@pooled
def test_a_sequence_that_grows_by_a_token_needs_few_sizes():
    for T in range(500, 1000):
        memory.empty((T, 12))
    assert memory.held() < 10 * 48 * 1000


def test_where_references_do_not_count_numpy_makes_the_arrays(monkeypatch):
    monkeypatch.setattr(memory, "FREE", None)
    array = memory.empty((100, 100))
    assert array.base is None and memory.held() == 0


@pytest.mark.parametrize("shape, rows", [
    ((2, 3, 5), (6, 5)), ((5,), (1, 5)), ((2, 0), (2, 0)), ((0, 3), (0, 3)), ((2, 0, 3), (0, 3)),
])
def test_leading_axes_fold_into_rows(shape, rows):
    x = np.ones(shape)
    assert as_rows(x).shape == rows
    assert np.shares_memory(as_rows(x), x) or x.size == 0


def test_a_transposed_array_is_copied_and_its_like_is_contiguous():
    x = np.arange(6.0).reshape(2, 3).T
    np.testing.assert_array_equal(as_rows(x), x)
    assert as_rows(x).flags.c_contiguous and empty_like(x).flags.c_contiguous
    assert empty_like(x).shape == x.shape and empty_like(x).dtype == x.dtype

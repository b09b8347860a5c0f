"""One pool of plain threads, on which nogil kernels and products in BLAS run side by side.

run         several calls at once. The caller takes the first, and any that no thread has taken by
            the time it is done: it never waits for a thread to wake up, only for one at work.
by_rows     one kernel on a batch of rows, each thread on its share of them
serial      a block in which both do everything on the caller's thread. What `run` runs is in such
            a block, so a trainer can give each thread a part of its batch and nothing below it
            splits again.

Which thread takes which call differs from run to run; results do not, as long as `count` does not:
they come in the order of the calls, and sums over rows are added share by share.

To wake a thread on another core takes 5 µs, or 30 on a virtual machine, and so does the way back.
A BLAS with threads of its own would fight ours for the cores: `blas_threads(1)` silences it.
"""

import os
import threading
from collections import deque
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from functools import cache
from queue import SimpleQueue

import numpy as np
from threadpoolctl import ThreadpoolController

from nanollm.errors import InputError

MOST = 16                                        # threads, unless NANOLLM_THREADS asks for more
ENOUGH = 2 ** 17                                 # numbers a thread must get to be worth waking
_alone = ContextVar("alone", default=False)      # are we in a serial block?
_jobs = SimpleQueue()                            # (waiting, done) of each `run` that wants help
_workers = []
_hiring = threading.Lock()


@cache
def count():
    """How many threads there are: NANOLLM_THREADS, or the cores this process may use."""
    asked = os.environ.get("NANOLLM_THREADS")
    if asked:
        if not (asked.isdecimal() and int(asked) > 0):
            raise InputError(f"NANOLLM_THREADS is {asked!r}; set it to a positive whole number")
        return int(asked)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return min(cores or 1, MOST)


def share_count():
    """How many calls would run side by side here and now."""
    return 1 if _alone.get() else count()


@contextmanager
def serial():
    """Inside this block nothing is given to other threads."""
    token = _alone.set(True)
    try:
        yield
    finally:
        _alone.reset(token)


def run(calls):
    """Call each of `calls` (no arguments), side by side; return their results, in order.

    Each sees a copy of the caller's context variables. All are called, whatever happens to the
    others; then the first error, in order, is raised.
    """
    calls = list(calls)
    if len(calls) < 2 or share_count() < 2:
        return [call() for call in calls]
    with serial():
        waiting = deque((i, copy_context(), call) for i, call in enumerate(calls))
    done = SimpleQueue()
    for _ in range(hire(min(len(calls), count()) - 1)):
        _jobs.put((waiting, done))
    help_with(waiting, done)
    results = sorted((done.get() for _ in calls), key=lambda result: result[0])
    for _, _, error in results:
        if error is not None:
            raise error
    return [value for _, value, _ in results]


def hire(n):
    """See to it that there are n threads besides the caller's; return n."""
    with _hiring:
        while len(_workers) < n:
            _workers.append(threading.Thread(target=work, name="nanollm", daemon=True))
            _workers[-1].start()
    return n


def work():
    """The life of a thread. As a daemon it does not keep the program from ending."""
    while True:
        help_with(*_jobs.get())


def help_with(waiting, done):
    """Take calls from `waiting` until none is left; both sides of it are safe among threads."""
    while True:
        try:
            call = waiting.popleft()
        except IndexError:
            return
        done.put(attempt(*call))


def attempt(i, context, call):
    try:
        return i, context.run(call), None
    except BaseException as error:               # it is raised again where the caller waits
        return i, None, error


def by_rows(kernel, arrays, *whole, sums=(), work=None):
    """kernel(*arrays, *whole, *sums), each thread on its share of the rows of `arrays`.

    arrays      have the same number of rows (first axis), inputs and outputs alike
    whole       arguments that every thread gets as they are
    sums        outputs that are sums over rows (dγ, db): the kernel adds to them, starting from
                zeros. Each thread adds to a line of its own in a table, as no two may add to one
                number; at the end the lines are added up, in order.
    work        numbers to compute, where that is not the size of the first array

    Raises InputError where numbers of rows differ, or of columns: a kernel does not look.
    """
    N = len(arrays[0])
    if any(len(a) != N for a in arrays) or len({a.shape[1] for a in arrays if a.ndim == 2}) > 1:
        raise InputError(f"{getattr(kernel, '__module__', 'numpy').rpartition('.')[2]}: arrays of "
                         f"{', '.join(str(a.shape) for a in arrays)} do not fit each other; a "
                         "gradient has the shape of what it is the gradient of")
    work = arrays[0].size if work is None else work
    shares = min(share_count(), N, work // ENOUGH)
    if shares < 2:
        for total in sums:
            total.fill(0)
        kernel(*arrays, *whole, *sums)
        return
    tables = [np.zeros((shares, *total.shape), total.dtype) for total in sums]

    def part(i):
        mine = slice(N * i // shares, N * (i + 1) // shares)
        kernel(*(a[mine] for a in arrays), *whole, *(table[i] for table in tables))

    run(lambda i=i: part(i) for i in range(shares))
    for total, table in zip(sums, tables):
        table.sum(axis=0, out=total)


@cache
def _blas():
    return ThreadpoolController().select(user_api="blas").lib_controllers


def blas_threads(n):
    """Let BLAS use n threads a call, in the whole process; return how many it used before.

    Where no BLAS lets itself be told (Apple's Accelerate), nothing happens and None returns.
    """
    before = None
    for library in _blas():
        before = library.num_threads
        if before != n:
            library.set_num_threads(n)
    return before

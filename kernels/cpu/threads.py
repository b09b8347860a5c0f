"""One pool of plain threads that runs nogil kernels and single-threaded BLAS calls side by side."""

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

MOST = 16                                        # more threads than this gain nothing here
ENOUGH = 2 ** 16                                 # numbers a thread must get to be worth waking
_alone = ContextVar("alone", default=False)      # True: whoever asks runs everything itself


@cache
def count():
    """How many threads kernels run on: NANOLLM_THREADS, or the cores this process may use."""
    asked = os.environ.get("NANOLLM_THREADS", "")
    if asked:
        if not (asked.isdecimal() and int(asked) > 0):
            raise InputError(f"NANOLLM_THREADS is {asked!r}; set it to a positive integer")
        return int(asked)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return min(cores or 1, MOST)


@contextmanager
def serial():
    """Inside this block, everything runs on the caller's thread."""
    token = _alone.set(True)
    try:
        yield
    finally:
        _alone.reset(token)


def share_count():
    """How many calls can run side by side here and now."""
    return 1 if _alone.get() else count()


_jobs = SimpleQueue()                            # (waiting, done) of a run that wants help
_workers = []
_lock = threading.Lock()


def _work():
    while True:
        _help(*_jobs.get())


def _help(waiting, done):
    while True:
        try:
            i, context, call = waiting.popleft()
        except IndexError:
            return
        try:
            done.put((i, context.run(call), None))
        except BaseException as error:
            done.put((i, None, error))


def run(calls):
    """Run the callables side by side; their results in order."""
    calls = list(calls)
    if len(calls) < 2 or share_count() < 2:
        return [call() for call in calls]
    with serial():
        waiting = deque((i, copy_context(), call) for i, call in enumerate(calls))
        done = SimpleQueue()
        helpers = min(len(calls), count()) - 1
        while len(_workers) < helpers:
            with _lock:
                worker = threading.Thread(target=_work, daemon=True)
                worker.start()
                _workers.append(worker)
        for _ in range(helpers):
            _jobs.put((waiting, done))
        _help(waiting, done)
    results = sorted((done.get() for _ in calls), key=lambda r: r[0])
    for _, _, error in results:
        if error is not None:
            raise error
    return [value for _, value, _ in results]


def by_rows(kernel, arrays, *whole, sums=(), work=None):
    """kernel(*arrays, *whole, *sums), each thread on its share of the rows of `arrays`."""
    N = len(arrays[0])
    work = arrays[0].size if work is None else work
    shares = max(1, min(share_count(), N, work // ENOUGH))
    if shares == 1:
        for s in sums:
            s.fill(0)
        kernel(*arrays, *whole, *sums)
        return
    tables = [np.zeros((shares, *s.shape), s.dtype) for s in sums]
    cuts = [N * i // shares for i in range(shares + 1)]

    def part(i):
        mine = slice(cuts[i], cuts[i + 1])
        return lambda: kernel(*(a[mine] for a in arrays), *whole, *(t[i] for t in tables))

    run(part(i) for i in range(shares))
    for s, table in zip(sums, tables):
        np.add.reduce(table, axis=0, out=s)


@cache
def _blas():
    return ThreadpoolController().select(user_api="blas")


def blas_threads(n):
    """Set the number of threads of BLAS; return what it was."""
    libraries = _blas().lib_controllers
    before = libraries[0].num_threads if libraries else None
    for library in libraries:
        library.set_num_threads(n)
    return before


@contextmanager
def single_threaded_blas():
    """Inside this block each BLAS call runs on its caller's thread alone."""
    before = blas_threads(1)
    try:
        yield
    finally:
        blas_threads(before)

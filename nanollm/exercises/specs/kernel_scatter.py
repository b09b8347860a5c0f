"""A CPU kernel: the backward of an embedding on several threads, and a race."""

import time

import numpy as np

from nanollm import ops
from nanollm.exercises.of_kernels import ENVIRONMENT, THREADS, compiled
from nanollm.exercises.spec import Exercise, Wrong, expect, wrapped
from nanollm.exercises.turns import watch

TIMES, SECONDS = 100, 4
OFTEN = ((1, 10_000, 300), (2, 10_000, 100), (65, 100_000, 20))     # vocabulary, tokens, calls
LOST = ("dw[...] += is a read, an addition and a write. Two threads with the same id read the same "
        "old sum, and one of the two additions is lost. With a large vocabulary it is rare, and "
        "shows on another day. Share the work so that a number of dw belongs to one thread: by "
        "columns")
OVERWRITTEN = ("Where both write, the second wipes out what the first has written. Share the work "
               "so that a number belongs to one turn: each clears and fills its own column")


def scatter(student, ids, dy, V):
    dw = np.full((V, dy.shape[1]), np.nan, dy.dtype)
    given = ids.copy(), dy.copy()
    compiled(student, "scatter")(ids, dy, dw)
    for name, before, after in zip(("ids", "dy"), given, (ids, dy)):
        if not np.array_equal(before, after):
            raise Wrong(f"scatter changes its input {name}", likely="write into dw only")
    return dw


def whole(rng, N, V, C):
    """ids and dy of whole numbers, whose sums are exact in any order."""
    return rng.integers(0, V, N), rng.integers(-3, 4, (N, C)).astype(np.float32)


def values(student):
    "values, a token at a time"
    rng = np.random.default_rng(0)
    for N, V, C in (1, 1, 1), (4, 6, 2), (5, 2, 3), (7, 1, 1), (3, 2, 9):
        ids, dy = whole(rng, N, V, C)
        if N > 1 and V > 1:
            ids[:2] = ids[0]                                    # one occurs twice
        _, want = ops.embedding_backward(dy, (ids, V))
        for _ in range(TIMES):
            dw = scatter(student, ids, dy, V)
            if np.isnan(dw).any():
                raise Wrong(f"dw[{np.argwhere(np.isnan(dw))[0][0]}] is not filled",
                            tried={"ids": ids, "dy": dy}, got=dw, expected=want,
                            likely="dw holds anything at first: set all of it to 0, also the rows "
                                   "of tokens\nthat do not occur")
            if not np.array_equal(dw, want) and (seen := turns(student, ids, dy, V)) and (
                    seen.meeting):
                break                                           # told by the next check
            expect("dw", dw, want, tried={"ids": ids, "dy": dy}, likely=wrapped(
                "a token that occurs twice receives both rows of dy (+=, not =), and a row of dw "
                "is 0 before the first is added"))


def turns(student, ids, dy, V):
    """The Turns of a call."""
    return watch(compiled(student, "scatter"), ids=ids, dy=dy,
                 dw=np.zeros((V, dy.shape[1]), dy.dtype))


def alone(student):
    "no two turns of prange meet"
    rng = np.random.default_rng(0)
    for N, V in (3, 1), (6, 3):
        ids, dy = whole(rng, N, V, 2)
        seen = turns(student, ids, dy, V)
        if seen and seen.meeting:
            array, index, (first, second), writes = seen.meeting
            place = f"{array}[{', '.join(map(str, index))}]" if index else array
            deeds = ["writes" if each else "reads" for each in writes]
            raise Wrong(f"a race: turn {first} of the loop over prange {deeds[0]} {place}, and "
                        f"turn {second} {deeds[1]} it", tried=f"ids = {ids.tolist()}, V = {V}",
                        likely=wrapped("two turns may be on two threads, at the same time. "
                                       + (OVERWRITTEN if all(writes) else LOST)))


def calls(times):
    """Count to `times`, or as far as one gets in a few seconds."""
    end = time.perf_counter() + SECONDS
    for n in range(times):
        yield n
        if time.perf_counter() > end:
            return


def often(student):
    "right every time, on several threads"
    rng = np.random.default_rng(0)
    for V, tokens, times in OFTEN:
        ids, dy = whole(rng, tokens, V, 4)
        _, want = ops.embedding_backward(dy, (ids, V))
        for n in calls(times):
            dw = scatter(student, ids, dy, V)
            if not np.array_equal(dw, want):
                v, c = np.argwhere(dw != want)[0]
                raise Wrong(
                    f"dw[{v}, {c}] is wrong in call {n + 1} of the same call: a race",
                    tried=f"{len(ids):,} ids, all below V = {V}, {THREADS} threads", got=dw[v, c],
                    expected=want[v, c], likely=wrapped(LOST))


def parallel(student):
    "the work is shared among threads"
    kernel = compiled(student, "scatter")
    ids, dy = whole(np.random.default_rng(0), 10, 3, 2)
    scatter(student, ids, dy, 3)
    signature = kernel.signatures[-1]
    if not kernel.targetoptions.get("parallel") or not loops(kernel, signature):
        raise Wrong("scatter runs on one thread", likely=wrapped(
            "the loop that is shared must be one over prange, under @njit(parallel=True)"))
    few, many = (turns(student, ids[:n], dy[:n], 3) for n in (2, 10))
    if few and many and many.started > few.started:
        raise Wrong(f"{len(ids)} tokens start {many.started} loops over prange, 2 tokens "
                    f"{few.started}", likely=wrapped(
                        "each start wakes all threads, which costs more than a few additions: the "
                        "loop over prange must be the outer one"))


def loops(kernel, signature):
    """How many loops over prange the compiler has made parallel."""
    found = kernel.get_metadata(signature).get("parfor_diagnostics")
    return found.count_parfors() if found else 0


def same(student):
    "the same bits every time"
    rng = np.random.default_rng(0)
    ids, dy = rng.integers(0, 3, 20_000), rng.standard_normal((20_000, 4), np.float32)
    first = scatter(student, ids, dy, 3)
    for _ in calls(TIMES):
        if scatter(student, ids, dy, 3).tobytes() != first.tobytes():
            raise Wrong("equal calls give different last digits", likely=wrapped(
                "numbers are added in another order each time: the order must not depend on which "
                "thread is faster"))


EXERCISE = Exercise(
    name="kernel_scatter", title="A scatter on several threads: find the race", group="kernels",
    notebook="13_numba", page="nanollm/exercises/pages/kernel_scatter.py",
    environment=ENVIRONMENT, limit=90,
    broken=(("""    for c in prange(dw.shape[1]):
        for v in range(dw.shape[0]):
            dw[v, c] = 0
        for n in range(ids.size):
            dw[ids[n], c] += dy[n, c]
""", """    dw[:] = 0
    for n in prange(ids.size):
        for c in range(dw.shape[1]):
            dw[ids[n], c] += dy[n, c]
"""),),
    checks=(values, alone, parallel, often, same),
    hints=(
        ("Which numbers does a thread write? Two threads have different n, but may have the same\n"
         "ids[n]. x += 1 is three steps: read, add, write; another thread can come between.",
         "每个线程写哪些数？两个线程的 n 不同，但 ids[n] 可能相同。x += 1 其实分三步：读、加、\n"
         "写，中间可能插进另一个线程。"),
        ("Share something that cannot collide. The columns of dw do not depend on ids: a thread\n"
         "with its own columns may walk over all n alone.",
         "要按不会相撞的东西来分工。dw 的列与 ids 无关：每个线程负责自己的几列，独自走完所有的\n"
         "n。"),
        ("for c in prange(dw.shape[1]): set dw[v, c] = 0 for all v, then for n in\n"
         "range(ids.size): dw[ids[n], c] += dy[n, c].",
         "for c in prange(dw.shape[1])：先对所有 v 令 dw[v, c] = 0，再 for n in\n"
         "range(ids.size): dw[ids[n], c] += dy[n, c]。")))

"""The checks of CUDA puzzles: launches in Numba's simulator, each access of which is seen.

A puzzle is a kernel, situations to launch it in, and the answer by NumPy in float64. Outputs are
full of NaN at first, so that an entry which no thread writes shows. From a puzzle come its checks:

inside      no thread leaves an array
alone       no two threads meet at a number without a wait between them, and all wait alike
values      each output, by all threads alike, and each input unchanged
memory      what the puzzle asks for: neighbors that touch neighboring numbers, numbers read once

NANOLLM_CUDA=real runs the same launches on this machine's GPU, where only values can be seen.
"""

import ast
import inspect
import os
import re
import textwrap
from dataclasses import dataclass

import numpy as np

from nanollm.exercises.spec import Wrong, wrapped

REAL = os.environ.get("NANOLLM_CUDA") == "real"
ENVIRONMENT = {} if REAL else {"NUMBA_ENABLE_CUDASIM": "1", "NUMBA_DISABLE_JIT": "1"}
THREADS, SIDE = 8, 4                             # of a block, as in the pages: N, and N x N
CLOSE = 2e-6                                     # relative to the largest entry


@dataclass(frozen=True)
class Puzzle:
    """A kernel and how it is tried.

    kernel      its name in the page
    situations  (rng) → [(grid, threads, {argument: array or number})], smallest first; outputs are
                made by `nothing`
    answer      (**arguments) → {output: float64 array}; what it does not name must stay unchanged
    neighbors   {array: why}: threads side by side must touch numbers side by side
    once        {array: how often}: how many times one number may be read in a launch; (block,
                times): by one block
    rounds      how many waits the threads of a block need at least
    likely      {word: line}: what to say of "unwritten", "outside", "race", "wait" and "values"
    """

    kernel: str
    situations: object
    answer: object
    neighbors: dict
    once: dict
    rounds: int
    likely: dict


def checks(kernel, situations, answer, *, neighbors=None, once=None, rounds=0, likely=None):
    """The checks of a puzzle; the arguments are Puzzle's."""
    puzzle = Puzzle(kernel, situations, answer, neighbors or {}, once or {}, rounds, likely or {})

    def inside(student):
        "no thread leaves the arrays"
        for each in launches(puzzle, student):
            expect_inside(puzzle, each)

    def alone(student):
        "no two threads meet"
        for each in launches(puzzle, student):
            expect_inside(puzzle, each)
            expect_even(puzzle, each)
            expect_no_race(puzzle, each)

    def values(student):
        "values, for several sizes"
        for each in launches(puzzle, student):
            expect_inside(puzzle, each)
            expect_values(puzzle, each)

    def memory(student):
        "which thread touches which memory"
        expect_constant_shapes(puzzle, student)
        for each in launches(puzzle, student):
            expect_neighbors(puzzle, each)
            expect_once(puzzle, each)
            expect_rounds(puzzle, each)

    if REAL:
        return (values,)
    return (inside, alone, values) + (memory,) * bool(puzzle.neighbors or once or rounds)


@dataclass
class Run:
    """One launch of the student's kernel: what was tried, what came, what the simulator saw."""

    tried: str
    before: dict
    after: dict
    seen: object                                 # a Launch of kernels/cuda/watch.py; None on a GPU


def nothing(*shape):
    """An output before the launch."""
    return np.full(shape, np.nan, np.float32)


def launches(puzzle, student):
    """Yield a Run for each situation."""
    for grid, threads, arguments in puzzle.situations(np.random.default_rng(0)):
        yield launch(puzzle, student, grid, threads, arguments)


def launch(puzzle, student, grid, threads, arguments):
    """Run kernel[grid, threads](*arguments)."""
    from kernels.cuda.device import cuda
    name = puzzle.kernel
    kernel = getattr(student, name)
    if not hasattr(kernel, "py_func"):
        raise Wrong(f"{name} is no kernel", likely="the line @cuda.jit above `def` is missing")
    on_device = {key: cuda.to_device(value) if isinstance(value, np.ndarray) else value
                 for key, value in arguments.items()}
    seen = problem = None
    if REAL:
        kernel[grid, threads](*on_device.values())
    else:
        from kernels.cuda.watch import watch
        with watch() as launched:
            try:
                kernel[grid, threads](*on_device.values())
            except Exception as error:
                problem = without_thread(error)
        seen = launched[-1] if launched else None
    after = {key: value.copy_to_host() if isinstance(arguments[key], np.ndarray) else value
             for key, value in on_device.items()}
    sizes = ", ".join(f"{key} {value.shape}" if isinstance(value, np.ndarray) else f"{key} {value}"
                      for key, value in arguments.items())
    run = Run(f"{name}[{grid}, {threads}] with {sizes}", arguments, after, seen)
    if problem and not (seen and seen.outside):
        expect_no_race(puzzle, run)
        raise problem
    return run


def without_thread(error):
    """The exception of a kernel's thread, without the simulator's coordinates in its words.

    Where Python's exp raises, a GPU's gives inf.
    """
    words = re.sub(r"^tid=\[.*?\] ctaid=\[.*?\](: )?", "", str(error))
    if "FakeWithinKernelCUDAArray" in words:
        words = words.replace("FakeWithinKernelCUDAArray", "array")
        error.likely = "a thread works on numbers, x[i], and not on a whole array, x"
    if isinstance(error, OverflowError):
        return FloatingPointError(f"overflow: {words}").with_traceback(error.__traceback__)
    error.args = (words,)
    return error


def expect_inside(puzzle, run):
    """Wrong if a thread leaves an array."""
    access = run.seen and run.seen.outside
    if not access:
        return
    shape = (run.seen.near | run.seen.arrays)[access.array][1].shape
    if len(access.index) != len(shape):
        likely = f"shape {shape} asks for {len(shape)} in the brackets, not {len(access.index)}"
    elif min(access.index) < 0:
        likely = ("an index below 0 is in front of the array (Python would count from the end): "
                  "ask whether it is there before touching it")
    elif access.array in run.seen.near:
        likely = f"the shared array has shape {shape}: " + (
            "a thread's place in it comes from threadIdx, not from the number in the grid"
            if any(access.block) else "is it too small, or should this thread not reach so far?")
    else:
        likely = puzzle.likely.get("outside", "there are more threads than entries: compare the "
                                   "thread's number with the size before touching memory (a GPU "
                                   "would not say so: it reads and writes what lies there)")
    raise Wrong(f"{who(access)} {deed(access)}, outside of {access.array}, whose shape is {shape}",
                tried=run.tried, likely=wrapped(likely))


def expect_even(puzzle, run):
    """Wrong if the threads of a block come to different numbers of waits."""
    if run.seen and run.seen.uneven:
        block, counts = next(iter(run.seen.uneven.items()))
        raise Wrong(f"some threads of block {place(block)} come to syncthreads "
                    f"{number(counts[0])}, others {number(counts[-1])}", tried=run.tried,
                    likely=wrapped(puzzle.likely.get(
                        "wait", "syncthreads stands inside an `if`, after a `return`, or in a loop "
                        "that some leave earlier. All threads of a block must come to each, or a "
                        "GPU waits forever: guard the reads and writes, not the wait")))


def expect_no_race(puzzle, run):
    """Wrong if two threads meet at a number, and one of them writes it."""
    if not (run.seen and run.seen.races):
        return
    write, other = run.seen.races[0]
    if other.writes:
        likely = puzzle.likely.get("both", "each number must be written by one thread: does every "
                                   "thread have a number of its own?")
    elif write.block != other.block:
        likely = "blocks do not wait for each other: no block may read what another writes"
    else:
        likely = puzzle.likely.get("race", "between writing and reading by another thread all must "
                                   "wait: cuda.syncthreads()")
    raise Wrong(f"a race: {who(write)} writes {spot(write)}, and {who(other)} "
                f"{'writes' if other.writes else 'reads'} it, with no syncthreads between",
                tried=run.tried, likely=wrapped(likely))


def expect_values(puzzle, run):
    """Wrong unless the outputs are the answer's, by the work of all, and inputs stay."""
    wanted = puzzle.answer(**{key: value.astype(np.float64) if isinstance(value, np.ndarray)
                              else value for key, value in run.before.items()})
    written = {a.array for a in run.seen.accesses if a.writes} if run.seen else ()
    for name, before in run.before.items():
        if isinstance(before, np.ndarray) and name not in wanted and (
                name in written or not np.array_equal(before, run.after[name])):
            raise Wrong(f"the kernel writes into its input {name}", tried=run.tried,
                        likely=f"write into {' and '.join(wanted)} only")
    for name, want in wanted.items():
        got = run.after[name]
        with np.errstate(invalid="ignore"):
            wrong = ~(np.abs(got - want) <= CLOSE * max(np.abs(want).max(initial=0), 0.1))
        if wrong.any():
            at = tuple(map(int, np.argwhere(wrong)[0]))
            where = f"{name}[{', '.join(map(str, at))}]"
            writes = {a.index for a in run.seen.accesses if a.writes and a.array == name} \
                if run.seen else {at}
            if not writes and want.size > 1:
                raise Wrong(f"no thread writes anything into {name}", tried=run.tried,
                            likely=f"a kernel returns nothing, and `{name} = ...` only gives a "
                                   f"name to\nsomething new: {name}[...] = ... writes")
            if at not in writes:
                raise Wrong(f"no thread writes {where} ({wrong.sum()} of {wrong.size} entries are "
                            "wrong)", tried=run.tried, likely=wrapped(puzzle.likely.get(
                                "unwritten", "which thread should? Its number in the grid is "
                                "blockIdx * blockDim + threadIdx")))
            raise Wrong(f"{where} is wrong ({wrong.sum()} of {wrong.size} entries are)",
                        tried=f"{run.tried}\n{small(run.before)}", got=got[at], expected=want[at],
                        likely=(np.isnan(got[at]) and unwritten(run)) or wrapped(
                            puzzle.likely.get("values", "")))
    if run.seen:
        expect_shared(run, wanted)


def expect_shared(run, outputs):
    """Wrong if a thread writes more numbers of an output than each would, shared evenly."""
    written = {}
    for access in run.seen.accesses:
        if access.writes and access.array in outputs:
            written.setdefault((access.array, access.block, access.thread), set()).add(access.index)
    for (name, block, thread), indices in written.items():
        share = -(-run.after[name].size // len(run.seen.waits))
        if len(indices) > share:
            raise Wrong(f"thread {place(thread)} of block {place(block)} writes {len(indices)} "
                        f"numbers of {name}: the work of others", tried=run.tried,
                        likely=wrapped(f"{len(run.seen.waits)} threads share the "
                                       f"{run.after[name].size} numbers of {name}: at most {share} "
                                       "for each. A GPU is fast because all of them work"))


def unwritten(run):
    """A line if a thread read shared memory that no thread of its block had written."""
    written = set()
    for access in run.seen.accesses if run.seen else ():
        if access.shared:
            number = access.block, access.array, access.index
            if access.writes:
                written.add(number)
            elif number not in written:
                return wrapped(f"{who(access)} reads {spot(access)}, into which no thread of its "
                               "block has written anything: shared memory holds what was there "
                               "before")
    return None


def small(arguments):
    """The inputs, if they are few numbers."""
    inputs = {key: value for key, value in arguments.items()
              if isinstance(value, np.ndarray) and not np.isnan(value).all()}
    if sum(value.size for value in inputs.values()) > 12:
        return ""
    return "\n".join(f"{key} = {np.array2string(value, precision=3, separator=', ')}"
                     for key, value in inputs.items())


def expect_constant_shapes(puzzle, student):
    """Wrong if a GPU could not compile the kernel, for want of the size of its shared memory.

    Numba takes a literal, a name of the module, or a name that is given such a thing; not `N + 1`
    with a name in it, though N is constant. The simulator takes anything.
    """
    kernel = getattr(student, puzzle.kernel).py_func
    (tree,) = ast.parse(textwrap.dedent(inspect.getsource(kernel))).body
    given = {name.id: node.value for node in ast.walk(tree) if isinstance(node, ast.Assign)
             for name in node.targets if isinstance(name, ast.Name)}

    def constant(node):
        if isinstance(node, ast.Tuple):
            return all(map(constant, node.elts))
        if isinstance(node, ast.Name):
            return constant(given[node.id]) if node.id in given else (
                node.id not in kernel.__code__.co_varnames)
        return not any(isinstance(part, ast.Name) for part in ast.walk(node))

    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("shared.array"):
            shape = next((k.value for k in node.keywords if k.arg == "shape"), None) or node.args[0]
            if not constant(shape):
                raise Wrong(f"the shape of a shared array, {ast.unparse(shape)}, is no constant",
                            likely=wrapped(
                                "the simulator takes it, a GPU does not: the size must be known "
                                "before the kernel runs. Take a number or a name of the module, "
                                "and compute outside of the kernel"))


def expect_neighbors(puzzle, run):
    """Wrong if threads side by side touch numbers that are not."""
    for name, why in puzzle.neighbors.items():
        shape = run.seen.arrays[name][1].shape
        threads = {}
        for access in run.seen.accesses:
            if access.array == name:
                key = access.block, access.waits, access.thread
                threads.setdefault(key, []).append(access)
        for (block, waits, (x, y, z)), first in threads.items():
            for a, b in zip(first, threads.get((block, waits, (x + 1, y, z)), ())):
                apart = abs(int(np.ravel_multi_index(b.index, shape))
                            - int(np.ravel_multi_index(a.index, shape)))
                if apart > 1:
                    raise Wrong(f"{who(a)} {deed(a)}, its neighbor {deed(b)}: {apart} numbers "
                                "apart", tried=run.tried, likely=wrapped(why))


def expect_once(puzzle, run):
    """Wrong if a number is read more often than the puzzle allows."""
    for name, limit in puzzle.once.items():
        of_a_block = isinstance(limit, tuple)
        times, counts = limit[1] if of_a_block else limit, {}
        for access in run.seen.accesses:
            if access.array == name and not access.writes:
                key = access.index, access.block if of_a_block else None
                counts[key] = counts.get(key, 0) + 1
                if counts[key] > times:
                    whose = f"block {place(access.block)}" if of_a_block else "the kernel"
                    raise Wrong(f"{whose} reads {spot(access)} more than {number(times)}",
                                tried=run.tried, likely=wrapped(puzzle.likely.get(
                                    "once", "a number that several threads need is read from "
                                    "memory once and kept in shared memory")))


def expect_rounds(puzzle, run):
    """Wrong if a thread waits less often than the puzzle's rounds need."""
    for (block, thread), waits in run.seen.waits.items():
        if waits < puzzle.rounds:
            raise Wrong(f"thread {place(thread)} of block {place(block)} waits {number(waits)}, "
                        f"and {THREADS} threads need {puzzle.rounds} rounds", tried=run.tried,
                        likely=wrapped(puzzle.likely["rounds"]))


def number(times):
    return {0: "never", 1: "once", 2: "twice"}.get(times, f"{times} times")


def who(access):
    return f"thread {place(access.thread)} of block {place(access.block)}"


def place(at):
    """(x, y, z) as a student wrote it: x alone where the rest is 0."""
    return str(at[0]) if not any(at[1:]) else str(tuple(at[:2] if not at[2] else at))


def spot(access):
    return f"{access.array}[{', '.join(map(str, access.index))}]"


def deed(access):
    return f"{'writes' if access.writes else 'reads'} {spot(access)}"

"""Do two threads of a launch meet at one number? The simulator is asked to watch.

No two threads may write the same number, and none may read what another writes, unless both are of
one block and a wait (syncthreads) lies between (kernels/cuda/watch.py).
"""

import numpy as np
import pytest

from cases import CASES, STEPS, Draw, seed
from judges import Arrays, counters, pair, situation
from kernels import cuda
from kernels.cuda.block import THREADS, by_entry
from kernels.cuda.device import SIMULATED, cuda as device
from kernels.cuda.watch import watch

pytestmark = pytest.mark.skipif(not SIMULATED, reason="only the simulator sees each access")

REPEATS = [
    ("embedding", "two words, many times", lambda r: ([r.ids(2, 3, 40), r.normal(2, 3)], {})),
    ("embedding", "one word", lambda r: ([r.ids(1, 30), r.normal(1, 10)], {})),
    ("embedding", "one word, in parts", lambda r: ([r.ids(1, 130), r.normal(1, 3)], {})),
]


def first_rows(table, count):
    """The first rows of each op that the backend has."""
    ops = {}
    for row in table:
        if hasattr(cuda, row[0]):
            ops.setdefault(row[0], []).append(row)
    return [row for rows in ops.values() for row in rows[:count]]


def label(row):
    return f"{row[0]}, {row[1]}"


@pytest.fixture
def launches():
    with watch() as launches:
        yield launches


def racing(launches):
    """The names of the kernels that raced, or whose threads waited unevenly."""
    return {launch.kernel for launch in launches if launch.races or launch.uneven}


@pytest.mark.parametrize("row", first_rows(CASES, 2) + REPEATS, ids=label)
def test_no_two_threads_of_an_op_meet(row, launches):
    arrays = Arrays("cuda")
    inputs, settings, dy = situation(row, "float32")
    forward, backward = pair("cuda", row[0])
    _, saved = forward(*map(arrays.put, inputs), **settings)
    backward(arrays.put(dy), saved)
    assert not racing(launches)


@pytest.mark.parametrize("row", first_rows(STEPS, 2), ids=label)
def test_no_two_threads_of_a_step_meet(row, launches):
    op, _, make = row
    inputs, settings = make(Draw(seed(row), np.float32))
    arrays = [None if x is None else cuda.array(x) for x in inputs]
    getattr(cuda, op)(*arrays, **settings, **counters(op, inputs))
    assert not racing(launches)


def test_no_two_threads_that_draw_a_mask_meet(launches):
    cuda.keep(np.random.default_rng(0), (3, 7), 0.5)
    assert not racing(launches)


@device.jit
def _racing_sum(x, y):
    i = device.grid(1)
    if i < x.size:
        y[0] += x[i]


@device.jit
def _racing_shift(x):
    i = device.grid(1)
    if i + 1 < x.size:
        x[i] = x[i + 1]


@device.jit
def _turn(x, y):                                 # y = x, then x = y moved by one
    i = device.grid(1)
    y[i] = x[i]
    device.syncthreads()
    x[i] = y[(i + 1) % x.size]


def test_a_race_is_seen(launches):
    x, y = cuda.ones(20), cuda.zeros(1)
    by_entry(_racing_sum, x.size, x, y)
    assert racing(launches) == {"_racing_sum"}
    by_entry(_racing_shift, x.size, x)
    assert racing(launches) == {"_racing_sum", "_racing_shift"}


def test_a_wait_prevents_a_race_within_a_block_and_not_between_blocks(launches):
    x, y = cuda.ones(THREADS), cuda.zeros(THREADS)
    by_entry(_turn, THREADS, x, y)
    assert not racing(launches)
    launches.clear()
    x, y = cuda.ones(2 * THREADS), cuda.zeros(2 * THREADS)
    by_entry(_turn, 2 * THREADS, x, y)
    assert racing(launches) == {"_turn"}


@device.jit
def _meets_in_shared_memory(x, y):               # y = x, reversed within a block, without a wait
    near = device.shared.array(THREADS, x.dtype)
    t = device.threadIdx.x
    near[t] = x[t]
    y[t] = near[THREADS - 1 - t]


@device.jit
def _waits_unevenly(x, y):
    t = device.threadIdx.x
    if t % 2:
        device.syncthreads()
    y[t] = x[t]


@device.jit
def _leaves(x, y):
    t = device.threadIdx.x
    y[t] = x[t - 1]


def test_shared_memory_is_watched_and_so_are_waits(launches):
    for kernel in _meets_in_shared_memory, _waits_unevenly:
        by_entry(kernel, THREADS, cuda.ones(THREADS), cuda.zeros(THREADS))
    assert racing(launches) == {"_meets_in_shared_memory", "_waits_unevenly"}
    write, other = launch_of(_meets_in_shared_memory, launches).races[0]
    assert write.array == other.array == "near" and write.shared and write.waits == 0
    assert launch_of(_waits_unevenly, launches).uneven == {(0, 0, 0): [0, 1]}


def test_an_access_outside_of_an_array_is_told(launches):
    with pytest.raises(IndexError):
        by_entry(_leaves, THREADS, cuda.ones(THREADS), cuda.zeros(THREADS))
    outside = launch_of(_leaves, launches).outside
    assert (outside.array, outside.index, outside.writes) == ("x", (-1,), False)


def launch_of(kernel, launches):
    return next(launch for launch in launches if launch.kernel == kernel.__name__)


@device.jit
def leave(y):
    near = device.shared.array(1, y.dtype)
    if device.blockIdx.x == 0:
        near[0] = 1
    y[device.blockIdx.x] = near[0]


def test_a_block_finds_nothing_in_shared_memory_of_the_block_before(launches):
    y = device.to_device(np.zeros(2, np.float32))
    leave[2, 1](y)
    assert np.array_equal(y.copy_to_host(), [1, np.nan], equal_nan=True)

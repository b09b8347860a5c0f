"""nanollm/exercises/turns.py finds a race in a loop over prange, and none where there is none."""

import numba
import numpy as np
import pytest
from numba import njit, prange

from nanollm.exercises import turns

IDS, DY = np.array([0, 1, 0, 2]), np.ones((4, 2), np.float32)


@njit
def put(dw, v, row):
    for c in range(row.size):
        dw[v, c] += row[c]


def by_tokens(ids, dy, dw):
    dw[:] = 0
    for n in prange(ids.size):
        for c in range(dw.shape[1]):
            dw[ids[n], c] += dy[n, c]


def by_rows(ids, dy, dw):
    for n in numba.prange(ids.size):
        dw[ids[n]] += dy[n]


def by_views(ids, dy, dw):
    for n in prange(ids.size):
        row = dw.T[:, ids[n]]
        row += dy[n]


def by_a_function(ids, dy, dw):
    for n in prange(ids.size):
        put(dw, ids[n], dy[n])


def by_one_copy(ids, dy, dw):
    copy = np.zeros(dw.shape, dw.dtype)
    for n in prange(ids.size):
        copy[ids[n]] += dy[n]
    dw[:] = copy


def zero_by_all(ids, dy, dw):
    for c in prange(dw.shape[1]):
        dw.fill(0)
        for n in range(ids.size):
            dw[ids[n], c] += dy[n, c]


def by_columns(ids, dy, dw):
    for c in prange(dw.shape[1]):
        dw[:, c] = 0
        for n in range(ids.size):
            dw[ids[n], c] += dy[n, c]


def by_vocabulary(ids, dy, dw):
    for v in prange(dw.shape[0]):
        dw[v] = dy[ids == v].sum(axis=0)


def by_copies(ids, dy, dw):
    copies = np.zeros((2, *dw.shape), dw.dtype)
    for half in prange(2):
        for n in range(half, ids.size, 2):
            copies[half, ids[n]] += dy[n]
    for v in prange(dw.shape[0]):                # another loop: the first has ended
        dw[v] = copies[0, v] + copies[1, v]


def by_columns_of_its_own(ids, dy, dw):
    for c in prange(dw.shape[1]):
        sums, d = np.zeros(dw.shape[0], dw.dtype), dy[:, c].copy()
        for n in prange(ids.size):               # inside another one: a plain range
            sums[ids[n]] += d[n]
        dw[:, c] = sums


def seen(kernel):
    dw = np.full((3, 2), np.nan, np.float32)
    return turns.watch(njit(kernel), ids=IDS.copy(), dy=DY.copy(), dw=dw), dw


@pytest.mark.parametrize("kernel", [by_tokens, by_rows, by_views, by_a_function])
def test_a_race_is_told_by_its_turns(kernel):
    meeting = seen(kernel)[0].meeting
    assert meeting == ("dw", (0, 0), (0, 2), (True, False))


def test_a_race_in_an_array_that_the_kernel_makes():
    assert seen(by_one_copy)[0].meeting.turns == (0, 2)


def test_two_turns_that_write():
    assert seen(zero_by_all)[0].meeting == ("dw", (0, 0), (0, 1), (True, True))


@pytest.mark.parametrize("kernel, loops", [
    (by_columns, 1), (by_vocabulary, 1), (by_copies, 2), (by_columns_of_its_own, 1)])
def test_no_race_where_turns_share_nothing(kernel, loops):
    found, dw = seen(kernel)
    assert found.meeting is None and found.started == loops
    assert np.array_equal(dw, [[2, 2], [1, 1], [1, 1]])


def test_what_cannot_run_as_plain_python_is_not_judged():
    def by_thread(ids, dy, dw):
        for n in prange(ids.size):
            dw[numba.get_thread_id()] = n

    assert seen(by_thread)[0] is None

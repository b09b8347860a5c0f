"""CUDA 8: all running sums at once."""

import numpy as np

from nanollm.exercises.of_cuda import ENVIRONMENT, THREADS, checks, nothing
from nanollm.exercises.spec import Exercise

ROUNDS = THREADS.bit_length() - 1


def situations(rng):
    for N in 4, THREADS, 2 * THREADS + 3:
        yield -(-N // THREADS), THREADS, {"x": rng.standard_normal(N, np.float32),
                                          "y": nothing(N)}


def answer(x, y):
    blocks = [x[first:first + THREADS].cumsum() for first in range(0, x.size, THREADS)]
    return {"y": np.concatenate(blocks)}


EXERCISE = Exercise(
    name="cuda08_scan", title="All running sums at once", group="cuda", notebook="14_cuda",
    page="nanollm/exercises/pages/cuda08_scan.py", blanks=("running_sums",),
    environment=ENVIRONMENT,
    checks=checks("running_sums", situations, answer, once={"x": 1}, rounds=ROUNDS, likely={
        "race": "in a round everyone reads what a neighbor overwrites: read into a variable, all "
                "wait, write, all wait",
        "unwritten": "each i below y.size has a thread that must write it",
        "values":
                "after the round with distance d each number is the sum of 2 d: d = 1, 2, 4, ... "
                "below THREADS, and thread t has a left neighbor if t >= d",
        "rounds": "a wait before the first round and at least one in each: with fewer, threads do "
                "the work of others"}),
    hints=(
        ("Add your left neighbor and you are the sum of two. Then the number two to the left is\n"
         "the sum of the two before those: adding it makes four. Distances double, so 8 numbers\n"
         "need 3 rounds.",
         "加上左邻居，就得到两个数的和；再加上左边第二个位置（它也是两个数的和），就得到四个数\n"
         "的和。距离每轮加倍，8 个数只要 3 轮。"),
        ("A round: left = part[t - distance] if t >= distance else 0; wait; part[t] += left;\n"
         "wait; distance doubles. Without the first wait some read a number that has been\n"
         "overwritten.",
         "每一轮：t >= distance 时 left = part[t - distance]，否则为 0；等待；part[t] +=\n"
         "left；等待；distance 加倍。没有第一次等待，有的线程会读到已被改写的数。"),
        ("while distance < THREADS: with two cuda.syncthreads(), both outside of any if. At the\n"
         "end, if i < y.size: y[i] = part[t].",
         "while distance < THREADS 循环里有两个 cuda.syncthreads()，都在 if 之外。最后 if i <\n"
         "y.size: y[i] = part[t]。")))

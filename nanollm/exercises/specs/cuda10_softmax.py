"""CUDA 10: softmax, a block for each row."""

import numpy as np

from nanollm.exercises.of_cuda import ENVIRONMENT, THREADS, checks, nothing
from nanollm.exercises.spec import Exercise

ROUNDS = THREADS.bit_length() - 1


def situations(rng):
    sizes = (1, 2, 0), (2, THREADS, 0), (2, 2 * THREADS + 3, 0), (1, 5, 1000), (1, 5, -1e6)
    for N, K, shift in sizes:
        x = rng.standard_normal((N, K), np.float32) + np.float32(shift)
        yield N, THREADS, {"x": x, "y": nothing(N, K)}


def answer(x, y):
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return {"y": e / e.sum(axis=-1, keepdims=True)}


SIDE_BY_SIDE = "thread t takes the entries t, t + THREADS, ...: range(t, K, THREADS)"

EXERCISE = Exercise(
    name="cuda10_softmax", title="Softmax, a block for each row", group="cuda",
    notebook="14_cuda", page="nanollm/exercises/pages/cuda10_softmax.py", blanks=("softmax",),
    environment=ENVIRONMENT,
    checks=checks("softmax", situations, answer, once={"x": 3}, rounds=ROUNDS,
                  neighbors={"x": SIDE_BY_SIDE, "y": SIDE_BY_SIDE}, likely={
        "outside": "a row has K entries and its threads take t, t + THREADS, ... as far as K: "
                "range(t, K, THREADS)",
        "both": "an entry of y belongs to one thread: range(t, K, THREADS)",
        "race": "the scratch array is used for the maximum and for the sum: wait after filling "
                "it, after each round, and once more when all have read the maximum",
        "unwritten":
                "a row may be longer than a block: each thread must go on with its entries t + "
                "THREADS, ...",
        "values": "subtract the maximum of the whole row before exp, and divide by the sum of the "
                "whole row; a thread without entries must change neither",
        "once": "each entry is read by one thread, in three walks: maximum, sum, result. Threads "
                "tell each other what they found in shared memory",
        "rounds": "two trees, and a wait before each and between them"}),
    hints=(
        ("It is cuda07_reduce twice, once with max and once with +, around a loop over the\n"
         "thread's own entries. A thread that has no entry must bring a number that changes\n"
         "nothing.",
         "相当于把 cuda07_reduce 做两遍，一遍求最大值，一遍求和，外加每个线程对自己那部分的循\n"
         "环。没有元素的线程要提供一个不影响结果的数。"),
        ("1 largest of my entries → scratch[t], tree with max, everyone reads scratch[0]. 2\n"
         "wait; the sum of exp(x - m) of my entries → scratch[t], tree with +. 3 write exp(x -\n"
         "m) / scratch[0].",
         "1 自己那部分的最大值 → scratch[t]，用 max 归约，大家读 scratch[0]。2 等待；自己那部\n"
         "分 exp(x - m) 的和→ scratch[t]，用加法归约。3 写 exp(x - m) / scratch[0]。"),
        ("m = scratch[0], then cuda.syncthreads() before scratch[t] = total: otherwise a fast\n"
         "thread overwrites the maximum that a slow one has yet to read. Every walk is for k in\n"
         "range(t, K, THREADS).",
         "m = scratch[0] 之后、scratch[t] = total 之前要有 cuda.syncthreads()，否则快的线程会\n"
         "覆盖慢的线程还没读的最大值。每一遍都是 for k in range(t, K, THREADS)。")))

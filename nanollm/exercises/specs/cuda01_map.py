"""CUDA 1: a thread for each entry."""

import numpy as np

from nanollm.exercises.of_cuda import ENVIRONMENT, checks, nothing
from nanollm.exercises.spec import Exercise


def situations(rng):
    for N in 1, 4, 7:
        yield 1, N, {"x": rng.standard_normal(N, np.float32), "y": nothing(N)}


def answer(x, y):
    return {"y": np.maximum(x, 0)}


EXERCISE = Exercise(
    name="cuda01_map", title="A thread for each entry", group="cuda", notebook="14_cuda",
    page="nanollm/exercises/pages/cuda01_map.py", blanks=("relu",), environment=ENVIRONMENT,
    checks=checks("relu", situations, answer, likely={
        "outside": "the launch has as many threads as there are entries, and thread i has entry i: "
                "its number is cuda.threadIdx.x, as it is",
        "both": "every thread must have an entry of its own: its number is cuda.threadIdx.x",
        "unwritten": "thread i must write y[i], also where x[i] is not above 0",
        "values": "a number above 0 stays as it is, any other becomes 0"}),
    hints=(
        ("The function is not called once but once for each thread, all at the same time. The\n"
         "only difference between them is what cuda.threadIdx.x says. There is no loop.",
         "这个函数不是只调用一次，而是每个线程各执行一次，而且同时执行。线程之间唯一的差别是\n"
         "cuda.threadIdx.x 的值。这里没有循环。"),
        ("Thread i: look at x[i], write y[i]. An entry that is not above 0 gives 0.",
         "第 i 个线程读 x[i]，写 y[i]；不大于 0 的数得 0。"),
        ("i = cuda.threadIdx.x, then y[i] = x[i] if x[i] > 0 else 0.",
         "先写 i = cuda.threadIdx.x，再写 y[i] = x[i] if x[i] > 0 else 0。")))

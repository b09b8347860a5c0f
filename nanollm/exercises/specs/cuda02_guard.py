"""CUDA 2: more threads than entries."""

import numpy as np

from nanollm.exercises.of_cuda import ENVIRONMENT, THREADS, checks, nothing
from nanollm.exercises.spec import Exercise


def situations(rng):
    for N in 1, 5, THREADS:
        x, h = rng.standard_normal((2, N), np.float32)
        yield 1, THREADS, {"x": x, "h": h, "y": nothing(N)}


def answer(x, h, y):
    return {"y": x + h}


EXERCISE = Exercise(
    name="cuda02_guard", title="More threads than entries", group="cuda", notebook="14_cuda",
    page="nanollm/exercises/pages/cuda02_guard.py", blanks=("add",), environment=ENVIRONMENT,
    checks=checks("add", situations, answer, likely={
        "unwritten": "the guard is too strict: every i from 0 to y.size - 1 must pass",
        "values": "y[i] = x[i] + h[i]"}),
    hints=(
        ("A block has as many threads as it is launched with, whatever the size of the arrays. A\n"
         "thread whose number is too large must not touch memory at all, not even read.",
         "线程块有多少个线程由启动时决定，与数组大小无关。编号超出范围的线程不能碰内存，连读也\n"
         "不行。"),
        ("Compare i with the size of y before the first access; only then read, add and write.",
         "在第一次访问之前，先把 i 与 y 的大小比较，然后才读、加、写。"),
        ("if i < y.size: y[i] = x[i] + h[i]",
         "if i < y.size: y[i] = x[i] + h[i]（有效编号从 0 到 y.size - 1）")))

"""CUDA 6: a tile with an edge."""

import numpy as np

from nanollm.exercises.of_cuda import ENVIRONMENT, THREADS, checks, nothing
from nanollm.exercises.spec import Exercise

WIDTH = 3


def situations(rng):
    for N in 4, THREADS, 2 * THREADS, 2 * THREADS + 3:
        yield -(-N // THREADS), THREADS, {
            "x": rng.standard_normal(N, np.float32), "w": rng.standard_normal(WIDTH, np.float32),
            "y": nothing(N)}


def answer(x, w, y):
    return {"y": np.convolve(x, w)[:x.size]}


EXERCISE = Exercise(
    name="cuda06_window", title="A tile with an edge", group="cuda", notebook="14_cuda",
    page="nanollm/exercises/pages/cuda06_window.py", blanks=("causal_filter",),
    environment=ENVIRONMENT,
    checks=checks("causal_filter", situations, answer, once={"x": ("block", 1)}, likely={
        "unwritten": "each i below y.size has a thread that must write it",
        "values": "y[i] = w[0] x[i] + w[1] x[i-1] + ...: x goes back while w goes on, and thread "
                "t's own number is near[t + WIDTH - 1]",
        "once": "bring the block's THREADS + WIDTH - 1 numbers into shared memory, each once, and "
                "sum from there"}),
    hints=(
        ("Neighboring results need nearly the same numbers. Put all that a block needs into\n"
         "shared memory first: its THREADS own numbers, and the WIDTH - 1 before them, for which\n"
         "some threads work twice.",
         "相邻的结果需要的数几乎相同。先把整个块需要的数放进共享内存：自己的 THREADS 个，再加\n"
         "上前面的 WIDTH - 1 个，这部分由几个线程多读一次。"),
        ("near[t + WIDTH - 1] is x[i]; near[t], for t < WIDTH - 1, is x[i - (WIDTH - 1)]. Where\n"
         "x has no such entry, put 0. Wait. Then thread t finds x[i - j] in near[t + WIDTH - 1 -\n"
         "j].",
         "near[t + WIDTH - 1] 存 x[i]；当 t < WIDTH - 1 时，near[t] 存 x[i - (WIDTH - 1)]。x\n"
         "中没有的位置填 0。等待之后，x[i - j] 就在 near[t + WIDTH - 1 - j]。"),
        ("before = i - (WIDTH - 1); near[t] = x[before] if before >= 0 else zero. After\n"
         "the wait: for j in range(WIDTH): total += w[j] * near[t + WIDTH - 1 - j].",
         "before = i - (WIDTH - 1)；near[t] = x[before] if before >= 0 else zero。等\n"
         "待之后：for j in range(WIDTH): total += w[j] * near[t + WIDTH - 1 - j]。")))

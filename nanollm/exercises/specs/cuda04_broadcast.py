"""CUDA 4: threads in two directions."""

import numpy as np

from nanollm.exercises.of_cuda import ENVIRONMENT, SIDE, checks, nothing
from nanollm.exercises.spec import Exercise


def situations(rng):
    for N, K in (2, 3), (SIDE, 2 * SIDE), (SIDE + 1, SIDE - 1):
        yield (-(-K // SIDE), -(-N // SIDE)), (SIDE, SIDE), {
            "x": rng.standard_normal((N, K), np.float32), "b": rng.standard_normal(K, np.float32),
            "y": nothing(N, K)}


def answer(x, b, y):
    return {"y": x + b}


WHY = ("x is the direction in which neighbors lie side by side in memory: take the column k from "
       "x and the row n from y")

EXERCISE = Exercise(
    name="cuda04_broadcast", title="Threads in two directions", group="cuda", notebook="14_cuda",
    page="nanollm/exercises/pages/cuda04_broadcast.py", blanks=("add_bias",),
    environment=ENVIRONMENT,
    checks=checks("add_bias", situations, answer, neighbors={"x": WHY, "y": WHY}, likely={
        "outside": "rows and columns can both be too many: compare n with y.shape[0] and k with "
                "y.shape[1] before touching memory",
        "both": "two threads take the same entry: both directions need a number from blockIdx, "
                "blockDim and threadIdx",
        "unwritten": "some threads are kept out that should not be, a block's number is not "
                "counted, or row and column are exchanged: cuda.grid(2) gives the pair (in x, in "
                "y), and x is the column",
        "values": "b belongs to the columns: row n, column k gets b[k]"}),
    hints=(
        ("Every thread has two numbers, one in x and one in y, each made as in cuda03_grid.\n"
         "Which of them is the column? The fast one: threads that differ by 1 in x should lie\n"
         "side by side in memory.",
         "每个线程有 x、y 两个编号，各按 cuda03_grid 的方法计算。哪一个是列号？应该是变化快的\n"
         "那个：x 方向相邻的线程，访问的内存也应相邻。"),
        ("k = (block's x) · (threads in x) + (thread's x); n the same with y. Guard both: n\n"
         "against the rows, k against the columns.",
         "k 由 x 方向的块号、块宽、线程号算出，n 由 y 方向算出。两个都要判断：n 对行数，k 对列\n"
         "数。"),
        ("k, n = cuda.grid(2); if n < y.shape[0] and k < y.shape[1]: y[n, k] = x[n, k] + b[k]",
         "先求编号 k, n = cuda.grid(2)，再写 if n < y.shape[0] and k < y.shape[1]: y[n, k] =\n"
         "x[n, k] + b[k]")))

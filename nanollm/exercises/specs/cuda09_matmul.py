"""CUDA 9: the tiled matrix product."""

import numpy as np

from nanollm.exercises.of_cuda import ENVIRONMENT, SIDE, checks, nothing
from nanollm.exercises.spec import Exercise


def situations(rng):
    for M, K, N in (2, 3, 2), (SIDE, 2 * SIDE, SIDE), (SIDE + 1, SIDE + 2, 2 * SIDE - 1):
        yield (-(-N // SIDE), -(-M // SIDE)), (SIDE, SIDE), {
            "a": rng.standard_normal((M, K), np.float32),
            "b": rng.standard_normal((K, N), np.float32), "y": nothing(M, N)}


def answer(a, b, y):
    return {"y": a @ b}


EXERCISE = Exercise(
    name="cuda09_matmul", title="The tiled matrix product", group="cuda", notebook="14_cuda",
    page="nanollm/exercises/pages/cuda09_matmul.py", blanks=("matmul",), environment=ENVIRONMENT,
    checks=checks("matmul", situations, answer, once={"a": ("block", 1), "b": ("block", 1)},
                  neighbors={
        "a": "in a's tile, the thread's x goes along k: near_a[ty, tx] from a[m, k + tx]",
        "b": "in b's tile, the thread's x goes along n: near_b[ty, tx] from b[k + ty, n]",
        "y": "the thread's x is the column n of y"}, likely={
        "outside": "three edges can stick out: M, N, and K in the last step. Take 0 for what does "
                "not exist",
        "race": "two waits a step: one when the tiles are full, one when everyone has used them",
        "unwritten": "thread (tx, ty) of block (bx, by) writes y[by · SIDE + ty, bx · SIDE + tx]",
        "values": "y[m, n] is the sum over all steps of near_a[ty, i] · near_b[i, tx], i below "
                "SIDE, begun at 0 in a variable of the thread's own; what lies beyond K must be 0 "
                "in the tiles. n comes from x, m from y",
        "once": "a tile of a and one of b go into shared memory at each step; the products are "
                "made from there"}),
    hints=(
        ("All SIDE x SIDE threads of a block need the same rows of a and columns of b. Cut k\n"
         "into pieces of SIDE: for each piece, every thread brings one number of a and one of b,\n"
         "then all use all of them.",
         "一个块的所有线程用到相同的 a 的行和 b 的列。把 k 切成长为 SIDE 的小段：每一段，每个\n"
         "线程各搬一个 a 的数和一个 b 的数，然后大家共用。"),
        ("In step k: near_a[ty, tx] = a[m, k + tx], near_b[ty, tx] = b[k + ty, n], 0 beyond the\n"
         "edges. Wait. total += the sum of near_a[ty, i] near_b[i, tx]. Wait. After the last\n"
         "step write y[m, n] if it exists.",
         "每一步 k：near_a[ty, tx] = a[m, k + tx]，near_b[ty, tx] = b[k + ty, n]，越界填 0。等\n"
         "待。total 累加 near_a[ty, i] · near_b[i, tx]。再等待。最后若 y[m, n] 存在就写入。"),
        ("near_a[ty, tx] = a[m, k + tx] if m < M and k + tx < K else zero; near_b likewise with\n"
         "k + ty < K and n < N. Both waits are outside of any if; threads beyond y take part.",
         "near_a[ty, tx] = a[m, k + tx] if m < M and k + tx < K else zero；near_b 同理，条件是\n"
         "k + ty < K and n < N。两次等待都在 if 之外，超出 y 的线程也要参加。")))

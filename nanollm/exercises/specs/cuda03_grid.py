"""CUDA 3: many blocks."""

import numpy as np

from nanollm.exercises.of_cuda import ENVIRONMENT, THREADS, checks
from nanollm.exercises.spec import Exercise


def situations(rng):
    for N, threads in (3, THREADS), (2 * THREADS, THREADS), (10, THREADS // 2):
        w, dw = rng.standard_normal((2, N), np.float32)
        yield -(-N // threads), threads, {"w": w, "dw": dw, "lr": np.float32(0.5)}


def answer(w, dw, lr):
    return {"w": w - lr * dw}


EXERCISE = Exercise(
    name="cuda03_grid", title="Many blocks", group="cuda", notebook="14_cuda",
    page="nanollm/exercises/pages/cuda03_grid.py", blanks=("sgd_step",), environment=ENVIRONMENT,
    checks=checks("sgd_step", situations, answer, likely={
        "both": "threads of two blocks take the same entry: a block's number must count too, "
                "blockIdx.x blocks of blockDim.x threads lie before it",
        "values": "w[i] = w[i] - lr * dw[i]"}),
    hints=(
        ("Every block counts its threads from 0. So threadIdx.x alone is not a thread's number\n"
         "among all: the threads of the blocks before it must be counted too.",
         "每个块内的线程都从 0 开始编号，所以 threadIdx.x 还不是全局编号：还要加上前面各块的线\n"
         "程数。"),
        ("Before block b lie b blocks of blockDim.x threads each, so i = b · blockDim.x +\n"
         "threadIdx.x. The last block may reach beyond the end: guard.",
         "第 b 块之前有 b 个块，每块 blockDim.x 个线程，所以 i = b · blockDim.x +\n"
         "threadIdx.x。最后一块可能越过末尾，需要判断边界。"),
        ("i = cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x; if i < w.size: w[i] -= lr *\n"
         "dw[i]",
         "先求编号 i = cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x，再写 if i <\n"
         "w.size: w[i] -= lr * dw[i]")))

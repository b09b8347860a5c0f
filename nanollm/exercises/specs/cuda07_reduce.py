"""CUDA 7: a sum as a tree."""

import numpy as np

from nanollm.exercises.of_cuda import ENVIRONMENT, THREADS, checks, nothing
from nanollm.exercises.spec import Exercise

ROUNDS = THREADS.bit_length() - 1


def situations(rng):
    for N in THREADS, THREADS - 3, 2 * THREADS + 1:
        blocks = -(-N // THREADS)
        yield blocks, THREADS, {"x": rng.standard_normal(N, np.float32), "y": nothing(blocks)}


def answer(x, y):
    return {"y": np.add.reduceat(x, range(0, x.size, THREADS))}


EXERCISE = Exercise(
    name="cuda07_reduce", title="A sum as a tree", group="cuda", notebook="14_cuda",
    page="nanollm/exercises/pages/cuda07_reduce.py", blanks=("block_sums",),
    environment=ENVIRONMENT,
    checks=checks("block_sums", situations, answer, once={"x": 1}, rounds=ROUNDS, likely={
        "wait": "syncthreads stands inside an `if` that not all threads enter. Threads that have "
                "nothing to add must come to the wait of each round too, or a GPU waits forever",
        "both": "one thread of a block writes, if t == 0, and each block has a place of its own: "
                "y[cuda.blockIdx.x]",
        "race": "a round may begin only when the one before it is done, and the first when all "
                "numbers are in shared memory: cuda.syncthreads() before the loop and at the end "
                "of each round; and only threads t < half add",
        "unwritten": "thread 0 writes the sum of its block to y[cuda.blockIdx.x]",
        "values": "a round adds part[t + half] to part[t] for t < half, with half = THREADS / 2, "
                "then half of that, down to 1",
        "rounds": "a wait before the first round and one after each. With fewer, one thread does "
                "the work of all while the others wait"}),
    hints=(
        ("`y[b] += x[i]` in every thread is a race: two read the same old sum. Instead add in\n"
         "pairs: half of the threads take over the numbers of the other half, then half of\n"
         "those, until thread 0 has everything.",
         "每个线程都执行 y[b] += x[i] 会产生数据竞争：两个线程读到同一个旧值。应当两两相加：\n"
         "一半线程接收另一半的数，再减半，直到全部集中到 0 号线程。"),
        ("In shared memory: part[t] = x[i] or 0. Wait. half = THREADS / 2, then half of it, as\n"
         "long as half > 0: threads t < half add part[t + half] to part[t]; all threads wait.",
         "共享内存中 part[t] = x[i]，没有则为 0。等待。half 从 THREADS / 2 开始每轮减半，直到\n"
         "为 0：t < half 的线程把 part[t + half] 加到 part[t]，然后所有线程等待。"),
        ("while half > 0: if t < half: part[t] += part[t + half]; then, outside of the if,\n"
         "cuda.syncthreads(); half //= 2. At the end, if t == 0: y[b] = part[0].",
         "while half > 0: 若 t < half 则 part[t] += part[t + half]；在 if 之外\n"
         "cuda.syncthreads()；half //= 2。最后 if t == 0: y[b] = part[0]。")))

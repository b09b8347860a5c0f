"""CUDA 5: a tile in shared memory."""

import numpy as np

from nanollm.exercises.of_cuda import ENVIRONMENT, SIDE, checks, nothing
from nanollm.exercises.spec import Exercise


def situations(rng):
    for N, K in (2, 3), (SIDE, SIDE), (2 * SIDE, SIDE + 1):
        yield (-(-K // SIDE), -(-N // SIDE)), (SIDE, SIDE), {
            "x": rng.standard_normal((N, K), np.float32), "y": nothing(K, N)}


def answer(x, y):
    return {"y": x.T}


EXERCISE = Exercise(
    name="cuda05_shared", title="A tile in shared memory", group="cuda", notebook="14_cuda",
    page="nanollm/exercises/pages/cuda05_shared.py", blanks=("transpose",),
    environment=ENVIRONMENT,
    checks=checks("transpose", situations, answer, neighbors={
        "x": "read rows of x: the thread's x goes along the columns of x, into tile[ty, tx]",
        "y": "write rows of y: the thread's x goes along the columns of y; the turning happens in "
             "shared memory, tile[tx, ty]"}, likely={
        "outside": "guard reads with x's shape and writes with y's: at the edges they concern "
                "different threads",
        "race": "the number comes from another thread: all must have filled the tile before "
                "anyone reads it, cuda.syncthreads()",
        "unwritten": "the tile at row n0, column k0 of x is the tile at row k0, column n0 of y",
        "values": "y[k, n] = x[n, k]: what was put into tile[ty, tx] comes out as tile[tx, ty]"}),
    hints=(
        ("A column of shared memory can be read about as fast as a row, one of memory cannot. So\n"
         "carry the tile in with rows of x and carry it out with rows of y. Between the two,\n"
         "other threads' numbers are needed: wait.",
         "共享内存按列读和按行读几乎一样快，显存则不然。所以按 x 的行读入，按 y 的行写出。两步之\n"
         "间要用到别的线程读入的数，必须等待。"),
        ("The tile begins at row n0 = blockIdx.y · SIDE, column k0 = blockIdx.x · SIDE of x. In:\n"
         "tile[ty, tx] from x[n0 + ty, k0 + tx], if it exists. Wait, all of you. Out: y[k0 + ty,\n"
         "n0 + tx], if it exists.",
         "小块从 x 的第 n0 = blockIdx.y · SIDE 行、第 k0 = blockIdx.x · SIDE 列开始。读入：\n"
         "tile[ty, tx] 来自 x[n0 + ty, k0 + tx]（若存在）。所有线程等待。写出到 y[k0 + ty, n0\n"
         "+ tx]（若存在）。"),
        ("After cuda.syncthreads(), outside of any if: if k0 + ty < K and n0 + tx < N: y[k0 +\n"
         "ty, n0 + tx] = tile[tx, ty].",
         "cuda.syncthreads() 要放在 if 之外；之后 if k0 + ty < K and n0 + tx < N: y[k0 + ty,\n"
         "n0 + tx] = tile[tx, ty]。")))

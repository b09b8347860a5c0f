"""Positions: learned, and of sines and cosines."""

import numpy as np

from nanollm.exercises.of_ops import exercise
from nanollm.exercises.spec import call, expect


def check_sinusoidal(student):
    """sinusoidal: values"""
    from nanollm.ops.positions import sinusoidal
    for T, C in (1, 2), (3, 2), (3, 4), (20, 6):
        got = call(student.sinusoidal, T, C)
        want = sinusoidal(T, C, np.float64)
        even, odd = want[:, 0::2], want[:, 1::2]
        likely = None
        if np.shape(got) == want.shape and not np.allclose(got, want, atol=1e-5):
            got = np.asarray(got)
            t, i = np.arange(T)[:, None], np.arange(C // 2)
            if np.allclose(got, np.concatenate((even, odd), axis=1), atol=1e-5):
                likely = "the sines stand side by side, then the cosines: they alternate"
            elif np.allclose(got[:, 0::2], odd, atol=1e-5):
                likely = "sine and cosine are exchanged: column 2i holds the sine"
            elif np.allclose(got[:, 0::2], np.sin(t / 10000 ** (i / C)), atol=1e-5):
                likely = "the exponent is i / C; the paper's is 2i / C"
            elif np.allclose(got[:, 0::2], np.sin(t * 10000 ** (2 * i / C)), atol=1e-5):
                likely = "the exponent's sign: t is divided by 10000^(2i/C)"
            elif np.allclose(got[:, 0::2], np.sin((t + 1) / 10000 ** (2 * i / C)), atol=1e-5):
                likely = "positions count from 0"
            elif np.allclose(got[:, 0::2], np.sin(t * 10000 ** (2 * i / C) / 10000), atol=1e-5):
                likely = ("this is the table of Doc 4 §4.1.3, with i from 0: the page asks for the "
                          "paper's,\nsin(t / 10000^(2i/C))")
        expect("the table", got, want, tried={"T": T, "C": C}, tol=1e-5, likely=likely)
        for dtype, tol in (np.float32, 1e-5), (np.float64, 1e-12):
            expect("the table", call(student.sinusoidal, T, C, dtype), want, dtype=dtype, tol=tol,
                   tried={"T": T, "C": C, "dtype": np.dtype(dtype).name},
                   likely="the parameter `dtype` is not used: end with .astype(dtype)")


EXERCISE = exercise(
    "positions", title="Positions: learned and sinusoidal", notebook="03_embeddings",
    ops=("positions",), more=(check_sinusoidal,),
    blanks=("positions", "positions_backward", "sinusoidal"),
    suspects=(
        ("positions", "w[start:start + T]", "w[:T]",
         "start is ignored: the first token stands at position `start`"),
        ("positions", "x + w", "w", "x is left out: the positions are added to it"),
        ("positions_backward", "dw[start:start + T]", "dw[:T]",
         "start is ignored in the backward: rows start to start + T - 1 of w were used"),
        ("positions_backward", ".sum(axis=0)", ".mean(axis=0)",
         "a mean over the sequences; one row of w serves them all, so its gradient is their sum"),
        ("positions_backward", "dy.reshape(-1, T, C).sum", "dy.sum",
         "the sum runs over axis 0 alone: before T there may be no axis, or several"),
        ("positions_backward", ".sum(axis=0)", "[-1]",
         "only the last sequence of the batch counts: sum over the leading axes"),
        ("positions_backward", "return dy, dw", "return 0 * dy, dw",
         "dx is zero: x is added, so dx is dy")),
    hints=(
        ("The same row of w is added to the token at that position in every sequence of the batch: "
         "a broadcast. Its gradient is a sum over the batch. Sines: one frequency for each pair of "
         "columns, from fast to slow.",
         "批量中每个序列的同一位置都加上 w 的同一行，这是广播，所以它的梯度要对整个批量求和。"
         "正弦位置编码：每两列共用一个频率，由快到慢。"),
        ("y_t = x_t + w_(start + t); dx = dy; dw_(start + t) = Σ_batch dy_t, and zero elsewhere. "
         "P(t, 2i) = sin(t / 10000^(2i/C)), P(t, 2i + 1) = cos of the same.",
         "y_t = x_t + w_(start + t)；dx = dy；dw_(start + t) = Σ_批量 dy_t，其余行为零。"
         "P(t, 2i) = sin(t / 10000^(2i/C))，P(t, 2i + 1) 是同一角度的 cos。"),
        ("dw = np.zeros(shape, dy.dtype); dw[start:start + T] = dy.reshape(-1, T, C).sum(axis=0) "
         "(0 if dy is empty). Table: frequency = 10000 ** (-np.arange(0, C, 2) / C), t[:, None] * "
         "frequency, table[:, 0::2] and table[:, 1::2], in `dtype`.",
         "dw = np.zeros(shape, dy.dtype)；dw[start:start + T] = dy.reshape(-1, T, C).sum(axis=0)"
         "（dy 为空时填 0）。表：frequency = 10000 ** (-np.arange(0, C, 2) / C)，t[:, None] * "
         "frequency，"
         "分别写入 table[:, 0::2] 和 table[:, 1::2]，类型为 dtype。")))

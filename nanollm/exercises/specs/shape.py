"""Reshape, transpose, concat, split, sum, mean."""

from nanollm.exercises.of_ops import exercise

EXERCISE = exercise(
    "shape", title="Reshape, transpose, concat, split, sum, mean", notebook="05_gradients",
    ops=("reshape", "transpose", "concat", "split", "sum", "mean"),
    blanks=("reshape", "reshape_backward", "transpose", "transpose_backward", "concat",
            "concat_backward", "split", "split_backward", "sum", "sum_backward", "mean",
            "mean_backward"),
    suspects=(
        ("reshape", "x.reshape(", "x.T.reshape(",
         "the entries come in another order: read x row by row"),
        ("transpose", "x.transpose(axes)", "x.transpose(np.argsort(axes))",
         "the axes are permuted the wrong way round"),
        ("transpose_backward", "np.argsort(axes)", "axes",
         "the same permutation again: the way back is the inverse permutation"),
        ("transpose", "axes = check_transpose(x, axes)", "pass",
         "argsort does not invert negative axes: save those that check_transpose returns"),
        ("concat_backward", "np.cumsum(sizes)[:-1]", "sizes[:-1]",
         "np.split cuts at positions, not at sizes: they have to be added up"),
        ("concat_backward", "np.cumsum(sizes)[:-1]", "np.cumsum(sizes)",
         "np.split makes one part more than it is given positions: leave out the last, the end"),
        ("split_backward", "concatenate(dy,", "concatenate(dy[::-1],",
         "the parts are joined in the reverse order"),
        ("sum_backward", "np.broadcast_to(dy, shape)", "np.broadcast_to(dy / 2, shape)",
         "half of dy arrives: a sum passes the whole dy to each of its terms"),
        ("sum_backward", "(np.broadcast_to(dy, shape),)",
         "(np.broadcast_to(dy / (np.prod(shape) / max(np.size(dy), 1)), shape),)",
         "dy is divided by the number of terms: that is a mean's backward"),
        ("mean", "y / n, (n, saved)", "y / (n + 1), (n + 1, saved)",
         "divided by n + 1 in place of n"),
        ("mean", "y / n, (n, saved)", "y / x.size, (x.size, saved)",
         "divided by all entries of x: n counts those of one average"),
        ("mean", "y / n, (n, saved)", "y, (1, saved)",
         "the division by the number of entries is missing"),
        ("mean_backward", "dy / n", "dy",
         "the 1/n of the mean is missing in its backward")),
    hints=(
        ("Where a number went, its gradient comes back from. Ask of each op: to which places of y "
         "does one entry of x go, and how much of it? A sum copies dy to all its terms.",
         "数从哪里来，梯度就回到哪里去。对每个算子问：x 的一个元素去了 y 的哪些位置，系数是多少？"
         "求和的反向是把 dy 复制给每一项。"),
        ("reshape back to the old shape; transpose by the inverse permutation, argsort(axes); "
         "split "
         "what was joined at the sums of the sizes; join what was split; broadcast dy over the "
         "summed axes, divided by n for a mean.",
         "reshape 变回原来的形状；transpose 用逆排列 argsort(axes)；concat 的反向按累计大小切开；"
         "split 的反向是拼接；sum 的反向把 dy 广播到被求和的轴上，mean 再除以 n。"),
        ("np.split(dy, np.cumsum(sizes)[:-1], axis=axis). For a sum without keepdims, first give "
         "dy its axes of size 1 back with reshape, then np.broadcast_to(dy, shape). mean is sum "
         "divided by n = x.size // max(y.size, 1).",
         "np.split(dy, np.cumsum(sizes)[:-1], axis=axis)。sum 若没有 keepdims，先用 reshape 把"
         "大小为 1 的轴补回，再 np.broadcast_to(dy, shape)。mean 等于 sum 除以"
         "n = x.size // max(y.size, 1)。")))

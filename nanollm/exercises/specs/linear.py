"""The linear layer and the product of matrices."""

from nanollm.exercises.of_ops import exercise

EXERCISE = exercise(
    "linear", title="Linear and matmul", notebook="05_gradients", ops=("linear", "matmul"),
    blanks=("linear", "linear_backward", "matmul", "matmul_backward"),
    suspects=(
        ("linear", "if b is None else y + b", "if b is None else y - b",
         "the bias is subtracted, not added"),
        ("linear", "(y if b is None else y + b)", "y", "the bias is not added"),
        ("linear_backward", "rows.T @ dy_rows", "(rows.T @ dy_rows) / len(rows)",
         "dw is a mean over the rows; it is their sum"),
        ("linear_backward", "rows.T @ dy_rows", "(rows[-1:].T @ dy_rows[-1:])",
         "only the last row teaches w: dw sums over all rows"),
        ("linear_backward", "dy_rows @ w.T", "dy_rows @ w.reshape(C, E)",
         "w is reshaped where it must be transposed: reshape keeps the order of the entries"),
        ("linear_backward", "dy_rows.sum(axis=0)", "dy_rows.mean(axis=0)",
         "db is a mean over the rows; it is their sum"),
        ("linear_backward", "dy_rows.sum(axis=0)", "dy_rows[-1]",
         "db holds only the last row: b was added to every row"),
        ("matmul_backward", "b.swapaxes(-1, -2)", "b.reshape(*b.shape[:-2], *b.shape[:-3:-1])",
         "b is reshaped where it must be transposed"),
        ("matmul_backward", "da = dy @", "da = 2 * dy @", "da is twice too large"),
        ("matmul_backward", "db = a", "db = -a", "the sign of db is flipped")),
    hints=(
        ("Fold all leading axes into one: x is then a matrix of N rows, and a linear layer is one "
         "product. The weights serve every row, so their gradient adds up over the rows. Only one "
         "order of the factors has the right shape.",
         "把前面的轴并成一个：x 就是 N 行的矩阵，线性层就是一次矩阵乘法。所有行共用权重，所以权重的"
         "梯度是"
         "各行之和。只有一种相乘顺序的形状是对的。"),
        ("dx = dy wᵀ, dw = xᵀ dy, db = Σ_rows dy; for y = a b, da = dy bᵀ and db = aᵀ dy, summed "
         "over the axes along which a matrix was repeated.",
         "dx = dy wᵀ，dw = xᵀ dy，db = Σ_行 dy；对 y = a b，da = dy bᵀ，db = aᵀ dy，"
         "再对被广播的批量轴求和。"),
        ("rows = x.reshape(-1, E), dy_rows = dy.reshape(-1, C) (use x.size // E where there may be "
         "no rows); dx = (dy_rows @ w.T).reshape(x.shape). Transpose the last two axes of a batch "
         "with swapaxes(-1, -2) and end with unbroadcast(da, a.shape).",
         "rows = x.reshape(-1, E)，dy_rows = dy.reshape(-1, C)（可能没有行时用 x.size // E）；"
         "dx = (dy_rows @ w.T).reshape(x.shape)。批量矩阵用 swapaxes(-1, -2) 转置，"
         "最后 unbroadcast(da, a.shape)。")))

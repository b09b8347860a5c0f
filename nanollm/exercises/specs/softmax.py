"""Softmax and log-sum-exp."""

from nanollm.exercises.of_ops import exercise

EXERCISE = exercise(
    "softmax", title="Softmax and log-sum-exp", notebook="04_softmax",
    ops=("softmax", "logsumexp"),
    blanks=("softmax", "softmax_backward", "logsumexp", "logsumexp_backward"),
    suspects=(
        ("softmax", "e / e.sum(axis=-1", "e / e.sum(axis=0",
         "the sum runs along the first axis: every row of the last axis must sum to 1"),
        ("softmax", "e / e.sum(axis=-1, keepdims=True)", "e / e.sum()",
         "the sum runs over all entries: every row of the last axis must sum to 1"),
        ("softmax", "np.exp(x - x.max(axis=-1, keepdims=True))", "(x - x.min())",
         "the exponential is missing"),
        ("softmax", "np.exp(x - x.max(axis=-1, keepdims=True))", "np.exp(x)",
         "exp overflows: subtract the row's maximum first"),
        ("softmax", "x.max(axis=-1, keepdims=True)", "x.max()",
         "the largest of all scores is subtracted: a row far below it becomes 0 / 0"),
        ("softmax_backward", "(y * (dy - mean),)", "(y * (1 - y) * dy,)",
         "only the Jacobian's diagonal y (1 - y): a score moves the other probabilities, too"),
        ("softmax_backward", "dy - mean", "dy",
         "the mean of dy under y is not subtracted: a score moves all probabilities of its row"),
        ("softmax_backward", "dy - mean", "dy + mean",
         "the sign: the mean of dy under y is subtracted, not added"),
        ("softmax_backward", "(y * dy).sum(", "(y * dy).mean(",
         "the mean of dy under y is the sum of y dy: y already holds the weights"),
        ("softmax_backward", "(y * dy).sum(", "dy.mean(",
         "the plain mean of dy is subtracted, not its mean under y"),
        ("softmax_backward", "axis=-1", "axis=0",
         "the sum of y dy runs along the first axis, not along the row"),
        ("softmax_backward", "(y * (dy - mean),)", "(dy - mean,)",
         "the weighting by y is missing"),
        ("logsumexp", "x.max(axis=-1, keepdims=True)", "x.max() * np.ones(x.shape[:-1] + (1,))",
         "the largest of all scores is subtracted: a row far below it becomes log 0"),
        ("logsumexp", "m + np.log(total)", "np.log(total)",
         "the maximum m was taken out of the exponent and not added again"),
        ("logsumexp", "m + np.log(total)", "m + total", "the logarithm is missing"),
        ("logsumexp_backward", "* p,)", "* (p - 1),)",
         "1 is subtracted: the derivative of log-sum-exp is the softmax alone"),
        ("logsumexp_backward", "np.asarray(dy)[..., None] * p", "p", "dy is not used")),
    hints=(
        ("exp of a large number overflows, but adding the same number to all scores of a row does "
         "not change the probabilities. Each row stands alone: every sum runs along the last axis. "
         "In the backward, one score moves every probability of its row.",
         "大数的 exp 会溢出；但给一行的所有分数加上同一个数，概率不变。各行互不相干，求和都沿最后一"
         "个轴。"
         "反向传播时注意：一个分数会影响本行的每一个概率。"),
        ("y = exp(x - m) / Σ exp(x - m) with m the row's maximum, and dx = y (dy - Σ y dy). "
         "log-sum-exp is m + log Σ exp(x - m); its derivative is the softmax itself.",
         "y = exp(x - m) / Σ exp(x - m)，m 是该行的最大值；dx = y (dy - Σ y dy)。"
         "log-sum-exp 等于 m + log Σ exp(x - m)，它的导数就是 softmax。"),
        ("x.max(axis=-1, keepdims=True) keeps the axis, so that it broadcasts against x. Save "
         "(y,); the backward returns (y * (dy - (y * dy).sum(axis=-1, keepdims=True)),). For "
         "log-sum-exp, take the kept axis away at the end with [..., 0], and give dy its axis back "
         "with dy[..., None].",
         "x.max(axis=-1, keepdims=True) 保留该轴，才能与 x 广播。保存 (y,)；反向返回 "
         "(y * (dy - (y * dy).sum(axis=-1, keepdims=True)),)。log-sum-exp 最后用 [..., 0] "
         "去掉保留的轴，反向时用 dy[..., None] 把它加回来。")))

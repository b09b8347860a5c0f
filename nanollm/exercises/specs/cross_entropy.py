"""Cross-entropy."""

from nanollm.exercises.of_ops import exercise

EXERCISE = exercise(
    "cross_entropy", title="Cross-entropy", notebook="04_softmax", ops=("cross_entropy",),
    blanks=("cross_entropy", "cross_entropy_backward"),
    suspects=(
        ("cross_entropy", ".sum() / n", ".sum() / len(flat)",
         "the mean runs over all positions: those that are ignored must not count"),
        ("cross_entropy", ".sum() / n", ".sum()", "a sum in place of the mean over the positions"),
        ("cross_entropy", "lse - picked", "picked - lse",
         "the sign: the loss is minus the log of the probability"),
        ("cross_entropy", "lse - picked", "np.exp(picked - lse)",
         "the probability itself, not minus its logarithm"),
        ("cross_entropy", "lse - picked",
         "-np.log(p[np.arange(len(rows)), np.where(counted, flat, 0)])",
         "the log of a probability that has rounded to 0: logsumexp(x) - x_target needs none"),
        ("cross_entropy", "counted = flat != ignore", "counted = flat != -1",
         "-1 is built in: the id to ignore is the setting `ignore`"),
        ("cross_entropy", "counted = flat != ignore", "counted = flat == flat",
         "nothing is ignored: positions whose target is `ignore` have no loss"),
        ("cross_entropy_backward", "dy / n", "dy / len(p)",
         "the gradient is divided by all positions: those that are ignored must not count"),
        ("cross_entropy_backward", "dy / n", "dy",
         "the 1/n of the mean is missing in the backward"),
        ("cross_entropy_backward", "-= 1", "+= 1",
         "the one is added: the gradient is p - onehot, belief minus what happened"),
        ("cross_entropy_backward", "-= 1", "-= 0",
         "the target's one is not subtracted: the gradient is p - onehot"),
        ("cross_entropy_backward", "dx[~counted] = 0", "dx[~counted] *= 1",
         "rows that are ignored get a gradient: they must receive zero")),
    hints=(
        ("The loss of a position is the log of the softmax's normalizer minus the target's score. "
         "Never take the log of a probability that may have rounded to 0. Positions whose target "
         "is `ignore` count neither in the sum nor in the mean.",
         "一个位置的损失 = softmax 归一化因子的对数 - 目标的分数。不要对可能舍入为 0 的概率取对数。"
         "目标等于 ignore 的位置既不计入总和，也不计入平均的个数。"),
        ("L = (1/n) Σ (logsumexp(x_t) - x_t,target), n the number of positions that count; "
         "dx = (dy / n) (p - onehot(target)), zero in ignored rows.",
         "L = (1/n) Σ (logsumexp(x_t) - x_t,target)，n 是计入的位置数；"
         "dx = (dy / n) (p - onehot(target))，被忽略的行为零。"),
        ("rows = x.reshape(-1, V), minus its maximum; lse, (p,) = logsumexp(rows); picked = "
         "rows[np.arange(len(rows)), np.where(counted, flat, 0)]; n = max(int(counted.sum()), 1), "
         "a number of Python's, which leaves float32 alone. Backward: p.copy(), subtract 1 at the "
         "targets, times dy / n in p's dtype, rows ~counted to 0, reshape.",
         "rows = x.reshape(-1, V)，减去各行最大值；lse, (p,) = logsumexp(rows)；picked = "
         "rows[np.arange(len(rows)), np.where(counted, flat, 0)]；n = max(int(counted.sum()), 1)，"
         "用 Python 的整数，float32 才不会变成 float64。"
         "反向：p.copy()，在目标处减 1，乘以 dy / n（保持 p 的 dtype），~counted 的行置 0，再 "
         "reshape。")))

"""Gradient descent, momentum, clipping."""

from nanollm.exercises.of_ops import exercise

EXERCISE = exercise(
    "descent", title="Gradient descent, momentum, clipping", notebook="07_optimizers",
    ops=("sgd_", "momentum_", "squared_norm", "clip_factor"),
    blanks=("sgd_", "momentum_", "squared_norm", "clip_factor"),
    suspects=(
        ("sgd_", "scale * dw", "dw", "the clipping factor `scale` is not used"),
        ("sgd_", "w -=", "w +=", "uphill: the step goes against the gradient"),
        ("sgd_", "lr * scale", "scale", "the learning rate is not used"),
        ("momentum_", "scale * dw", "dw", "the clipping factor `scale` is not used"),
        ("momentum_", "u *= mu", "u *= 1 - mu", "u is multiplied by 1 - μ; it keeps the share μ"),
        ("momentum_", "u += scale * dw", "u += (1 - mu) * scale * dw",
         "an average, (1 - μ) g; this form adds the whole gradient"),
        ("momentum_", "lr * u", "lr * (u + dw)", "the gradient counts twice: u already holds it"),
        ("momentum_", "lr * u", "lr * scale * dw", "the step forgets the momentum: it is lr u"),
        ("momentum_", "u += scale * dw\n    w -= lr * u", "u -= lr * scale * dw\n    w += u",
         "the learning rate is inside u; this form is u ← μ u + g, w ← w - η u"),
        ("momentum_", "u += scale * dw\n    w -= lr * u", "u += lr * scale * dw\n    w -= u",
         "the learning rate is inside u; this form is u ← μ u + g, w ← w - η u"),
        ("momentum_", "u += scale * dw\n    w -= lr * u", "u += dw\n    w -= lr * scale * u",
         "`scale` shortens the step; it is for the gradient alone, as it enters u"),
        ("momentum_", "    u *= mu\n    u += scale * dw\n    w -= lr * u",
         "    w -= lr * u\n    u *= mu\n    u += scale * dw",
         "the step is taken along the old u; u is renewed first"),
        ("squared_norm", "float(np.einsum(", "math.sqrt(np.einsum(",
         "the norm; its square is asked for"),
        ("squared_norm", ", dtype=np.float64", "",
         "small entries are lost: the sum must run in float64"),
        ("clip_factor", "math.sqrt(squared)", "np.sqrt(squared)",
         "np.sqrt keeps a float32 a float32, to seven digits; math.sqrt gives Python's own number"),
        ("clip_factor", "limit / norm if limit and most * norm > limit else most",
         "min(most, limit / norm) if limit else most",
         "a gradient of length 0: no limit shortens it, and there is no dividing by its norm"),
        ("clip_factor", "limit / norm if limit and most * norm > limit else most",
         "min(most, limit / norm)", "a limit of 0 or None is no limit: the factor is then `most`"),
        ("clip_factor", "limit / norm if limit and most * norm > limit else most",
         "most * min(1, limit / norm) if limit else most",
         "`most` multiplies limit / norm; the factor is the smaller of the two"),
        ("clip_factor", "math.sqrt(squared)", "squared",
         "the square is compared with the limit: take its root first"),
        ("clip_factor", "limit and most * norm > limit", "limit",
         "short gradients are made longer: the factor is never above `most`"),
        ("clip_factor", "limit / norm", "limit", "the factor is limit / norm")),
    hints=(
        ("A step writes into its arguments: `w -= ...`, and returns nothing. `scale` multiplies "
         "the "
         "gradient wherever it is read. Clipping shortens a gradient that is longer than the limit "
         "and leaves the others alone.",
         "一步更新直接写进参数：w -= ...，不返回任何东西。凡是用到梯度的地方都乘 scale。"
         "裁剪只缩短比上限长的梯度，其余不动。"),
        ("w ← w - η s g; u ← μ u + s g, w ← w - η u; ‖x‖² = Σ x² in float64; factor = "
         "min(most, limit / norm), and `most` where limit is 0 or None.",
         "w ← w - η s g；u ← μ u + s g，w ← w - η u；‖x‖² = Σ x²，用 float64 累加；"
         "系数 = min(most, limit / norm)，limit 为 0 或 None 时等于 most。"),
        ("u *= mu; u += scale * dw; w -= lr * u. float((x.astype(np.float64) ** 2).sum()) or an "
         "einsum with dtype=np.float64. limit / norm if limit and most * norm > limit else most.",
         "u *= mu；u += scale * dw；w -= lr * u。float((x.astype(np.float64) ** 2).sum())，或用带 "
         "dtype=np.float64 的 einsum。limit / norm if limit and most * norm > limit else most。")))

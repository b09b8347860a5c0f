"""The attention of encoders and decoders before the Transformer."""

from nanollm.exercises.of_ops import exercise

EXERCISE = exercise(
    "alignment", title="Additive and multiplicative attention", notebook="09_seq2seq",
    ops=("additive_attention", "multiplicative_attention"),
    blanks=("weigh", "weigh_backward", "additive_attention", "additive_attention_backward",
            "multiplicative_attention", "multiplicative_attention_backward"),
    suspects=(
        ("weigh", "scores, -np.inf)", "scores, -10)",
         "a masked score of -10 leaks: exp(-10) is not 0; a masked pair has score -inf"),
        ("weigh", "np.where(np.isneginf(m), 0, m)", "m",
         "-inf - (-inf) where a row is masked everywhere: take 0 for its maximum, 1 for its sum"),
        ("weigh", "axis=-1, keepdims=True", "axis=-2, keepdims=True",
         "the softmax runs over the queries; for each query it runs over the keys"),
        ("weigh", "e.sum(axis=-1, keepdims=True)", "e.sum(axis=-2, keepdims=True)",
         "the softmax divides by a sum over the queries; for each query it is over the keys"),
        ("weigh_backward", "softmax_backward(dp, (p,))", "(dp * p,)",
         "the softmax's backward subtracts the mean of dp under p; here it does not"),
        ("weigh_backward", "(ds,) = softmax_backward(dp, (p,))", "ds = p * (1 - p) * dp",
         "the softmax's derivative is more than its diagonal p (1 - p): ds = p (dp - Σ p dp)"),
        ("weigh_backward", "dp + dy @ v", "dy @ v",
         "the gradient that comes to the weights themselves is lost (weights=True)"),
        ("additive_attention", "np.tanh(q[:, :, None] + k[:, None])",
         "np.tanh(q[:, :, None] - k[:, None])", "the difference q - k; the score compares q + k"),
        ("additive_attention", "np.tanh(q[:, :, None] + k[:, None])",
         "(q[:, :, None] + k[:, None])", "the tanh is missing"),
        ("additive_attention", "e @ w", "e.sum(axis=-1)",
         "w is not used: the score is w · tanh(q + k)"),
        ("additive_attention_backward", " * (1 - e * e)", "",
         "the derivative of tanh, 1 - e², is missing"),
        ("additive_attention_backward", "np.tensordot(ds, e, axes=3)",
         "(ds[0, 0, :, None] * e[0, 0]).sum(axis=0) if ds.size else np.zeros_like(w)",
         "dw holds the first query of the first sequence alone: w serves all pairs"),
        ("additive_attention_backward", "ds[..., None] * w *", "ds[..., None] *",
         "the factor w is missing in the gradient of q and k"),
        ("additive_attention_backward", "g.sum(axis=2), g.sum(axis=1)",
         "g.mean(axis=2), g.sum(axis=1)",
         "dq is a mean over the keys; q was copied to each of them, so it is the sum"),
        ("multiplicative_attention", "weigh(q @ k.swapaxes(1, 2),",
         "weigh(q @ k.swapaxes(1, 2) / q.shape[2] ** 0.5,",
         "the scores are divided by √A: Luong's have no scale"),
        ("multiplicative_attention", "weigh(q @ k.swapaxes(1, 2),",
         "weigh(q @ k.swapaxes(1, 2) / q.shape[2] ** 0.5 / 2,",
         "the scores are divided by 2 √A: Luong's have no scale"),
        ("multiplicative_attention_backward", "ds.swapaxes(1, 2) @ q", "p.swapaxes(1, 2) @ q",
         "dk is made of the weights p; it is dsᵀ q, of the scores' gradient")),
    hints=(
        ("Both ops differ in the score alone; the softmax and the weighted mean behind it are "
         "`weigh`. q + k for all pairs is a broadcast over two new axes, and what was broadcast is "
         "summed on the way back.",
         "两个算子只有打分方式不同，后面的 softmax 和加权平均都在 weigh 里。所有 (t, s) 对的 q + k "
         "是沿两个新轴的广播；广播过的，反向时要求和。"),
        ("e_ts = tanh(q_t + k_s), score = w · e_ts; or score = q_t · k_s. ds = p (dp - Σ_s p dp) "
         "with dp = dy vᵀ. Additive: g = ds w (1 - e²), dq = Σ_s g, dk = Σ_t g, dw = Σ ds e.",
         "e_ts = tanh(q_t + k_s)，score = w · e_ts；或 score = q_t · k_s。dp = dy vᵀ，"
         "ds = p (dp - Σ_s p dp)。加性：g = ds w (1 - e²)，dq = Σ_s g，dk = Σ_t g，dw = Σ ds e。"),
        ("q[:, :, None] + k[:, None] is (B, T, S, A), and e @ w the scores. np.where(pairs(mask), "
         "scores, -np.inf) before the softmax; scores.max(axis=-1, "
         "keepdims=True, initial=-np.inf) works without keys too; where a row has none, a maximum "
         "of -inf becomes 0 and a sum of 0 becomes 1. dw = np.tensordot(ds, e, axes=3).",
         "q[:, :, None] + k[:, None] 的形状是 (B, T, S, A)，e @ w 就是分数。softmax 之前 "
         "np.where(pairs(mask), scores, -np.inf)；scores.max(axis=-1, keepdims=True, "
         "initial=-np.inf) 在没有键时也能算；没有键的行，最大值 -inf 换成 0，和 0 换成 1。"
         "dw = np.tensordot(ds, e, axes=3)。")))

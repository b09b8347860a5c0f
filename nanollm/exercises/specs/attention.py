"""Attention."""

from nanollm.exercises.of_ops import exercise

EXERCISE = exercise(
    "attention", title="Attention: heads, masks, causal", notebook="10_attention",
    ops=("attention", "self_attention"),
    blanks=("into_heads", "out_of_heads", "visible", "attention", "attention_backward",
            "self_attention", "self_attention_backward"),
    suspects=(
        ("attention", " / math.sqrt(D)", "", "the scale 1 / √D is missing"),
        ("attention", " / math.sqrt(D)", " / D", "the scores are divided by D, not by √D"),
        ("attention", " / math.sqrt(D)", " / math.sqrt(q.shape[-1] * heads)",
         "the scale is √C, of the whole width; it is √D, of one head"),
        ("attention", "np.where(np.isneginf(m), 0, m)", "m",
         "-inf - (-inf) where a row is masked everywhere: take 0 for its maximum, 1 for its sum"),
        ("attention", "axis=-1, keepdims=True", "axis=-2, keepdims=True",
         "the softmax runs over the queries; for each query it runs over the keys"),
        ("attention", "np.where(total == 0, 1, total)", "(total + 1e-3)",
         "something is added to the softmax's sum: the weights of a row must sum to 1"),
        ("attention", "scores = np.where(allowed, scores, -np.inf)", "pass",
         "the mask (and causal) is not applied to the scores before the softmax"),
        ("attention", "scores, -np.inf)", "scores, -10)",
         "a masked score of -10 leaks: exp(-10) is not 0; a masked pair has score -inf"),
        ("attention", "scores, -np.inf)", "scores, -1e9)",
         "a large negative score in place of -inf: a row masked everywhere must give zeros"),
        ("attention", "scores, -np.inf)", "scores, 0)",
         "a masked score of 0 is a score like any other; a masked pair has score -inf"),
        ("into_heads", "x.reshape(*lead, T, heads, C // heads).swapaxes(-2, -3)",
         "x.reshape(*lead, heads, T, C // heads)",
         "heads and positions are mixed: split the columns into (H, D), then exchange T and H"),
        ("out_of_heads", "x.swapaxes(-2, -3)", "x",
         "heads and positions are mixed: exchange H and T, then join (H, D) to C columns"),
        ("visible", "np.tri(T, S, S - T, ", "np.tri(T, S, 0, ",
         "with more keys than queries, the queries are the last T positions: s ≤ t + S - T"),
        ("visible", "np.tri(T, S, S - T, ", "np.tri(T, S, S - T + 1, ",
         "each query sees one token of the future: s ≤ t + S - T"),
        ("visible", "np.tri(T, S, S - T, ", "np.tri(T, S, S - T - 1, ",
         "a query does not see its own token: s ≤ t + S - T"),
        ("visible", "allowed & past", "allowed | past",
         "a pair must be allowed by the mask and lie in the past: `and`, not `or`"),
        ("visible", "mask[..., None, :, :] if mask.ndim > 2 else mask", "mask",
         "a mask (B, T, S) meets scores (B, H, T, S): it needs an axis for the heads"),
        ("visible", "mask[..., None, :, :]", "mask[:, None, :1, :]",
         "the mask's first row serves all queries, or an axis is lost"),
        ("attention_backward", "ds = ds / math.sqrt(q.shape[-1])", "pass",
         "the scale 1 / √D is missing in the backward"),
        ("attention_backward", "out_of_heads(dq), out_of_heads(dk), out_of_heads(dv)",
         "dq, dk, dv", "the gradients are still in heads; q, k and v were not: out_of_heads"),
        ("attention_backward", "dp + dy @ v", "dy @ v",
         "the gradient that comes to the weights themselves is lost (weights=True)"),
        ("attention_backward", "dk = ds.swapaxes(-1, -2) @ q", "dk = p.swapaxes(-1, -2) @ q",
         "dk is made of the weights p; it is dsᵀ q, of the scores' gradient"),
        ("attention_backward", "softmax_backward(dp, (p,))", "(dp * p,)",
         "the softmax's backward subtracts the mean of dp under p; here it does not"),
        ("attention_backward", "(ds,) = softmax_backward(dp, (p,))", "ds = p * (1 - p) * dp",
         "the softmax's derivative is more than its diagonal p (1 - p): ds = p (dp - Σ p dp)"),
        ("attention_backward", "dv = p.swapaxes(-1, -2) @ dy", "dv = p.swapaxes(-1, -2) @ dy * 2",
         "dv is twice too large"),
        ("self_attention", "q, k, v = np.split", "k, q, v = np.split",
         "the thirds are taken as k, q, v; their order is q, k, v"),
        ("self_attention_backward", "concatenate(dqkv,", "concatenate(dqkv[::-1],",
         "the gradients are joined as v, k, q; the order is q, k, v")),
    hints=(
        ("Split the columns into heads, and every head is the same small computation: scores, "
         "softmax, weighted mean. Mask before the softmax, with -inf. In the backward, go back "
         "through the four steps one by one; the scale is one of them.",
         "先把列分成多个头，每个头都是同样的小计算：分数、softmax、加权平均。掩码在 softmax 之前用 "
         "-inf 施加。"
         "反向时逐步退回这四步；缩放也是其中一步。"),
        ("y = softmax(q kᵀ / √D) v. dv = pᵀ dy, dp = dy vᵀ, ds = p (dp - Σ_s p dp), then ds / √D, "
         "dq = ds k, dk = dsᵀ q. Causal: query t may look at key s if s ≤ t + S - T.",
         "y = softmax(q kᵀ / √D) v。dv = pᵀ dy，dp = dy vᵀ，ds = p (dp - Σ_s p dp)，再除以 √D，"
         "dq = ds k，dk = dsᵀ q。因果：当 s ≤ t + S - T 时，查询 t 可以看键 s。"),
        ("into_heads: x.reshape(*lead, T, heads, C // heads).swapaxes(-2, -3), and back. "
         "np.tri(T, S, S - T, dtype=bool) is the causal mask; a mask with more than two axes gets "
         "one for the heads, mask[..., None, :, :]. A row without keys: replace its maximum -inf "
         "by 0 and its sum 0 by 1.",
         "into_heads：x.reshape(*lead, T, heads, C // heads).swapaxes(-2, -3)，out_of_heads 反之。"
         "因果掩码是 np.tri(T, S, S - T, dtype=bool)；超过两个轴的掩码要为头加一个轴：mask[..., "
         "None, :, :]。"
         "没有可看的键的行：把最大值 -inf 换成 0，把和 0 换成 1。")))

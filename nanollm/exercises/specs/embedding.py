"""The embedding: a row of numbers for each token."""

from nanollm.exercises.of_ops import exercise

EXERCISE = exercise(
    "embedding", title="The embedding", notebook="03_embeddings", ops=("embedding",),
    blanks=("embedding", "embedding_backward"),
    suspects=(
        ("embedding", "w[ids], (ids", "w[ids - 1], (ids - 1",
         "the row before is taken: ids count from 0"),
        ("embedding", "w[ids], (ids", "w[ids] * 2, (ids", "the row is taken twice"),
        ("embedding", "w[ids], (ids", "w[ids[..., ::-1]] if ids.ndim else w[ids], (ids",
         "the tokens are read in the reverse order"),
        ("embedding_backward", "np.add.at(dw, ids, dy)", "dw[ids] = dy",
         "a token that occurs twice keeps one of its gradients: dw[ids] = dy and dw[ids] += dy "
         "both "
         "write it once"),
        ("embedding_backward", "np.add.at(dw, ids, dy)", "for i, d in zip(ids, dy): dw[i] += d",
         "each pass adds a whole row of ids, and += writes a token that repeats in it once"),
        ("embedding_backward", "np.add.at(dw, ids, dy)", "np.subtract.at(dw, ids, dy)",
         "the sign is flipped"),
        ("embedding_backward", "np.add.at(dw, ids, dy)",
         "np.add.at(dw, ids, dy); dw /= np.maximum(np.bincount(ids.reshape(-1), minlength=V), 1)"
         "[:, None]", "a mean over the places of a token; its gradient is their sum")),
    hints=(
        ("The forward is an index into w. In the backward, each row of dy belongs to the row of w "
         "it came from; think of a token that occurs twice.",
         "前向就是用 ids 去取 w 的行。反向时，dy 的每一行属于它所来自的那一行 w；想想同一个词出现两"
         "次的情况。"),
        ("y = w[ids]; dw starts as zeros (V, C) and dw[ids_t] += dy_t for every position t. ids "
         "have no gradient: None.",
         "y = w[ids]；dw 从零矩阵 (V, C) 开始，对每个位置 t 有 dw[ids_t] += dy_t。ids 没有梯度，返"
         "回 None。"),
        ("dw[ids] += dy adds only once where an id repeats. np.add.at(dw, ids, dy) adds every "
         "time. "
         "np.zeros needs dy.dtype, and the answer is (None, dw).",
         "id 重复时 dw[ids] += dy 只加一次；np.add.at(dw, ids, dy) 每次都加。"
         "np.zeros 要给出 dy.dtype，返回 (None, dw)。")))

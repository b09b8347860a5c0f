"""Mistakes planted in the op pages: the suspects of their exercises, and some that are none.

A suspect must be told by its own words, of the others the message must name the kind.
"""

import re

from nanollm.exercises import catalog

ROWS = [(exercise.name, function, old, new, re.escape(words))
        for exercise in catalog.all_of_them() if exercise.group == "ops"
        for function, old, new, words in exercise.suspects] + [
    ("elementwise", "relu", "return np", "x[x < 0] = 0\n    return np", "changes its input x"),
    ("softmax", "softmax", "return y, (y,)", "return y, y", "not return a pair"),
    ("softmax", "softmax_backward", "return (y", "return (2 * y", "2 × expected"),
    ("softmax", "softmax", "keepdims=True", "keepdims=False", "raises ValueError.*broadcast"),
    ("softmax", "logsumexp", "[..., 0]", "", "an axis is left|axis of size 1 is too many"),
    ("cross_entropy", "cross_entropy_backward", "dx.reshape(shape)", "dx", "reshape"),
    ("embedding", "embedding_backward", "np.add.at(dw, ids, dy)", "dw[ids] += dy",
     "occurs twice keeps one of its gradients"),
    ("embedding", "embedding_backward", ", dy.dtype)", ")", "wrong dtype.*float64.*float32"),
    ("embedding", "embedding_backward", "return None, dw", "return ids, dw", "got a gradient"),
    ("linear", "linear_backward", "dw = rows.T @ dy_rows", "dw = dy_rows.T @ rows",
     "transposed: exchange the factors"),
    ("layernorm", "layernorm_backward", "return dx,", "return -dx,", "a sign is flipped"),
    ("layernorm", "layernorm", "centered = x - x", "centered = x\n    centered -= x",
     "changes its input x"),
    ("attention", "attention", "p @ v", "v", "raises ValueError|wrong shape"),
    ("attention", "attention", "scores = np.where(allowed, scores, -np.inf)",
     "scores[~np.broadcast_to(allowed, scores.shape)] = -9e9",
     "a row masked everywhere must give zeros"),
    ("positions", "sinusoidal", "table[:, 0::2] = np.sin", "table[:, 0::2] = np.cos",
     "sine and cosine are exchanged"),
    ("positions", "sinusoidal", "np.arange(0, C, 2) / C", "np.arange(C // 2) / C",
     "the exponent is i / C"),
    ("dropout", "keep", "rng.random(shape, np.float32)", "np.random.random(shape)",
     "two generators of one seed"),
    ("dropout", "keep", ">= rate", "< rate", "True with probability 1 - rate"),
    ("gelu", "gelu", "erf(x / math.sqrt(2))", "erf(x / np.sqrt(2))", "wrong dtype.*np.sqrt"),
    ("decode", "mlp_step", "return x + y", "return x + y, ()", "tuple of 2.*an array"),
    ("attention", "attention_backward", "out_of_heads(dv), None", "out_of_heads(dv)",
     "a tuple of 3.*4, a gradient for each"),
    ("attention", "attention_backward", "dq = ds @ k", "dq = ds @ k.swapaxes(-1, -2)",
     "inner sizes do not agree.*transpose"),
    ("alignment", "additive_attention_backward", "dy, dp = dy if weights else (dy, 0)", "dp = 0",
     "y is a tuple of 2 here, and so is dy"),
    ("layernorm", "residual_layernorm_backward", "ds, dy = dy", "ds = 0", "so is dy"),
    ("layernorm", "layernorm_backward", "g = dy * gamma", "dy *= gamma\n    g = dy",
     "layernorm_backward changes dy"),
    ("layernorm", "layernorm", "gamma, beta is not None)", "gamma)",
     "another number of things"),
    ("rnn", "rnn_backward", "da = np.empty_like(y)", "da = np.zeros(y.shape)", "wrong dtype"),
    ("descent", "sgd_", "w -= lr * scale * dw", "w = w - lr * scale * dw",
     "leaves w as it was.*a new array"),
    ("descent", "sgd_", "w -= lr * scale * dw", "dw *= lr * scale\n    w -= dw",
     "changes dw"),
    ("adam", "adam_", "m *= beta1", "m = m * beta1", "leaves m as it was"),
]

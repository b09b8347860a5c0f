"""Decoding: one token through one Transformer block, with a key-value cache."""

from nanollm.exercises.of_ops import exercise

EXERCISE = exercise(
    "decode", title="Decoding with a key-value cache", notebook="12_gpt",
    ops=("attention_step_", "mlp_step"), blanks=("attention_step_", "mlp_step"),
    suspects=(
        ("attention_step_", "keys[:length + 1], values[:length + 1]",
         "keys[:length], values[:length]",
         "the token does not look at itself: rows 0 to length, so up to length + 1"),
        ("attention_step_", "keys[:length + 1], values[:length + 1]", "keys, values",
         "rows that are not filled yet are looked at: take the first length + 1"),
        ("attention_step_", "keys[length], values[length] = qkv[0, C:2 * C], qkv[0, 2 * C:]",
         "keys[length], values[length] = qkv[0, 2 * C:], qkv[0, C:2 * C]",
         "keys and values are exchanged: the thirds are q, k, v"),
        ("attention_step_", "return x + y", "return y",
         "the residual is missing: the block adds to x"),
        ("attention_step_", "y, _ = layernorm(x, gamma, beta, eps=eps)", "y = x",
         "the layer normalization is missing"),
        ("attention_step_", "eps=eps)", "eps=1e-5)", "`eps` is not handed on"),
        ("attention_step_", "heads=heads)\n    y, _ = linear", "heads=1)\n    y, _ = linear",
         "the heads are not separated: hand `heads` on"),
        ("mlp_step", "return x + y", "return y", "the residual is missing: the block adds to x"),
        ("mlp_step", "gelu(y, exact=exact)", "gelu(y)",
         "`exact` is not handed on: the form by tanh is always taken"),
        ("mlp_step", "y, _ = gelu(y, exact=exact)", "pass",
         "the GELU is missing: two linears alone are one linear"),
        ("mlp_step", "y, _ = layernorm(x, gamma, beta, eps=eps)", "y = x",
         "the layer normalization is missing"),
        ("mlp_step", "eps=eps)", "eps=1e-5)", "`eps` is not handed on")),
    hints=(
        ("The block is the one of training for a single row, made of the ops that the page "
         "imports. "
         "The new token's key and value are written into the cache first; then it asks all rows "
         "that are filled, its own included. No causal mask is needed: there is no future.",
         "这就是训练时的那个块，只算一行，用本页导入的算子拼成。先把新词元的键和值写入缓存，再让它"
         "去问所有已填的行，"
         "包括它自己。不需要因果掩码：还没有未来。"),
        ("qkv = linear(layernorm(x)); keys[length] = k, values[length] = v; y = attention(q, "
         "keys[:length + 1], values[:length + 1]); result x + linear(y). "
         "mlp: x + linear(gelu(linear(layernorm(x)))).",
         "qkv = linear(layernorm(x))；keys[length] = k，values[length] = v；y = attention(q, "
         "keys[:length + 1], values[:length + 1])；结果是 x + linear(y)。"
         "mlp：x + linear(gelu(linear(layernorm(x))))。"),
        ("Each op returns (y, saved): write y, _ = layernorm(x, gamma, beta, eps=eps). The thirds "
         "are qkv[:, :C], qkv[0, C:2 * C], qkv[0, 2 * C:]. Hand heads, eps and exact on, and "
         "return "
         "x + y as a new array.",
         "每个算子返回 (y, saved)：写 y, _ = layernorm(x, gamma, beta, eps=eps)。三等分是 qkv[:, "
         ":C]、"
         "qkv[0, C:2 * C]、qkv[0, 2 * C:]。把 heads、eps、exact 传下去，返回新数组 x + y。")))

"""Decoding: one new token through one Transformer block, beside the keys and values of the past.

Equation    attention_step_   y = x + attention(layernorm(x)), whose keys and values join the past
            mlp_step          y = x + w2 gelu(w1 layernorm(x) + b1) + b2
            The past does not change when a token is added, so its keys and values are kept: a step
            costs one row of each product instead of all rows.

Shapes      x (1, C), gamma, beta (C,), w_qkv (C, 3C), w_out (C, C), w1 (C, F), w2 (F, C), biases to
            match; beta and biases may be None; keys, values (context, C), of which `length` rows
            are filled and row `length` is written, hence the name's `_`  →  y (1, C)
Saved       nothing: decoding is not differentiated

Source      key-value cache: Shazeer 2019 (arXiv 1911.02150), section 2.4; the block: models/gpt.py
Kernels     kernels/cpu/decode.py, kernels/cuda/decode.py
Used by     GPT.step, generation
"""

from nanollm.errors import InputError
from nanollm.ops.attention import attention
from nanollm.ops.gelu import gelu
from nanollm.ops.layernorm import layernorm
from nanollm.ops.linear import linear


def check_attention_step(x, gamma, beta, w_qkv, b_qkv, w_out, b_out, keys, values, length, heads):
    """Raise InputError unless all shapes fit and row `length` of keys and values exists."""
    C = gamma.size
    check_step("attention_step_", x, gamma, beta, (w_qkv, (C, 3 * C)), (w_out, (C, C)),
               (b_qkv, (3 * C,)), (b_out, (C,)))
    if keys.ndim != 2 or keys.shape[1] != C or values.shape != keys.shape:
        raise InputError(f"attention_step_: keys {keys.shape} and values {values.shape}, expected "
                         f"(context, {C})")
    if not 0 <= length < len(keys):
        raise InputError(f"attention_step_: {length} rows are filled of {len(keys)}: no room for "
                         "one more")
    if heads < 1 or C % heads:
        raise InputError(f"attention_step_: {heads} heads do not divide the width {C}")


def check_mlp_step(x, gamma, beta, w1, b1, w2, b2):
    """Raise InputError unless all shapes fit."""
    C, F = gamma.size, w1.shape[w1.ndim - 1]
    check_step("mlp_step", x, gamma, beta, (w1, (C, F)), (b1, (F,)), (w2, (F, C)), (b2, (C,)))


def check_step(op, x, gamma, beta, *arrays):
    C = gamma.size
    for array, shape in (x, (1, C)), (gamma, (C,)), (beta, (C,)), *arrays:
        if array is not None and array.shape != shape:
            raise InputError(f"{op}: an array has shape {tuple(array.shape)}, expected {shape}")


def attention_step_(x, gamma, beta, w_qkv, b_qkv, w_out, b_out, keys, values, *, length, heads,
                    eps=1e-5):
    check_attention_step(x, gamma, beta, w_qkv, b_qkv, w_out, b_out, keys, values, length, heads)
    C = x.shape[1]
    y, _ = layernorm(x, gamma, beta, eps=eps)                   # (1, C)
    qkv, _ = linear(y, w_qkv, b_qkv)                            # (1, 3C)
    keys[length], values[length] = qkv[0, C:2 * C], qkv[0, 2 * C:]
    y, _ = attention(qkv[:, :C], keys[:length + 1], values[:length + 1], heads=heads)
    y, _ = linear(y, w_out, b_out)                              # (1, C)
    return x + y


def mlp_step(x, gamma, beta, w1, b1, w2, b2, *, exact=False, eps=1e-5):
    check_mlp_step(x, gamma, beta, w1, b1, w2, b2)
    y, _ = layernorm(x, gamma, beta, eps=eps)                   # (1, C)
    y, _ = linear(y, w1, b1)                                    # (1, F)
    y, _ = gelu(y, exact=exact)                                 # (1, F)
    y, _ = linear(y, w2, b2)                                    # (1, C)
    return x + y

"""Attention with a key-value cache. nanollm/ops/decode.py does so inside one Transformer block.

Differs     from that page in two things: there is only the attention, no projections, layernorm or
            residual; and T tokens may come at once, a whole prompt or one.

Equation    The new tokens' keys and values go into the rows length ... length + T - 1 of `keys` and
            `values`. Then y = softmax(q kᵀ / √D) v, for each head, over all rows that are filled
            now; new token t sees the past, itself, and the new tokens before it. A head is a slice
            of D = C / heads columns, as in nanollm/ops/attention.py.
            The past does not change when a token is added: that is why it can be kept. T tokens one
            by one, in any portions, give what causal attention gives at once.

Shapes      q, k, v (T, C), keys, values (context, C), of which `length` rows are filled; rows
            length ... length + T - 1 are written, hence the name's `_`  →  y (T, C), alone
            No other row changes, nor q, k or v, and no other row is read: unfilled ones hold
            anything. What is kept is kept in `keys` and `values`, nowhere else. float32 gives
            float32.
Raises      InputError, and writes nothing, where the T tokens do not fit into the room that is left

Source      Shazeer 2019 (arXiv 1911.02150), section 2.4
"""

from nanollm.errors import InputError
from nanollm.ops.attention import attention


def attention_step_(q, k, v, keys, values, length, *, heads=1):
    end = length + len(q)
    if not 0 <= length <= end <= len(keys):
        raise InputError(f"attention_step_: {length} of {len(keys)} rows are filled: no room for "
                         f"{len(q)} more tokens")
    keys[length:end], values[length:end] = k, v
    y, _ = attention(q, keys[:end], values[:end], heads=heads, causal=True)     # (T, C)
    return y

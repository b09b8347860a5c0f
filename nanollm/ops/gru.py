"""The gated recurrent unit: an LSTM in which one gate both forgets and writes.

Equation    With the thirds of p = x_t w + b and q = h_{t-1} u + bu:
                r_t = σ(p_r + q_r)                        how much of the past the candidate sees
                z_t = σ(p_z + q_z)                        how much of the past stays
                n_t = tanh(p_n + r_t ⊙ q_n)               the candidate
                h_t = (1 - z_t) ⊙ n_t + z_t ⊙ h_{t-1}     between the two, entry by entry
            The reset gate acts after the product h u, which is then one product for all three; in
            the paper it acts before. bu is there for n: inside r and z it only adds to b.
            lengths and reverse are as in rnn.py.

Shapes      x (B, T, E), h (B, H), w (E, 3H), u (H, 3H), b, bu (3H,) or None, lengths (B,) or None
            →  y (B, T, H), the state after each step; h_T (B, H)
Saved       x, w, u, is there a b, a bu, which steps are tokens, the state before each step, the
            gates r, z, n and q_n of each step, the direction

Backward    Through time from the last step to the first, as in rnn.py. With g = dy_t + dh_t:
                dn = g ⊙ (1 - z)                   dz = g ⊙ (h_{t-1} - n)
                dp_n = dn ⊙ (1 - n²)               dp_z = dz ⊙ z (1 - z)
                dp_r = dp_n ⊙ q_n ⊙ r (1 - r)      dq = (dp_r, dp_z, dp_n ⊙ r)
                dh_{t-1} = dq uᵀ + g ⊙ z
            and over the steps dw = Σ x_tᵀ dp, db = Σ dp, but du = Σ h_{t-1}ᵀ dq, dbu = Σ dq.
            g ⊙ z is the road along which the past is remembered, as f is in the LSTM.

Source      Cho et al. 2014 (arXiv 1406.1078), section 2.3, where the reset gate acts on h before
            the product; after it, as here, it is in most libraries
Kernels     kernels/cpu/gru.py, kernels/cuda/gru.py
Used by     GRU in nanollm/recurrent.py
"""

import numpy as np

from nanollm.ops.elementwise import sigmoid                     # gives (y, saved)
from nanollm.ops.rnn import check_recurrence, in_order, over_steps, tokens


def gru(x, h, w, u, b=None, bu=None, lengths=None, *, reverse=False):
    _, T, H = check_recurrence("gru", x, (h,), w, u, (b, bu), lengths, gates=3)
    live = tokens("gru", x, lengths)                            # (B, T, 1)
    x = np.where(live, x, 0)
    p = x @ w if b is None else x @ w + b                       # (B, T, 3H)
    gates = np.empty_like(p)
    past, seen, y = (np.empty_like(p[..., :H]) for _ in range(3))
    for t in in_order(T, reverse):
        past[:, t] = h
        q = h @ u if bu is None else h @ u + bu                 # (B, 3H)
        (p_r, p_z, p_n), (q_r, q_z, q_n) = np.split(p[:, t], 3, axis=-1), np.split(q, 3, axis=-1)
        r, z = sigmoid(p_r + q_r)[0], sigmoid(p_z + q_z)[0]     # (B, H) each
        n = np.tanh(p_n + r * q_n)
        state = (1 - z) * n + z * h
        gates[:, t], seen[:, t] = np.concatenate((r, z, n), axis=-1), q_n
        y[:, t] = live[:, t] * state
        h = np.where(live[:, t], state, h)
    biases = b is not None, bu is not None
    return (y, h), (x, w, u, biases, live, past, gates, seen, reverse)


def gru_backward(dy, saved):
    x, w, u, biases, live, past, gates, seen, reverse = saved
    dy, dh = dy
    dy = np.where(live, dy, 0)                                  # (B, T, H)
    dp, dq = np.empty_like(gates), np.empty_like(gates)         # (B, T, 3H)
    for t in in_order(x.shape[1], not reverse):
        r, z, n = np.split(gates[:, t], 3, axis=-1)             # (B, H) each
        g = live[:, t] * (dy[:, t] + dh)
        dp_n = g * (1 - z) * (1 - n * n)
        dp_z = g * (past[:, t] - n) * z * (1 - z)
        dp_r = dp_n * seen[:, t] * r * (1 - r)
        dp[:, t] = np.concatenate((dp_r, dp_z, dp_n), axis=-1)
        dq[:, t] = np.concatenate((dp_r, dp_z, dp_n * r), axis=-1)
        dh = dq[:, t] @ u.T + g * z + ~live[:, t] * dh
    dx = dp @ w.T                                               # (B, T, E)
    db, dbu = (d.sum(axis=(0, 1)) if has else None for d, has in zip((dp, dq), biases))
    return dx, dh, over_steps(x, dp), over_steps(past, dq), db, dbu, None

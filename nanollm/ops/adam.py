"""Adam: a step of about the same size for every weight, whatever the size of its gradient.

Equation    m ← β₁ m + (1 - β₁) g                 mean of recent gradients
            v ← β₂ v + (1 - β₂) g²                mean of their squares
            w ← w - η m̂ / (√v̂ + ε),   m̂ = m / (1 - β₁ᵗ),   v̂ = v / (1 - β₂ᵗ)
            m and v start at 0 and are too small at first; the division by 1 - βᵗ, t = 1, 2, ...
            counting the steps, makes up for it.
            AdamW first shrinks the weight, w ← w - η λ w, apart from the gradient: put into g as
            L2 regularization, the decay would be divided by √v̂ like the rest.
            `scale` is the clipping factor (descent.py), applied to g as it is read.

Shapes      w, dw, m, v, all of one shape, any, () too
Saved       nothing: a step is not differentiated. It writes into w, m and v, leaves dw as it is,
            and returns nothing

Source      Adam: Kingma & Ba 2015 (arXiv 1412.6980), algorithm 1;
            AdamW: Loshchilov & Hutter 2019 (arXiv 1711.05101), algorithm 2
Kernels     kernels/cpu/adam.py, kernels/cuda/adam.py
Used by     optim.py
"""

import numpy as np

from nanollm.ops.checks import expect


def check_adam(op, w, dw, m, v):
    """Raise InputError unless dw, m and v have w's shape."""
    for name, array in ("dw", dw), ("m", m), ("v", v):
        expect(op, name, array, w.shape)


def adam_(w, dw, m, v, *, lr, t, beta1=0.9, beta2=0.999, eps=1e-8, scale=1.0):
    check_adam("adam_", w, dw, m, v)
    g = scale * dw
    m *= beta1
    m += (1 - beta1) * g
    v *= beta2
    v += (1 - beta2) * g * g
    mhat = m / (1 - beta1 ** t)
    vhat = v / (1 - beta2 ** t)
    w -= lr * mhat / (np.sqrt(vhat) + eps)


def adamw_(w, dw, m, v, *, lr, t, beta1=0.9, beta2=0.999, eps=1e-8, decay=0.01, scale=1.0):
    check_adam("adamw_", w, dw, m, v)
    w *= 1 - lr * decay
    adam_(w, dw, m, v, lr=lr, t=t, beta1=beta1, beta2=beta2, eps=eps, scale=scale)

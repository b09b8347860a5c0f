"""The optimizers, as functions of (parameters, gradients, state); schedules; clipping.

The mathematics of a step stands in nanollm/ops/descent.py and adam.py. Here: which step for which
parameter, and with what rate.

    parameters  {path: Tensor};     gradients  {path: array}, the same paths
    state       a plain dict of arrays and the count of steps, to be saved with the weights
"""

import math

from nanollm import backend


def adamw_state(parameters):
    """First and second moments, all zero, and t = 0 steps done."""
    buffers = backend.module().buffers
    return {"t": 0, "m": buffers(parameters), "v": buffers(parameters)}


def adamw(parameters, gradients, state, *, lr, beta1=0.9, beta2=0.999, eps=1e-8, decay=0.01,
          scale=1.0):
    """One AdamW step, in place. Only matrices decay: biases, gammas and betas have one axis."""
    state["t"] += 1
    kernels = backend.module()
    for axes, w, dw, m, v in kernels.together(parameters, gradients, state["m"], state["v"]):
        kernels.adamw_(w, dw, m, v, lr=lr, t=state["t"], beta1=beta1, beta2=beta2, eps=eps,
                       decay=decay if axes > 1 else 0.0, scale=scale)


def momentum_state(parameters):
    """Velocities, all zero."""
    return {"u": backend.module().buffers(parameters)}


def momentum(parameters, gradients, state, *, lr, mu=0.9, scale=1.0):
    """One step of gradient descent with momentum, in place."""
    kernels = backend.module()
    for _, w, dw, u in kernels.together(parameters, gradients, state["u"]):
        kernels.momentum_(w, dw, u, lr=lr, mu=mu, scale=scale)


def sgd(parameters, gradients, *, lr, scale=1.0):
    """One step of gradient descent, in place."""
    kernels = backend.module()
    for _, w, dw in kernels.together(parameters, gradients):
        kernels.sgd_(w, dw, lr=lr, scale=scale)


def clip_scale(gradients, limit, parts=1):
    """(squared, scale): the square of all gradients' norm, and what to scale them by.

    scale is min(1, limit / norm); gradients that are sums of `parts` are made means as well. Two
    numbers: on a GPU they stay there, as arrays of shape (), and nobody waits for them.
    """
    kernels = backend.module()
    first, *others = [kernels.squared_norm(g) for g in kernels.wholes(gradients)]
    squared = sum(others, first)
    return squared, kernels.clip_factor(squared, limit=limit, most=1 / parts)


def warmup_cosine(step, *, peak, floor, warmup, steps):
    """The rate at step 0 ... steps - 1: a straight line up to `peak`, half a cosine to `floor`.

    Source: Loshchilov & Hutter 2017 (arXiv 1608.03983), equation 5, one period, with warm-up.
    """
    if step < warmup:
        return peak * (step + 1) / (warmup + 1)
    progress = min(1.0, (step - warmup) / max(1, steps - warmup))
    return floor + 0.5 * (peak - floor) * (1 + math.cos(math.pi * progress))

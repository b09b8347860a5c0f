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
    zeros = backend.module().zeros
    return {"t": 0, "m": {path: zeros(p.shape, p.dtype) for path, p in parameters.items()},
            "v": {path: zeros(p.shape, p.dtype) for path, p in parameters.items()}}


def adamw(parameters, gradients, state, *, lr, beta1=0.9, beta2=0.999, eps=1e-8, decay=0.01,
          scale=1.0):
    """One AdamW step, in place. Only matrices decay: biases, gammas and betas have one axis."""
    state["t"] += 1
    for path, p in parameters.items():
        backend.module().adamw_(p.data, gradients[path], state["m"][path], state["v"][path],
                                lr=lr, t=state["t"], beta1=beta1, beta2=beta2, eps=eps,
                                decay=decay if p.data.ndim > 1 else 0.0, scale=scale)


def momentum_state(parameters):
    """Velocities, all zero."""
    return {"u": {path: backend.module().zeros(p.shape, p.dtype)
                  for path, p in parameters.items()}}


def momentum(parameters, gradients, state, *, lr, mu=0.9, scale=1.0):
    """One step of gradient descent with momentum, in place."""
    for path, p in parameters.items():
        backend.module().momentum_(p.data, gradients[path], state["u"][path], lr=lr, mu=mu,
                                   scale=scale)


def sgd(parameters, gradients, *, lr, scale=1.0):
    """One step of gradient descent, in place."""
    for path, p in parameters.items():
        backend.module().sgd_(p.data, gradients[path], lr=lr, scale=scale)


def clip_scale(gradients, limit):
    """(norm, scale): the global norm of all gradients, and min(1, limit / norm)."""
    norm = math.sqrt(sum(backend.module().squared_norm(g) for g in gradients.values()))
    return norm, min(1.0, limit / norm) if limit and norm > 0 else 1.0


def warmup_cosine(step, *, peak, floor, warmup, steps):
    """The rate at step 0 ... steps - 1: a straight line up to `peak`, half a cosine to `floor`.

    Source: Loshchilov & Hutter 2017 (arXiv 1608.03983), equation 5, one period, with warm-up.
    """
    if step < warmup:
        return peak * (step + 1) / (warmup + 1)
    progress = min(1.0, (step - warmup) / max(1, steps - warmup))
    return floor + 0.5 * (peak - floor) * (1 + math.cos(math.pi * progress))

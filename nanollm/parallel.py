"""One batch, several threads: each computes loss and gradients of its part, then they are added.

The loss of a batch is the mean over its tokens, so its gradient is the weighted sum of the parts'
gradients, a part weighing as many tokens as it has: L = Σ_i (n_i / n) L_i. Each thread has a tape
of its own and runs everything on it serially; they meet only once, at the end. Inside a step nobody
waits for anybody, which matters most where layers are small. It costs a second set of gradients.

Source      data parallelism, as in Dean et al. 2012, with the gradients added at every step
"""

from functools import partial

import numpy as np

from nanollm import backend, functional as F
from nanollm.errors import InputError
from nanollm.tape import Tape

LARGE = 2 ** 24                 # parameters from which on a second set of gradients costs too much


def usable(shares):
    """The number of shares on the current backend: only numba has threads for them."""
    return shares if backend.current() == "numba" else 1


def automatic_shares(model, batch):
    """How many parts to cut a batch of so many rows into, on the current backend."""
    if backend.current() != "numba" or model.count() >= LARGE:
        return 1
    from kernels.cpu.threads import count
    return min(count(), batch)


def loss_and_gradients(model, x, y, *, shares=1, rng_seed=None):
    """(loss, {path: gradient}) of model.loss on NumPy's x, y (B, T); targets of -1 do not count.

    loss is a float; on a GPU it stays there, an array of shape ().

    shares      parts that run side by side (numba backend); the sums depend on it in the last bit
    rng_seed    a list of whole numbers that seeds the dropout masks, or None for no dropout

    Raises InputError for a batch without rows.
    """
    if len(x) == 0:
        raise InputError("the batch is empty, expected at least one row")
    def loss(i, rows):
        rng = None if rng_seed is None else np.random.default_rng([*rng_seed, i])
        return model.loss(kernels.array(x[rows]), kernels.array(y[rows]), rng=rng)

    kernels, B, shares = backend.module(), len(x), min(usable(shares), len(x))
    total = max(np.count_nonzero(y >= 0), 1)
    parts = [slice(B * i // shares, B * (i + 1) // shares) for i in range(shares)]
    return weighted_sum(model.parameters(),
                        [partial(loss, i, rows) for i, rows in enumerate(parts)],
                        [np.count_nonzero(y[rows] >= 0) / total for rows in parts])


def weighted_sum(parameters, losses, weights):
    """(Σ_i w_i L_i, {path: gradient of it}) of calls that return L_i; a single one weighs 1.

    parameters    {path: Tensor}, those that a gradient is wanted for

    Each runs on a tape of its own, side by side where the backend has threads.
    """
    kernels = backend.module()

    def part(call, weight):
        with Tape() as tape:
            loss = call()
            if len(losses) > 1:
                loss = F.mul(loss, kernels.array(np.asarray(weight, loss.dtype)))
        gradients = tape.gradient(loss, list(parameters.values()), tear=True)
        return kernels.number(loss.data), gradients

    results = side_by_side([partial(part, *each) for each in zip(losses, weights)])
    if len(results) == 1:
        loss, gradients = results[0]
        return loss, dict(zip(parameters, gradients))
    gradients = results[0][1]
    for _, more in results[1:]:
        gradients = [kernels.add(g, h)[0] for g, h in zip(gradients, more)]
    return sum(loss for loss, _ in results), dict(zip(parameters, gradients))


def side_by_side(calls):
    """The results of calls without arguments, in order: on threads where the backend has them."""
    if usable(len(calls)) < 2:
        return [call() for call in calls]
    from kernels.cpu.threads import run
    return run(calls)

"""How good is a model on text it has not learned from?

Equation    L = -(1/n) Σ_i log p(token_i | the tokens before it in its window),    in nats a token
            over the whole text: every token but the first is a target exactly once. e^L is the
            perplexity: among so many equally likely tokens the model seems to choose.
"""

import math
from functools import partial

import numpy as np

from nanollm import backend, datasets
from nanollm.parallel import side_by_side


def mean_loss(model, ids, *, context, batch, shares=1):
    """L of a text, ids (n + 1,), in windows of `context` tokens, `batch` of them at a time.

    shares      above 1, batches run side by side on the numba backend's threads
    """
    kernels = backend.module()

    def total(x, y):
        loss = kernels.number(model.loss(kernels.array(x), kernels.array(y)).data)
        return loss, np.count_nonzero(y != datasets.IGNORED)

    calls = [partial(total, x, y) for x, y in datasets.windows(ids, context, batch)]
    totals = side_by_side(calls) if shares > 1 else [call() for call in calls]
    return math.fsum(float(kernels.numpy(loss)) * n for loss, n in totals) / (len(ids) - 1)

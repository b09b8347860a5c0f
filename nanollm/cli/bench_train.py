"""bench train: milliseconds a training step, and how much of it is matrix products."""

import os

import numpy as np
from threadpoolctl import ThreadpoolController

from nanollm import backend, optim, train
from nanollm.cli.bench import sizes
from nanollm.cli.floors import products
from nanollm.cli.options import using
from nanollm.cli.timing import in_turns
from nanollm.models.gpt import GPT
from nanollm.parallel import automatic_shares
from nanollm.presets import Settings


def rows(args):
    with using(args):
        return [row(*size) for size in sizes(args)]


def row(label, config, batch):
    training = synthetic(config, batch)
    alone, blas = products(config, batch), ThreadpoolController()

    def floor():
        with blas.limit(limits=os.cpu_count(), user_api="blas"):
            alone()

    times = in_turns({"step": lambda: train.step(training), "floor": floor}, rounds=50, seconds=40)
    return {"setting": label, "backend": backend.current(), "step ms": 1e3 * times["step"],
            "tokens/s": round(batch * config.context / times["step"]),
            "products ms": 1e3 * times["floor"],
            "share of products": times["floor"] / times["step"]}


def synthetic(config, batch):
    """A training on random tokens, without a folder."""
    model = GPT(config, np.random.default_rng(0))
    settings = Settings(context=config.context, width=config.width, heads=config.heads,
                        depth=config.depth, bias=config.bias, tied=config.tied, batch=batch,
                        shares=automatic_shares(model, batch))
    ids = np.random.default_rng(1).integers(0, config.vocab, 100 * config.context)
    return train.Training(None, settings, None, model, optim.adamw_state(model.parameters()),
                          ids, ids, {})

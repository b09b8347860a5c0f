"""bench train: milliseconds a training step, and how much of it is matrix products."""

import numpy as np

from nanollm import backend, optim, train
from nanollm.cli.floors import products
from nanollm.cli.timing import in_turns
from nanollm.models.gpt import GPT
from nanollm.parallel import automatic_shares
from nanollm.prepare import Training
from nanollm.presets import Settings


def rows(sizes):
    return [row(*size) for size in sizes]


def row(label, config, batch):
    name, training = backend.current(), synthetic(config, batch)
    calls = {name: lambda: train.step(training), "numpy alone": products(config, batch)}
    with backend.use(name):                                     # in turns with the other, then back
        times = in_turns(calls, rounds=50, seconds=30,
                         prepare=lambda call: backend.use(call.split()[0]))
    return {"setting": label, "backend": name, "step ms": 1e3 * times[name],
            "tokens/s": round(batch * config.context / times[name]),
            "products ms": 1e3 * times["numpy alone"],
            "share of products": times["numpy alone"] / times[name]}


def synthetic(config, batch):
    """A training on random tokens, without a folder."""
    model = GPT(config, np.random.default_rng(0))
    settings = Settings(context=config.context, width=config.width, heads=config.heads,
                        depth=config.depth, bias=config.bias, tied=config.tied, batch=batch,
                        shares=automatic_shares(model, batch))
    ids = np.random.default_rng(1).integers(0, config.vocab, 100 * config.context)
    return Training(None, settings, None, model, optim.adamw_state(model.parameters()),
                    ids, ids, {})

"""bench generate: tokens a second, one after the other, and how near that is to reading speed."""

import time
from statistics import median

import numpy as np

from nanollm import backend
from nanollm.cli.floors import reading
from nanollm.cli.timing import in_turns
from nanollm.generate import generate_ids
from nanollm.models.gpt import GPT

PROMPT, MOST = 8, 256                   # tokens before the first that is timed; tokens at most


def rows(sizes):
    return [row(*size) for size in sizes]


def row(label, config, batch):
    """batch is not used: one text at a time."""
    from kernels.cpu.threads import count
    model = GPT(config, np.random.default_rng(0))
    looked_up = model.positions.count() + (0 if config.tied else model.embedding.count())
    size = 4 * (model.count() - looked_up)                      # bytes that every token needs
    read, times = reading(size, count())
    gaps = []

    def write():
        began = time.perf_counter()
        for i, _ in enumerate(generate_ids(model, np.arange(PROMPT) % config.vocab, temperature=0,
                                           tokens=min(MOST, config.context - PROMPT))):
            ended = time.perf_counter()
            if i > 0:                                           # the first includes the prompt
                gaps.append(ended - began)
            began = ended

    write()
    gaps.clear()
    floor = in_turns({"write": write, "read": read}, rounds=10, seconds=20)["read"] / times
    token = median(gaps)
    return {"setting": label, "backend": backend.current(), "tokens/s": round(1 / token),
            "ms a token": 1e3 * token, "weights MB": size / 1e6, "read GB/s": size / floor / 1e9,
            "share of reading": floor / token}

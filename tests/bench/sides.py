"""One side of a comparison, in a process of its own: bench.py starts it and tells it when to run.

    python sides.py '{"task": "train", "side": "numba", "config": {...}, "batch": 12, ...}'

It builds what its task and side need, answers with one line of JSON, and from then on waits: a line
with a number n on its standard input makes it do n runs and answer with their times and results.
So each side has its own thread pools, its own peak of memory, and is idle while others run.
"""

import json
import os
import resource
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np

PROMPT = 8                      # tokens that are there before decoding begins
RATES = {"lr": 3e-4, "decay": 0.1}
BETA2 = 0.99


def batch(job):
    ids = np.random.default_rng(1).integers(0, job["config"]["vocab"],
                                            (job["batch"], job["config"]["context"] + 1))
    return np.ascontiguousarray(ids[:, :-1]), np.ascontiguousarray(ids[:, 1:])


def our_model(job):
    if job["task"] == "lstm":
        from our_lstm import LanguageModel
        return LanguageModel(**job["config"])
    from nanollm.models import GPT, GPTConfig
    return GPT(GPTConfig(**job["config"]), np.random.default_rng(0))


def their_model(job):
    import torch

    torch.set_num_threads(job["threads"])
    if job["task"] == "lstm":
        import torch_lstm
        model = torch_lstm.LanguageModel(job["config"]["vocab"], job["config"]["width"])
        torch_lstm.load(model, our_model(job).state_dict())
        return model
    import torch_gpt
    from nanollm.models import GPTConfig
    model = torch_gpt.GPT(GPTConfig(**job["config"]))
    torch_gpt.load(model, np.load(job["weights"]))
    return model


def timed(call):
    """() → (seconds, what call() returned)"""
    def run():
        begin = time.perf_counter()
        result = call()
        return time.perf_counter() - begin, result
    return run


def write_weights(job):
    """Save our first weights for PyTorch; the bytes that decoding one token must read."""
    model = our_model(job)
    np.savez(job["weights"], **model.state_dict())
    looked_up = model.positions.count() + (0 if job["config"]["tied"] else model.embedding.count())
    return 4 * (model.count() - looked_up)


def our_training(job):
    from nanollm import optim, parallel
    model, (x, y) = our_model(job), batch(job)
    state = optim.adamw_state(model.parameters())
    shares = parallel.automatic_shares(model, len(x))

    def step():
        loss, gradients = parallel.loss_and_gradients(model, x, y, shares=shares)
        _, scale = optim.clip_scale(gradients, 1.0)
        optim.adamw(model.parameters(), gradients, state, beta2=BETA2, scale=scale, **RATES)
        return loss
    return timed(step)


def their_training(job):
    # The compiler's own test for AVX-512 is a program that may hang, and then it does without.
    os.environ["TORCHINDUCTOR_VEC_ISA_OK"] = "1"
    import torch

    import torch_gpt
    model, (x, y) = their_model(job), map(torch.from_numpy, batch(job))
    optimizer = torch_gpt.adamw(model, betas=(0.9, BETA2), **RATES)
    if job["side"] == "compiled":
        model.compile()
    return timed(lambda: torch_gpt.training_step(model, optimizer, x, y))


def products(job):
    """The matrix products of a training step, nothing else, on BLAS's own threads."""
    from nanollm.cli import floors
    from nanollm.models import GPTConfig
    return timed(floors.products(GPTConfig(**job["config"]), job["batch"]))


def our_decoding(job):
    from nanollm.models.gpt import KeyValueCache
    model, prompt = our_model(job), batch(job)[0][:1, :PROMPT]
    cache = KeyValueCache(model.config)

    def run():                                                  # as nanollm.generate does it
        cache.clear_()
        first = int(model(prompt, cache=cache).numpy()[0, -1].argmax())
        return greedy(first, lambda token: int(model.step(token, cache).argmax()), job)
    return run


def their_decoding(job):
    import torch
    model, prompt = their_model(job).eval(), torch.from_numpy(batch(job)[0][:1, :PROMPT])
    memory = model.memory()

    def run():
        starts = iter(range(PROMPT, job["config"]["context"]))

        def next_token(token):
            return model.decode(torch.tensor([[token]]), memory, next(starts)).argmax().item()
        return greedy(model.decode(prompt, memory, 0).argmax().item(), next_token, job)
    return run


def greedy(token, next_token, job):
    """Fill the context after the prompt and `token`: (seconds, tokens)."""
    tokens = [token]
    begin = time.perf_counter()
    for _ in range(job["config"]["context"] - PROMPT):
        tokens.append(next_token(tokens[-1]))
    return time.perf_counter() - begin, tokens


def bandwidth(job):
    """Read as many bytes as the weights have, over and over, each thread its share of them."""
    from numba import njit

    @njit(nogil=True, fastmath=True)
    def total(x):
        t = np.float32(0)
        for i in range(x.size):
            t += x[i]
        return t

    pool = ThreadPoolExecutor(job["threads"])
    parts = np.array_split(np.ones(job["bytes"] // 4, np.float32), job["threads"])
    times = max(1, 2 ** 28 // job["bytes"])

    def run():
        begin = time.perf_counter()
        list(pool.map(lambda part: [total(part) for _ in range(times)], parts))
        return (time.perf_counter() - begin) / times, None
    return run


TASKS = {("train", "numba"): our_training, ("train", "numpy"): our_training,
         ("train", "eager"): their_training, ("train", "compiled"): their_training,
         ("train", "floor"): products,
         ("lstm", "numba"): our_training, ("lstm", "numpy"): our_training,
         ("lstm", "eager"): their_training, ("lstm", "compiled"): their_training,
         ("decode", "numba"): our_decoding, ("decode", "numpy"): our_decoding,
         ("decode", "eager"): their_decoding, ("decode", "floor"): bandwidth}


def peak_mb():
    """Most memory this process ever had. (Linux counts in KiB, macOS in bytes.)"""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2 ** 20 if sys.platform == "darwin" else 2 ** 10)


def main():
    replies = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)                                               # what libraries print is no reply
    job = json.loads(sys.argv[1])
    if job["task"] == "weights":
        print(json.dumps(write_weights(job)), file=replies)
        return
    run = TASKS[job["task"], job["side"]](job)
    print(json.dumps("ready"), file=replies)
    for line in sys.stdin:
        before = time.process_time()
        seconds, results = zip(*(run() for _ in range(int(line))))
        print(json.dumps({"seconds": seconds, "results": results, "peak_mb": peak_mb(),
                          "cpu": time.process_time() - before}), file=replies)


if __name__ == "__main__":
    main()

"""Generation: ask for the next token, append it, ask again.

    for piece in generate(model, tokenizer, "The", tokens=200):
        print(piece, end="", flush=True)

With a key-value cache each step computes the new token alone: keys and values of the earlier ones
are kept. Without it the whole window is computed for each token. The scores agree up to rounding
(to about 1e-5), so both give the same tokens, unless two are as good as equal.

When the window is full, its last half is kept and the cache is filled anew from it: one long step,
then half a window of short ones. (Learned positions forbid simply to drop the oldest token: all
others would move by one, and every key with them.) A prompt longer than the window is cut likewise.
"""

import numpy as np

from nanollm import backend
from nanollm.errors import InputError
from nanollm.models.gpt import KeyValueCache
from nanollm.sampling import check_sampling, choose


def generate(model, tokenizer, prompt="", *, tokens=200, seed=0, stop=(), cached=True, **sampling):
    """Yield the text that follows the prompt, piece by piece, as the model writes it.

    tokens      how many at most
    seed        the same seed gives the same text
    stop        texts that end it, as soon as one is complete; it is not yielded itself
    sampling    temperature, top_k, top_p, penalty: see sampling.choose

    An empty prompt starts from a line break (from token 0 where the tokenizer knows no line break).
    Raises InputError for a prompt that the tokenizer cannot read, and for sampling settings that
    make no sense.
    """
    check_sampling(**sampling)
    for name, n in ("tokens", tokens), ("seed", seed):
        if n < 0:
            raise InputError(f"{name} is {n}, expected 0 or more")
    ids = tokenizer.encode(prompt) if prompt else start(tokenizer)      # (T,)
    stream = tokenizer.stream()

    def pieces():
        for id in generate_ids(model, ids, tokens=tokens, seed=seed, cached=cached, **sampling):
            yield stream.feed(id)
        yield stream.end()

    return until(pieces(), [stop] if isinstance(stop, str) else stop)


def start(tokenizer):
    """The ids that an empty prompt stands for."""
    try:
        return tokenizer.encode("\n")
    except InputError:
        return np.zeros(1, np.int64)


def generate_ids(model, ids, *, tokens, seed=0, cached=True, **sampling):
    """Yield `tokens` ids that follow ids (T,), T ≥ 1."""
    rng, numpy = np.random.default_rng(seed), backend.module().numpy
    context = model.config.context
    cache = KeyValueCache(model.config, dtype=model.embedding.w.dtype) if cached else None
    seen = [int(id) for id in ids]
    window = list(seen)
    for _ in range(tokens):
        if len(window) > context:
            window = window[-max(1, context // 2):]
            if cached:
                cache.clear_()
        if cached and cache.length:
            scores = numpy(model.step(window[-1], cache))               # (V,)
        else:
            all_of_it = backend.module().array(np.array([window]))      # (1, T)
            scores = model(all_of_it, cache=cache).numpy()[0, -1]       # (V,)
        id = choose(scores, seen, rng, **sampling)
        seen.append(id)
        window.append(id)
        yield id


def until(pieces, stops):
    """The pieces of a text up to the first of `stops`, also where it spans several pieces.

    Text that may be the beginning of a stop waits until that is decided.
    """
    stops = [stop for stop in stops if stop]
    waiting = ""
    for piece in pieces:
        waiting += piece
        found = [(waiting.find(stop) + len(stop), waiting.find(stop)) for stop in stops
                 if stop in waiting]
        if found:
            yield waiting[:min(found)[1]]                       # the one that is complete first
            return
        held = max((n for stop in stops for n in range(len(stop)) if waiting.endswith(stop[:n])),
                   default=0)
        yield waiting[:len(waiting) - held]
        waiting = waiting[len(waiting) - held:]
    yield waiting

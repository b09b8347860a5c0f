"""The museum: a good first token, and then nonsense."""

import numpy as np

from nanollm import ops
from nanollm.exercises.spec import Exercise, Wrong, call, expect


def model_of(student):
    return student.Model(7, 6, 16, np.random.default_rng(0))


def scores(model, ids):
    """The scores of the token after ids, from the whole text."""
    x = model.tokens[ids] + model.places[:len(ids)]
    y, _ = ops.self_attention(x @ model.w_qkv, causal=True)
    return (x[-1] + y[-1]) @ model.tokens.T


def check_whole(student):
    "a whole text at once"
    model = model_of(student)
    for ids in [3], [3, 1, 4, 1, 5]:
        expect("what logits gives", call(model.logits, ids), scores(model, ids),
               tried={"ids": str(ids)}, likely="token t of a text stands at position t: row t of "
                                               "`places`")


def check_one_by_one(student):
    "the same text, token by token"
    model, ids = model_of(student), [3, 1, 4, 1, 5]
    cache = model.empty()
    for n, id in enumerate(ids, 1):
        got, cache = call(model.step, [id], cache)
        want = scores(model, ids[:n])
        if not np.allclose(got, want, rtol=1e-9):
            raise Wrong(f"after token {n} the scores differ from those of the whole text",
                        tried=f"{ids[:n]}, token by token", got=got, expected=want,
                        likely="print x in both cases: which rows of which tables is it made of?")


def check_portions(student):
    "the same text, in portions"
    model, ids = model_of(student), [3, 1, 4, 1, 5, 2]
    _, cache = call(model.step, ids[:2], model.empty())
    got, cache = call(model.step, ids[2:], cache)
    expect("the scores after 2 tokens and 4 more", got, scores(model, ids),
           likely="the portion begins where the cache ends, and each of its tokens has a place of "
                  "its own")
    if len(cache[0]) != 6:
        raise Wrong("the cache holds the wrong number of keys", got=len(cache[0]), expected=6)


def check_write(student):
    "what it writes"
    for seed in range(4):
        model = student.Model(7, 6, 64, np.random.default_rng(seed))
        ids, want = [3, 1], []
        for _ in range(6):
            want.append(int(scores(model, ids + want).argmax()))
        got = call(student.write, model, ids, 6)
        if got != want:
            n = next((i for i, (a, b) in enumerate(zip(got, want)) if a != b), 0)
            raise Wrong(f"with the cache token {n + 1} is another than without",
                        got=str(got), expected=str(want),
                        likely="a step gets only what is new: the old tokens are in the cache")


EXERCISE = Exercise(
    name="museum_positions", title="A good first token, and then nonsense", group="museum",
    notebook="12_gpt", page="nanollm/exercises/pages/museum_positions.py",
    broken=(("start = len(keys)", "start = 0"),),
    checks=(check_whole, check_one_by_one, check_portions, check_write),
    hints=(
        ("The first token comes from the whole prompt, the others from one new token and the "
         "cache. What is different for the new token?",
         "第一个词元来自整个提示，其余的来自一个新词元加上缓存。对新词元来说有什么不同？"),
        ("Print x for the third token: once from logits of three tokens, once from step.",
         "打印第三个词元的 x：一次来自三个词元的 logits，一次来自 step。"),
        ("A new token stands behind those in the cache: its position is len(keys), not 0.",
         "新词元排在缓存里的词元之后：它的位置是 len(keys)，而不是 0。")),
    thread="https://github.com/ml-explore/mlx-lm/pull/93",
    explanation="""\
Cause     Positions are counted from 0 in each call. With a cache each call has one token, so every
          new token gets the vector of position 0.
Hidden    Without a cache, and for the prompt, it is right. The largest model depends little on the
          position vectors and writes well enough.
Found     Small models wrote garbage. The check: token by token must give what the whole text gives.
Repair    Count on from the length of the cache.
Thread    ml-explore/mlx-lm PR #93, "Fix GPT2 Incremental Generation" (merged): positions started at
          zero for new tokens, and were left out for single ones; gpt2-xl hardly showed it.
          skyzh/tiny-llm PR #46: an offset that jumps from 6 to 12 after a prompt of 6 tokens.""")

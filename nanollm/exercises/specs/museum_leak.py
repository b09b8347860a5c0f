"""The museum: a model that sees the future."""

import numpy as np

from nanollm import ops
from nanollm.exercises.spec import Exercise, Wrong, call, expect

T, D = 5, 4


def inputs(size=1.0, seed=0):
    return size * np.random.default_rng(seed).standard_normal((3, T, D))


def check_small(student):
    "ordinary scores"
    q, k, v = inputs()
    p = call(student.causal_weights, q, k)
    if not np.isfinite(p).all():
        raise Wrong("the weights are nan", got=p, likely="a row in which all keys are masked: "
                                                         "query 0 sees itself")
    if not np.allclose(p.sum(axis=1), 1):
        raise Wrong("the weights of a query do not sum to 1", got=p.sum(axis=1),
                    expected=np.ones(T), likely="what is masked after the softmax is missing from "
                                                "the sum")
    future = np.triu(p, 1)
    if future.any():
        t, s = np.argwhere(future)[0]
        raise Wrong("a query has weight on keys in its future", tried=f"{T} queries, {T} keys",
                    got=f"query {t} has the weight {p[t, s]:.3g} on key {s}", expected="0",
                    likely="rows are queries, columns are keys; what is ruled out gets the score "
                           "-inf, not 0")
    expect("y", call(student.attend, q, k, v), ops.attention(q, k, v, causal=True)[0],
           likely="query t sees the keys 0 ... t, t itself too")


def check_future(student):
    "what comes later changes nothing, whatever the scores"
    for size in 1.0, 1e2, 1e3, 1e5:
        q = np.full((T, D), size)
        k = np.full((T, D), -size) * (1 + np.arange(T)[::-1, None] / 10)        # the past worst
        v = np.random.default_rng(0).standard_normal((T, D))
        y = call(student.attend, q, k, v)
        later = v.copy()
        later[-1] += 1
        changed = np.abs(call(student.attend, q, k, later) - y)[:-1].max(axis=1)
        if not (changed == 0).all():
            t = int(np.argmax(changed > 0))
            raise Wrong(f"the result of token {t} changes when the last of {T} tokens changes",
                        tried=f"scores between {-1.4 * size * size * D ** 0.5:.3g} and "
                              f"{-size * size * D ** 0.5:.3g}",
                        got=f"a change of {changed[t]:.3g}", expected="none",
                        likely="print the masked scores and compare them with the others of their "
                               "row")


def check_same(student):
    "large scores of either sign"
    q, k, v = inputs(size=300.0, seed=1)
    expect("y", call(student.attend, q, k, v), ops.attention(q, k, v, causal=True)[0],
           tried="scores of about ±1e5")


EXERCISE = Exercise(
    name="museum_leak", title="A model that sees the future", group="museum",
    notebook="10_attention", page="nanollm/exercises/pages/museum_leak.py",
    broken=(("past, scores, -np.inf", "past, scores, -1e4"),),
    checks=(check_small, check_future, check_same),
    hints=(
        ("Small weights, no leak; large ones, a leak. Which number in the program is compared with "
         "the scores?",
         "权重小时不泄漏，权重大时泄漏。程序里有哪个数会和分数比大小？"),
        ("Make all scores of a row lower than -10000. Where does the softmax put the weight?",
         "让一行的所有分数都低于 -10000。softmax 会把权重放在哪里？"),
        ("A finite mask is only a low score; training can go below it. -np.inf cannot be undercut.",
         "有限的掩码值只是一个低分，训练可以学到比它更低的分数；-np.inf 则不可能被超过。")),
    thread="https://github.com/karpathy/minGPT/issues/75",
    explanation="""\
Cause     A masked key has the score -10000, which is low but not lowest. A model whose scores of
          the past fall below it puts its weight on the future, where the answer stands. Training
          finds that: it lowers the loss.
Hidden    With the scores of a fresh model, a few units large, exp(-10000) is 0 and all tests pass.
          Validation leaks in the same way, so the validation loss is splendid.
Found     By the gap: almost no loss in training and validation, and bad texts when the future is
          not there yet. Then by printing the scores, many of which lay below -10000.
Repair    -np.inf, which no score can undercut (and no row may be masked altogether).
Thread    karpathy/minGPT#75, "Perfect training and evaluation loss, but terrible test-time
          performance", by a user of huggingface/transformers' GPT-2, reported there as #17121;
          before him #3181 (2020) and #15199 (2022) report the same mask.""")

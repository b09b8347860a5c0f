"""The museum: samples from far outside the k likeliest."""

import numpy as np

from nanollm.exercises.spec import Exercise, Wrong, call

X = np.array([-9.0, -5.0, -5.5, -8.0, -7.0])


def expected(x, k):
    order = np.argsort(-x)[:k]
    p = np.zeros(len(x))
    p[order] = np.exp(x[order] - x.max())
    return p / p.sum()


def compare(student, x, k, tried, temperature=1.0, likely=None):
    given, want = x.copy(), expected(x / temperature, k)
    got = call(student.probabilities, given, k, temperature)
    if not np.array_equal(given, x):
        raise Wrong("the scores are changed", tried={"x": x, "k": k}, got=given, expected=x,
                    likely="`x[...] = ...` writes into the caller's array")
    if np.allclose(got, want, atol=1e-9):
        return
    tried = f"{tried}x = {np.array2string(x, precision=6)}, k = {k}"
    outside = got[want == 0].sum() if np.isfinite(got).all() else 1.0
    if np.count_nonzero(got) < k:
        raise Wrong(f"only {np.count_nonzero(got)} of the {k} likeliest tokens are left",
                    tried=tried, got=got, expected=want,
                    likely="the k-th largest itself stays")
    if outside > 0:
        raise Wrong(f"tokens outside the {k} likeliest have probability {outside:.3g}", tried=tried,
                    got=got, expected=want, likely=likely or
                    "print what only_top_k returns, and think of exp of it")
    raise Wrong("the tokens that stay have the wrong probabilities", tried=tried, got=got,
                expected=want, likely="their scores are not to be changed")


def check_low(student):
    "scores below zero"
    compare(student, X, 2, "")


def check_high(student):
    "scores above zero"
    compare(student, X + 20, 2, "")
    compare(student, X + 20, 5, "")


def check_any_size(student):
    "scores of any size"
    for shift in -2e4, -1e6:
        compare(student, X + shift, 2, "", likely="a score that is ruled out must be lower than "
                                                  "any score can be")


def check_temperature(student):
    "with a temperature"
    for temperature in 0.1, 100.0, 1e6:
        compare(student, X, 3, f"temperature {temperature}, ", temperature)


def check_draws(student):
    "200 tokens drawn"
    rng = np.random.default_rng(0)
    drawn = {student.draw(X.copy(), 2, rng) for _ in range(200)}
    if drawn != {1, 2}:
        raise Wrong("the tokens drawn are not the 2 likeliest", got=str(sorted(drawn)),
                    expected="[1, 2]")


EXERCISE = Exercise(
    name="museum_mask", title="Samples from far outside the k likeliest", group="museum",
    notebook="12_gpt", page="nanollm/exercises/pages/museum_mask.py",
    broken=(("x < least, -np.inf, x", "x < least, 1e-10, x"),),
    checks=(check_low, check_high, check_any_size, check_temperature, check_draws),
    hints=(
        ("Try it with scores that are all below zero, and with the same scores plus 20. Why does "
         "one work?",
         "先用全是负数的分数试一次，再把它们都加 20 试一次。为什么其中一次是对的？"),
        ("These are scores, not probabilities: exp comes after. Which score has the probability 0?",
         "这些是分数，不是概率：后面还要取 exp。哪个分数对应的概率是 0？"),
        ("exp(1e-10) is 1. A token that is ruled out needs a score that is lower than any other: "
         "-np.inf, whose exp is exactly 0.",
         "exp(1e-10) 等于 1。被排除的词元需要一个比任何分数都低的分数：-np.inf，它的 exp 恰好是 0。"
         "")),
    thread="https://github.com/karpathy/minGPT/issues/10",
    explanation="""\
Cause     1e-10 stands for "nothing" among probabilities; among scores it is an ordinary number, and
          a high one where the others are negative. It was meant to be -1e10.
Hidden    As long as the k likeliest scores are well above 0, exp(0) = 1 is small beside them.
Found     By a user whose samples were terrible unless the temperature was very low, who read the
          sampling code and compared samples with 1e-10 and with -inf.
Repair    -np.inf: exp of it is exactly 0, whatever the other scores are.
Thread    karpathy/minGPT#10, "Possible Improvement to top_k_logits"; its author answers that he is
          pretty sure that -1e10 was meant, and it was repaired the next day.""")

"""The museum: texts that are duller than they should be."""

import numpy as np

from nanollm.exercises.spec import Exercise, Wrong, call


def compare(student, probabilities, p, want, likely=None):
    probabilities = np.array(probabilities)
    got = np.flatnonzero(call(student.nucleus, probabilities, p)).tolist()
    if got == want:
        return
    mass = probabilities[got].sum()
    what = f"{len(got)} of {len(want)} tokens stay, with probability {mass:.3g} together"
    if not got:
        what = "no token is left to draw"
    elif len(got) > len(want):
        what = f"{len(got)} tokens stay, more than are needed to reach p"
    elif len(got) == len(want):
        what = "the wrong tokens stay"
    raise Wrong(what, tried={"probabilities": probabilities, "p": p}, got=f"tokens {got}",
                expected=f"tokens {want}, with probability {probabilities[want].sum():.3g}",
                likely=likely)


def check_reaches(student):
    "what stays reaches p"
    hint = "add up the probabilities of what stays, and compare with p"
    compare(student, [0.5, 0.41, 0.09], 0.9, [0, 1], hint)
    compare(student, [0.5, 0.3, 0.15, 0.05], 0.6, [0, 1], hint)


def check_small_p(student):
    "a small p"
    compare(student, [0.5, 0.3, 0.2], 0.1, [0], "the likeliest token alone reaches it")


def check_smallest(student):
    "and it is the smallest such set"
    compare(student, [0.5, 0.25, 0.125, 0.125], 0.5, [0], "0.5 reaches 0.5: no more is needed")
    compare(student, [0.5, 0.25, 0.125, 0.125], 0.75, [0, 1])
    compare(student, [0.5, 0.25, 0.125, 0.125], 1.0, [0, 1, 2, 3])


def check_order(student):
    "tokens in any order"
    compare(student, [0.1, 0.2, 0.6, 0.1], 0.7, [1, 2], "likeliest first; then back to the places "
                                                        "where they stood")


def check_draws(student):
    "300 tokens drawn"
    rng, p = np.random.default_rng(0), np.array([0.09, 0.5, 0.41])
    drawn = [student.draw(p, 0.9, rng) for _ in range(300)]
    if set(drawn) != {1, 2}:
        raise Wrong("the tokens drawn are not those of the nucleus", got=str(sorted(set(drawn))),
                    expected="[1, 2]", tried={"probabilities": p, "p": 0.9})


EXERCISE = Exercise(
    name="museum_nucleus", title="Texts that are duller than they should be", group="museum",
    notebook="12_gpt", page="nanollm/exercises/pages/museum_nucleus.py",
    broken=(("ends - probabilities[order] < p", "ends <= p"),),
    checks=(check_reaches, check_small_p, check_smallest, check_order, check_draws),
    hints=(
        ("Probabilities 0.5, 0.41, 0.09 and p = 0.9: which tokens should stay, which do?",
         "概率为 0.5、0.41、0.09，p = 0.9：哪些词元应留下，实际留下了哪些？"),
        ("The smallest set that reaches p contains the token that crosses p. Which sum decides "
         "about a token: with itself, or before it?",
         "达到 p 的最小集合包含跨过 p 的那个词元。决定一个词元去留的，是包含它自己的和，还是它之前"
         "的和？"),
        ("A token stays while those before it have not reached p: ends - probabilities[order] < p.",
         "只要它之前的那些还没有达到 p，这个词元就留下：ends - probabilities[order] < p。")),
    thread="https://github.com/rasbt/reasoning-from-scratch/issues/164",
    explanation="""\
Cause     A token stays if the sum with itself is at most p, so the one that crosses p is dropped
          and what is left never reaches p. If the likeliest alone exceeds p, nothing is left.
Hidden    With many tokens one more or less changes little; texts are a bit duller.
Found     With three probabilities and paper.
Repair    Decide by the sum before the token.
Thread    rasbt/reasoning-from-scratch#164, with the probabilities 0.5, 0.41, 0.09 and p = 0.9.
          The same in fishaudio/fish-speech PR #1171, Biohub/esm PR #360 and thu-nics/C2C PR #21,
          where the kept set differed from Hugging Face's in 264 of 300 random cases.""")

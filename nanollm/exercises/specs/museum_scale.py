"""The museum: heads that look everywhere alike."""

import numpy as np

from nanollm import ops
from nanollm.exercises.spec import Exercise, Wrong, call, expect


def inputs(C=16, T=4, S=5, seed=0):
    r = np.random.default_rng(seed)
    return r.standard_normal((T, C)), r.standard_normal((S, C)), r.standard_normal((S, C))


def check_one_head(student):
    "one head"
    q, k, v = inputs()
    p = call(student.weights, q, k, 1)
    if not np.allclose(p.sum(axis=-1), 1):
        raise Wrong("the weights of a query do not sum to 1", got=p.sum(axis=-1),
                    likely="scale the scores, not the weights")
    expect("p, the weights with one head", p, ops.attention(q, k, v, weights=True)[0][1],
           likely="scores q·k / √D")


def check_heads(student):
    "several heads"
    q, k, v = inputs()
    for heads in 2, 4, 16:
        p = call(student.weights, q, k, heads)
        want = ops.attention(q, k, v, heads=heads, weights=True)[0][1]
        if p.shape != want.shape or not np.allclose(p, want, rtol=1e-9):
            got, right = float(p.max(axis=-1).mean()), float(want.max(axis=-1).mean())
            raise Wrong(f"with {heads} heads the weights are too "
                        f"{'even' if got < right else 'sharp'}",
                        got=f"the largest weight of a query is {got:.3f} on average",
                        expected=f"{right:.3f}",
                        likely="what is the variance of a head's scores, for q and k of variance "
                               "1?")


def check_variance(student):
    "the scale in numbers"
    q, k = np.full((1, 8), 1.0), np.array([[1.0] * 8, [0.0] * 8])
    for heads, D in (1, 8), (2, 4), (8, 1):
        p = call(student.weights, q, k, heads)
        got = float(np.log(p[0, 0, 0] / p[0, 0, 1]))
        expect(f"the difference of two scores with {heads} heads", got, D / D ** 0.5,
               tried=f"q·k is {D} in each head, or 0", likely="a head sums over its own D columns")


def check_result(student):
    "y"
    q, k, v = inputs(seed=1)
    expect("y with 4 heads", call(student.attend, q, k, v, 4), ops.attention(q, k, v, heads=4)[0])


EXERCISE = Exercise(
    name="museum_scale", title="Heads that look everywhere alike", group="museum",
    notebook="10_attention", page="nanollm/exercises/pages/museum_scale.py",
    broken=(("math.sqrt(q.shape[1] // heads)", "math.sqrt(q.shape[1])"),),
    checks=(check_one_head, check_heads, check_variance, check_result),
    hints=(
        ("With one head it is right. Which number should change with the number of heads, and does "
         "not?",
         "只有一个头时是对的。哪个数应随头数而变，却没有变？"),
        ("A score is a sum over a head's own columns. Of how many products, for 16 columns and 4 "
         "heads?",
         "一个分数是在该头自己的那些列上求和。16 列、4 个头时，是多少个乘积之和？"),
        ("√d_k in the paper is the width of a head: C / heads.",
         "论文里的 √d_k 是一个头的宽度：C / heads。")),
    thread="https://github.com/karpathy/ng-video-lecture/pull/6",
    explanation="""\
Cause     The scores are divided by the root of the model's width C, but each is a sum over the D =
          C / heads columns of one head. They come out smaller by √heads, and the softmax is
          flatter.
Hidden    With one head both are the same; with more, training makes up for it by larger weights.
Found     By reading beside the paper, or by comparing with another program.
Repair    √D, D = C / heads.
Thread    karpathy/ng-video-lecture PR #6, "We should scale attention by head size" (merged).
          lucidrains/vit-pytorch#65: the same slip, repaired. FrancescoSaverioZuppichini/ViT#2: the
          scale behind the softmax in place of before it.""")

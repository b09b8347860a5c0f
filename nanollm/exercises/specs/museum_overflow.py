"""The museum: nan from the eighth layer."""

import numpy as np

from nanollm.exercises.spec import Exercise, Wrong, call


def compare(student, x, why, tol):
    kept = x.copy()
    with np.errstate(all="ignore"):
        got = np.asarray(call(student.softmax, x))
    if not np.array_equal(x, kept):
        raise Wrong("softmax changes its input x", tried=f"x = {kept.tolist()}", got=x,
                    expected=kept, likely="`x -= ...` writes into the caller's array")
    e = np.exp(x.astype(np.float64) - x.max(axis=-1, keepdims=True).astype(np.float64))
    want = e / e.sum(axis=-1, keepdims=True)
    tried = f"x = {x.tolist()}, {x.dtype}"
    if got.dtype != x.dtype:
        raise Wrong("the dtype of the scores is not kept", tried=tried, got=str(got.dtype),
                    expected=str(x.dtype))
    if not np.isfinite(got).all():
        raise Wrong("the weights are nan", tried=tried, got=got, expected=want, likely=why)
    if np.abs(got.sum(axis=-1, dtype=np.float64) - 1).max() > 4 * tol:
        raise Wrong("the weights of a row do not sum to 1", tried=tried, got=got, expected=want,
                    likely="divide by the sum of what stands above the line, nothing added")
    if np.abs(got - want).max() > tol:
        raise Wrong("the weights are wrong", tried=tried, got=got, expected=want,
                    likely="a softmax does not see a constant that is added to all scores of a "
                           "row; it does\nsee everything else")


def check_small(student):
    "ordinary scores"
    for dtype, tol in ("float64", 1e-12), ("float32", 1e-6), ("float16", 2e-3):
        compare(student, np.array([[0, 1, 2], [3, 1, -1]], dtype), None, tol)


def check_large(student):
    "large scores"
    for x, tol in ((np.array([[151.29, 150.0]], np.float32), 1e-5),
                   (np.array([[12.0, 11.0]], np.float16), 2e-3),
                   (np.array([[1000.0, 1001.0, 0.0]]), 1e-12)):
        compare(student, x, "print exp of the scores, in this dtype", tol)


def check_rows(student):
    "rows of very different size"
    compare(student, np.array([[1000.0, 999.0], [-1000.0, -1001.0]]),
            "each row stands alone: what is subtracted from one must not depend on the others",
            1e-12)


def check_spread(student):
    "one score far above the others of its row"
    compare(student, np.array([[2000.0, 0.0, -10.0, -5.0]]), "the largest score of a row becomes "
                                                             "0, no score becomes large", 1e-12)


def check_attend(student):
    "attention in float32"
    q, k = np.full((1, 4), 20, np.float32), np.array([[20] * 4, [19] * 4], np.float32)
    with np.errstate(all="ignore"):
        y = call(student.attend, q, k, np.eye(2, dtype=np.float32))
    if not np.isfinite(y).all():
        raise Wrong("attention gives nan", tried="q and k of about 20, width 4", got=y)


EXERCISE = Exercise(
    name="museum_overflow", title="Nan from the eighth layer", group="museum",
    notebook="04_softmax", page="nanollm/exercises/pages/museum_overflow.py",
    broken=(("np.exp(x - x.max(axis=-1, keepdims=True))", "np.exp(x)"),),
    checks=(check_small, check_large, check_rows, check_spread, check_attend),
    hints=(
        ("It depends on the size of the scores and on the dtype. Which operation has a limit?",
         "是否出错取决于分数的大小和 dtype。哪个运算有上限？"),
        ("np.exp(np.float32(89)) and np.exp(np.float16(12)) are inf, and inf / inf is nan. What "
         "can be added to all scores of a row without changing the weights?",
         "np.exp(np.float32(89)) 和 np.exp(np.float16(12)) 都是 inf，而 inf / inf 是 nan。"
         "给一行的所有分数加上什么，权重不变？"),
        ("Subtract the row's own maximum first: the largest exponent is then 0.",
         "先减去该行自己的最大值：这样最大的指数就是 0。")),
    thread="https://github.com/NVIDIA/FasterTransformer/issues/43",
    explanation="""\
Cause     exp(x) is inf above 88.7 in float32 and above 11.1 in float16; inf / inf is nan.
Hidden    Scores of ordinary models are small. One model has a layer with large ones, and from there
          everything is nan.
Found     By looking layer by layer where the first nan is: a user found it in layer eight, and read
          the softmax kernel.
Repair    Subtract each row's maximum: the softmax is the same, and no exponent exceeds 0.
Thread    NVIDIA/FasterTransformer#43: a pretrained model gives nan from the eighth Transformer
          layer, the softmax's input is not protected.
          pytorch/executorch PR #18407: scores of 151.29 in Phi-4-mini, the same repair in a
          shader.""")

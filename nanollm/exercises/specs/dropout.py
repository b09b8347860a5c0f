"""Dropout."""

import numpy as np

from nanollm.exercises.of_ops import exercise
from nanollm.exercises.spec import Wrong, call, kind


def check_keep(student):
    """keep: a mask from the generator that comes in"""
    for rate in 0.3, 0.0, 0.8:
        tried, rng = f"keep(rng, (200, 100), {rate})", np.random.default_rng(0)
        first, second = (call(student.keep, rng, (200, 100), rate) for _ in range(2))
        again = call(student.keep, np.random.default_rng(0), (200, 100), rate)
        if not isinstance(first, np.ndarray) or first.dtype != bool or first.shape != (200, 100):
            raise Wrong("keep is no mask", tried=tried, got=kind(first),
                        expected="an array bool (200, 100)")
        if not np.array_equal(first, again):
            raise Wrong("two generators of one seed give different masks", tried=tried,
                        likely="draw from the rng that comes in, not from np.random")
        if rate and np.array_equal(first, second):
            raise Wrong("one generator gives the same mask twice", tried=tried,
                        likely="draw from the rng that comes in: it goes on with each draw")
        share = first.mean()
        if abs(share - (1 - rate)) > 0.02:
            raise Wrong("keep keeps the wrong share", tried=tried, got=float(share),
                        expected=1 - rate, likely="True with probability 1 - rate"
                        if abs(share - rate) < 0.02 else None)
        if any(np.abs(first.mean(axis=axis) - (1 - rate)).max() > 0.3 for axis in (0, 1)):
            raise Wrong("whole rows or columns are kept or dropped together", tried=tried,
                        likely="each entry is drawn alone: as many random numbers as entries")


EXERCISE = exercise(
    "dropout", title="Dropout", notebook="11_transformer", ops=("dropout",), more=(check_keep,),
    blanks=("keep", "dropout", "dropout_backward"),
    suspects=(
        ("dropout", "x * keep / (1 - rate)", "x * keep",
         "what is kept is not divided by 1 - rate: the expected y would be smaller than x"),
        ("dropout", "/ (1 - rate)", "* (1 - rate)",
         "multiplied by 1 - rate: dividing by it keeps the expected y at x"),
        ("dropout", "x * keep / (1 - rate)", "x * keep / rate if rate else x * keep",
         "divided by the rate: the share that is kept is 1 - rate"),
        ("dropout", "x * keep / (1 - rate)", "x * ~keep / (1 - rate)",
         "the mask is the wrong way round: True is kept"),
        ("dropout", "x * keep / (1 - rate)", "x / (1 - rate)", "the mask is not used"),
        ("dropout_backward", " / (1 - rate)", "",
         "the division by 1 - rate is missing in the backward"),
        ("dropout_backward", "dy * keep", "dy",
         "what was switched off gets a gradient: the mask is missing")),
    hints=(
        ("A mask is drawn outside and comes in, so this is a product with a constant. What stays "
         "is "
         "made larger, so that the expected y is x.",
         "掩码在外面抽好再传进来，所以这只是乘一个常数。留下的要放大，使 y 的期望等于 x。"),
        ("y = x keep / (1 - rate), dx = dy keep / (1 - rate); keep is True with probability "
         "1 - rate and has no gradient.",
         "y = x keep / (1 - rate)，dx = dy keep / (1 - rate)；keep 以概率 1 - rate 为 True，没有梯"
         "度。"),
        ("rng.random(shape, np.float32) >= rate draws the mask. Save (keep, rate); the backward "
         "returns (dy * keep / (1 - rate), None).",
         "用 rng.random(shape, np.float32) >= rate 抽掩码。保存 (keep, rate)；"
         "反向返回 (dy * keep / (1 - rate), None)。")))

"""The museum: a loss that depends on how the batch is cut."""

import numpy as np

from nanollm import ops
from nanollm.exercises.spec import Exercise, Wrong, call, expect

V = 3


def batch(lengths, seed=0):
    r = np.random.default_rng(seed)
    ids = r.integers(0, V, (len(lengths), max(lengths)))
    targets = r.integers(0, V, ids.shape)
    for row, n in zip(targets, lengths):
        row[n:] = -1
    return r.standard_normal((V, V)), ids, targets


def whole(table, ids, targets):
    loss, saved = ops.cross_entropy(table[ids], targets)
    dtable = np.zeros_like(table)
    np.add.at(dtable, ids, ops.cross_entropy_backward(1.0, saved)[0])
    return float(loss), dtable


def compare(student, lengths, likely):
    table, ids, targets = batch(lengths)
    want, dwant = whole(table, ids, targets)
    found = {n: call(student.accumulate, table, ids, targets, n) for n in (1, 2, 4)}
    tried = f"4 sequences of {', '.join(map(str, lengths))} tokens, in 1, 2 and 4 parts"
    losses = [float(loss) for loss, _ in found.values()]
    if not np.allclose(losses, want, rtol=1e-9):
        constant = losses[0] / want if np.ptp(losses) < 1e-9 else 0
        if constant and abs(constant * targets.size - sum(lengths)) < 1e-6:
            likely = (f"the sum of {sum(lengths)} tokens is divided by {targets.size}, the number "
                      "of all places,\npadding too")
        raise Wrong("the loss of one batch depends on the number of parts" if not constant else
                    f"the loss is {constant:.4g} times what it should be, in any number of parts",
                    tried=tried, got=", ".join(f"{loss:.6f}" for loss in losses),
                    expected=f"{want:.6f} each time", likely=likely)
    for n, (_, dtable) in found.items():
        expect(f"the gradient in {n} part{'s' * (n > 1)}", dtable, dwant,
               likely="the loss is right; its gradient is made in the same way")


def check_equal(student):
    "sequences of equal length"
    compare(student, (5, 5, 5, 5), "a mean over all tokens: the sum of all, divided by their "
                                   "number")


def check_lengths(student):
    "sequences of different lengths"
    compare(student, (1, 2, 3, 7), "think of a part with 1 token and one with 7: how much does "
                                   "each token\ncount in the result?")


def check_empty_part(student):
    "a part without any token that counts"
    compare(student, (6, 3, 0, 0), "a part of padding alone adds nothing, and counts for nothing")


EXERCISE = Exercise(
    name="museum_accumulate", title="A loss that depends on how the batch is cut", group="museum",
    notebook="12_gpt", page="nanollm/exercises/pages/museum_accumulate.py",
    broken=(("total, dtotal, tokens = 0.0, np.zeros_like(table), 0",
             "total, dtotal = 0.0, np.zeros_like(table)"),
            ("        loss, dtable, n = part(", "        loss, dtable, _ = part("),
            ("total += n * loss", "total += loss / parts"),
            ("dtotal += n * dtable\n        tokens += n\n", "dtotal += dtable / parts\n"),
            ("return total / tokens, dtotal / tokens", "return total, dtotal")),
    checks=(check_equal, check_lengths, check_empty_part),
    hints=(
        ("Two parts, one with a single token, one with nine. How much should the single token "
         "count?",
         "两个部分，一个只有 1 个词元，另一个有 9 个。那个单独的词元应占多大比重？"),
        ("The mean of the parts' means is the mean of all only if the parts are equally large.",
         "只有各部分一样大时，各部分均值的均值才等于总体均值。"),
        ("Add up n times the mean of each part, where n is the number of its targets that count, "
         "and divide by all of them in the end. The gradient likewise.",
         "把每部分的均值乘以 n 后相加，n 是该部分有效目标的个数，最后除以有效目标的总数。梯度也一"
         "样。")),
    thread="https://github.com/huggingface/transformers/pull/34191",
    explanation="""\
Cause     Each part's loss is a mean over its own tokens, and the parts' means are averaged. A token
          in a short part counts for more than one in a long part.
Hidden    With equal lengths both means agree. With different ones the loss is only somewhat off,
          and looks like noise.
Found     By comparing curves that should be one: batch size 32, against 32 parts of batch size 1.
Repair    Sums, and one division by the number of all tokens of the batch, known beforehand or in
          the end.
Thread    huggingface/transformers PR #34191, "Fix Gradient Accumulation issue" (merged), and
          #34198 after it: with padding to equal lengths the curves agree, with varying
          lengths they do not. karpathy/nanochat PR #59 has the same of another trainer.""")
